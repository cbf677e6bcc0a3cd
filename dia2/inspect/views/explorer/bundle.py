"""The front end as one script: hand-written modules in `front/`, joined without a build step.

Each file is a module that can be read and checked by itself. Joined, they share one scope, so a name is defined in
one file only; `import` lines go, `export` is taken off, except in the last file, and so are all but a space of
indentation and the comments that document names and their types, which are for who reads or checks the modules.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

FRONT = Path(__file__).parent / "front"
_MODULES = (
    "dom",
    "colours",
    "unpack",
    "draws",
    "data",
    "views",
    "store",
    "axis",
    "sheet",
    "signals",
    "chances",
    "shades",
    "voices",
    "soundtrack",
    "wordtrack",
    "takentrack",
    "texttrack",
    "curvetracks",
    "drifttrack",
    "countertracks",
    "cells",
    "gridtrack",
    "painters",
    "status",
    "pins",
    "overview",
    "over",
    "shells",
    "stage",
    "rows",
    "machine",
    "state",
    "script",
    "sampler",
    "why",
    "strip",
    "contenders",
    "candidates",
    "width",
    "flow",
    "flowitems",
    "flowfigure",
    "pipeline",
    "replays",
    "looktrack",
    "logits",
    "attention",
    "readouts",
    "fitchart",
    "fitpane",
    "inspector",
    "slidetracks",
    "slidegrid",
    "slides",
    "present",
    "tour",
    "toured",
    "player",
    "facts",
    "search",
    "moves",
    "commands",
    "keys",
    "help",
    "link",
    "live",
    "hearing",
    "copy",
    "save",
    "told",
    "csv",
    "wav",
    "picture",
    "notes",
    "notespane",
    "menu",
    "share",
    "controls",
    "verdict",
    "pointer",
    "host",
    "main",
)
_SHEETS = ("style", "why", "fit", "share", "present", "tour", "pipeline", "attention")
_IMPORT = re.compile(r'^import \{[^}]*\} from "\.[./a-z]*/[a-z]+\.js";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?!default)", re.MULTILINE)
_INDENTATION = re.compile(r"^ +(?= )", re.MULTILINE)
_DOCUMENTS = re.compile(r"^ */\*\*(?:(?!\*/).)*\*/\n", re.MULTILINE | re.DOTALL)


@lru_cache
def style() -> str:
    """The style sheets as one."""
    return "".join((FRONT / f"{name}.css").read_text(encoding="utf-8") for name in _SHEETS)


@lru_cache
def script(host: str) -> str:
    """The front end for a host: `widget`, a module with a default export, or `page`, which runs by itself."""
    return "\n".join(code_of(FRONT / f"{name}.js") for name in (*_MODULES, host))


@lru_cache
def reviver() -> str:
    """The function `revive`, which opens the widget's script in a saved notebook; see saved.js."""
    return code_of(FRONT / "saved.js")


def code_of(path: Path) -> str:
    """A module as it stands in the joined script."""
    source = path.read_text(encoding="utf-8")
    for unneeded in (_IMPORT, _EXPORT, _DOCUMENTS, _INDENTATION):
        source = unneeded.sub("", source)
    return source
