"""Opening the explorer in a notebook, where what it needs is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dia2.inspect.trace.trace import Trace
from dia2.inspect.views.extras import notebook_extra

if TYPE_CHECKING:
    from dia2.inspect.views.explorer.widget import Explorer


def explore(
    trace: Trace[Any],
    other: Trace[Any] | None = None,
    *,
    tts: Any = None,
    script: int = 0,
    call: int = 0,
    link: str | None = None,
    page: bool | None = None,
    voice: bool = True,
    replay: Any = None,
) -> Explorer:
    """See `Trace.explore`."""
    with notebook_extra("The explorer", ", or write a file by to_html()"):
        from dia2.inspect.views.explorer.widget import Explorer
    return Explorer(
        trace, other=other, tts=tts, script=script, call=call, link=link, page=page, voice=voice, replay=replay
    )
