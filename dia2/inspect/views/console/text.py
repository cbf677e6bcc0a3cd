"""What `dia2 trace` prints, as text: for notebooks, where a program reads it, and for bug reports."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any

from rich.console import Console

from dia2.common.checks import short
from dia2.common.errors import UsageError
from dia2.inspect.trace.trace import Trace
from dia2.inspect.views.console.findings import print_findings
from dia2.inspect.views.console.grid import print_grid
from dia2.inspect.views.console.views import print_frame, print_frames, print_prefix, print_show

WIDEST = 10_000  # columns


def _print_found(
    trace: Trace[Any], console: Console, tts: Any = None, *, hear: bool = False, whisper: str = "base", script: int = 0
) -> None:
    print_findings(trace, trace.findings(tts, hear=hear, whisper=whisper, script=script), console)


_VIEWS: dict[str, Callable[..., None]] = {
    "show": print_show,
    "findings": _print_found,
    "frames": print_frames,
    "frame": print_frame,
    "grid": print_grid,
    "prefix": print_prefix,
}


def report(trace: Trace[Any], view: str = "show", *, width: int = 100, **options: Any) -> str:
    """What `dia2 trace VIEW` prints of a trace, without colours.

    Args:
        trace: any trace.
        view: `show`, `findings`, `frames`, `frame`, `grid` or `prefix`.
        width: columns to lay it out for.
        options: of that view, as the functions of `dia2.inspect.views.console` take them.

    Raises:
        UsageError: there is no such view, its family has none, or it takes other options.
    """
    if view not in _VIEWS:
        raise UsageError(f"There is no view {short(view)} of a trace: ask for one of {', '.join(_VIEWS)}.")
    if not (isinstance(width, int) and 1 <= width <= WIDEST):
        raise UsageError(f"The width must be 1 to {WIDEST} columns, not {short(width)}.")
    draw = _VIEWS[view]
    try:
        signature(draw).bind(trace, None, **options)
    except TypeError as error:
        takes = ", ".join(name for name in signature(draw).parameters if name not in ("trace", "console"))
        raise UsageError(f"The view {view} takes {takes}: {error}.") from error
    console = Console(width=width, color_system=None, force_terminal=False, force_jupyter=False)
    with console.capture() as printed:
        draw(trace, console, **options)
    return "\n".join(line.rstrip() for line in printed.get().splitlines()).strip("\n")
