"""The columns of a trace of Dia2."""

from __future__ import annotations

from dia2.inspect.schema.column import DRAW_COLUMNS, Column, Layout
from dia2.inspect.schema.draw import DrawKind
from dia2.inspect.store.layout import MAX_CALLS

PREFIX_FILE = "prefix.safetensors"
EAR_FILE = "ear.safetensors"  # what `dia2.adapter.ear` heard
EDITS_FILE = "edits.safetensors"  # the vectors of edits of activations
MAX_PREFIX_FRAMES = 60_000
MAX_EDITS = 256 << 20  # bytes of such vectors
SPEAKERS = (1, 2)  # that a prefix can have

_COUNT = (0, MAX_CALLS + 1)
_TEXT, _CODE = (-1, "text vocabulary"), (-1, "vocabulary")

COLUMNS = {
    column.name: column
    for column in (
        Column("call", "I32", ("n",), "tokens", "counted from 0 over warm-up and main loop, without gaps"),
        Column("phase", "U8", ("n",), "tokens", "0 warm-up, 1 main loop; a shard holds one of them", (0, 2)),
        Column("step", "I32", ("n",), "tokens", "frame index; the last step of a prefix is called twice"),
        Column("position", "I32", ("n",), "tokens", "rotary position", _COUNT),
        Column("slot", "I32", ("n",), "tokens", "of the transformer's key/value cache", _COUNT),
        Column("text", "I32", ("n", "2"), "tokens", "main and second text token as the transformer saw them", _TEXT),
        Column("audio", "I32", ("n", "K"), "tokens", "codes as the transformer saw them, conditional branch", _CODE),
        Column(
            "codes", "I32", ("n", "K"), "tokens", "codes drawn, written to grid column step + 1; −1 in warm-up", _CODE
        ),
        Column(
            "action",
            "I32",
            ("n",),
            "tokens",
            "before the machine's constraints; a text id in warm-up",
            (-1, "actions or text"),
        ),
        Column("forced", "U8", ("n",), "tokens", "1 where the action was given, not drawn (warm-up)", (0, 2)),
        Column("emitted", "I32", ("n", "2"), "tokens", "main and second text token that went into the streams", _TEXT),
        Column("consumed", "U8", ("n",), "tokens", "1 where the machine took an entry, breaks included", (0, 2)),
        Column("padding_budget", "I32", ("n",), "tokens", "after the step", _COUNT, unit="frame"),
        Column("forced_padding", "I32", ("n",), "tokens", "after the step", _COUNT, unit="frame"),
        Column(
            "entries_left",
            "I32",
            ("n",),
            "tokens",
            "words and breaks left after the step: in `run.entries` they follow those taken",
            _COUNT,
            unit="entry",
        ),
        Column("end_step", "I32", ("n",), "tokens", "after the step; −1 while there are words", (-1, MAX_CALLS + 1)),
        Column("pending", "I32", ("pending",), "tokens", "tokens still pending after each call, joined", _TEXT),
        Column("pending_end", "I32", ("n",), "tokens", "where each call's part of `pending` ends"),
        Column("lookahead", "I32", ("lookahead",), "tokens", "lookahead tokens after each call, joined", _TEXT),
        Column("lookahead_end", "I32", ("n",), "tokens", "where each call's part of `lookahead` ends"),
        Column(
            "times", "F32", ("n", "4"), "tokens", "seconds of first half, machine, second half, frame; NaN in warm-up"
        ),
        *DRAW_COLUMNS,
        Column("logits.action", "F32", ("n", "B", "actions"), "full", "row 0 conditional, row 1 unconditional"),
        Column("logits.cb0", "F32", ("n", "B", "vocabulary"), "full", "likewise"),
        Column("logits.dep", "F32", ("n", "K-1", "B", "codes"), "full", "codebooks 1 … K-1, likewise"),
    )
}
LAYOUT = Layout(COLUMNS, frozenset({"audio", "codes", "draw.ids"}), ragged=("pending", "lookahead"))


DRAWS = (DrawKind("action", "action"), DrawKind("cb0", "codes"), DrawKind("dep.{k}", "codes"))


def recording_name(speaker: int) -> str:
    """File name of the sound of a speaker's prefix recording."""
    return f"prefix-{speaker}.flac"


def draw_names(codebooks: int) -> list[str]:
    """The draws of a frame in their order: action, cb0, dep.1 … dep.K-1."""
    return [name for kind in DRAWS for name in kind.names(codebooks)]
