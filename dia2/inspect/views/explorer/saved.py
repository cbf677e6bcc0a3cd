"""What a cell keeps for those who have its notebook and no kernel: text, and the explorer itself, data and all.

A live notebook shows the widget, and a page made of the notebook shows what is kept: one of them, wherever it is
opened. See front/saved.js.
"""

from __future__ import annotations

import base64
import gzip
import json
import os
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from dia2.inspect.trace.findings import judged
from dia2.inspect.trace.trace import Trace
from dia2.inspect.views.explorer.bundle import reviver, script, style

MOST = 4_000_000  # characters that an explorer may add to a notebook

_PICTURE_END = 64  # characters of a picture by which a page finds it


def told(trace: Trace[Any], shown: str) -> list[str]:
    """What stands where no widget can be shown, line by line: what is wrong with the run, and what shows it.

    Args:
        trace: that is shown.
        shown: what shows it, such as "<Explorer of run.dia2trace: 77 calls, complete>".
    """
    return [judged(trace)[1].text, shown]


def page_by_default() -> bool:
    """Whether cells keep explorers where nobody said so: the environment's `DIA2_EXPLORER_PAGE=0` says no."""
    return os.environ.get("DIA2_EXPLORER_PAGE") != "0"


def alive(
    cell: str,
    view: str,
    views: Sequence[bytes],
    difference: dict[str, Any] | None,
    call: int,
    picture: str,
    link: str = "",
) -> str:
    """The explorer as a script, for `application/javascript`: sanitisers, print and Markdown leave that out whole.

    Args:
        cell: name of the cell that shows it, which the widget is told too.
        view: id of the widget that a live notebook shows.
        views: packed.
        difference: of two views; see `difference_of`.
        call: where to begin.
        picture: base64 of the one that gives way to it; "" if there is none.
        link: to what to look at first, such as "#track=surprise"; "" if there is none.
    """
    saved = {
        "cell": cell,
        "view": view,
        "picture": picture[-_PICTURE_END:],
        "script": _packed(script("widget")),
        "style": _packed(style()),
        "views": [base64.b64encode(each).decode() for each in views],
        "difference": difference,
        "call": call,
        "link": link,
    }
    told = json.dumps(saved).replace("<", "\\u003c")
    # `element` is the output: of jQuery in the classic notebook, and unknown to hosts that run scripts as modules.
    at = 'const at = typeof element === "undefined" ? null : element.jquery ? element[0] : element;'
    return f"(() => {{\n{reviver()}\n{at}\nif (at) revive(at, {told});\n}})();"


@lru_cache
def _packed(text: str) -> str:
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()
