"""What a phase did, in words and numbers: its trigger and the state before, its mutations and outputs.

Written at the time, while the objects are at hand; the trace keeps the sentences.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from dia2.common.hooks import Span
from dia2.common.wording import counted

_LONGEST = 240  # characters of one cell


class Description(NamedTuple):
    """The four cells that one phase fills."""

    trigger: str = ""
    before: str = ""
    mutations: str = ""
    outputs: str = ""


Say = Callable[[Span], str]
Saying = tuple[Say, Say, Say, Say]
Sayings = dict[str, Saying]  # by phase; at its begin trigger and before, at its end the others


def describe_begin(span: Span, say: Sayings) -> Description:
    """Trigger and state before."""
    trigger, before, _, _ = say[span.name]
    return Description(trigger=_cell(trigger(span)), before=_cell(before(span)))


def describe_end(span: Span, say: Sayings) -> Description:
    """Mutations and outputs of a phase that ended well."""
    _, _, mutations, outputs = say[span.name]
    return Description(mutations=_cell(mutations(span)), outputs=_cell(outputs(span)))


def _cell(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


# Words for the sayings


def out(span: Span) -> Any:
    """What a phase returned."""
    return span.result


def arg(span: Span, name: str) -> Any:
    """What a phase was called with."""
    return span.inputs[name]


def nothing(_: Span) -> str:
    """Of a phase that changes nothing."""
    return "none"


def shape(tensor: Any) -> str:
    """`[2, 15]`."""
    return "[" + ", ".join(str(size) for size in tensor.shape) + "]"


def quote(text: str) -> str:
    """The beginning of a text."""
    return f"“{text[:60]}{'…' if len(text) > 60 else ''}”"


def steps_text(steps: Sequence[int]) -> str:
    """The first twelve numbers."""
    shown = ", ".join(map(str, steps[:12]))
    return f"{shown}{', …' if len(steps) > 12 else ''}"


# Of a phase that every family has: it writes `waveform`, of `sample_rate`, to `path`.
SOUND_WRITTEN: Saying = (
    lambda s: f"{counted(arg(s, 'waveform').shape[0], 'sample')} at {arg(s, 'sample_rate')} Hz",
    lambda s: "no file, or an older one",
    lambda s: "writes a file beside it, renames it",
    lambda s: str(arg(s, "path")),
)
