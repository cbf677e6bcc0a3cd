"""The front end of sweeps as one script: its own modules, and those of the explorer's that it shares."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from dia2.inspect.views.explorer import bundle

FRONT = Path(__file__).parent / "front"
SHARED = ("dom", "colours", "unpack", "axis", "sheet", "host", "copy", "commands", "keys", "help")
OWN = (
    *("runs", "wanted", "board", "sounding", "runtable", "choices", "groups", "panels", "charts", "partings"),
    *("runpane", "bar", "sweep"),
)
_SHEETS = ("sweep",)


@lru_cache
def style() -> str:
    """The style sheets as one."""
    return bundle.style() + "".join((FRONT / f"{name}.css").read_text(encoding="utf-8") for name in _SHEETS)


@lru_cache
def script(host: str) -> str:
    """The front end for a host: `widget`, a module with a default export, or `page`, which runs by itself."""
    shared = [bundle.FRONT / f"{name}.js" for name in SHARED]
    own = [FRONT / f"{name}.js" for name in (*OWN, f"sweep{host}")]
    return "\n".join(bundle.code_of(path) for path in (*shared, *own))
