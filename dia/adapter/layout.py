"""How a trace of Dia lies on disk: columns of a shard, and bounds on what is read."""

from __future__ import annotations

from dia2.inspect.schema.column import DRAW_COLUMNS, Column, Layout
from dia2.inspect.schema.draw import DrawKind
from dia2.inspect.store.layout import MAX_CALLS

ENCODER_FILE = "encoder.safetensors"

# What a reader accepts, beside the bounds that traces of both models have.
MAX_SCRIPTS = 128
MAX_TEXT = 1 << 20  # bytes of one script
MAX_ENCODER = 256 << 20  # bytes of the encoder's output
MAX_SECONDS = 1_000_000  # of one step

COLUMNS = {
    column.name: column
    for column in (
        Column("call", "I32", ("n",), "tokens", "counted from 0, which is also the row that is read, and its slot"),
        Column("phase", "U8", ("n",), "tokens", "0 prefill, 1 loop; a shard holds one of them", (0, 2)),
        Column("tokens", "I32", ("n", "B", "C"), "tokens", "the row as the decoder read it", (0, "V"), label="as read"),
        Column(
            "drawn",
            "I32",
            ("n", "B", "C"),
            "tokens",
            "before prompt and countdown overruled it; −1 in prefill",
            (-1, "V"),
        ),
        Column(
            "countdown",
            "I32",
            ("n", "B"),
            "tokens",
            "after the step: steps since the end began, −1 before",
            (-1, MAX_CALLS + 1),
        ),
        Column("written", "I32", ("n", "B", "C"), "tokens", "the row after it; −1 in prefill", (-1, "V")),
        Column("seconds", "F32", ("n",), "tokens", "wall time of the step; NaN in prefill", (0, MAX_SECONDS)),
        *DRAW_COLUMNS,
        Column("logits", "F32", ("n", "2B", "C", "V"), "full", "for each script unconditional first"),
    )
}
LAYOUT = Layout(COLUMNS, frozenset({"tokens", "written", "drawn", "draw.ids"}))
DRAWS = (DrawKind("channel.{c}", "drawn", "written"),)
CHANNEL = "channel."  # what the names of draws begin with


def draw_channel(name: str) -> int:
    """The channel that a draw is of: `channel.3` → 3."""
    return int(name.removeprefix(CHANNEL))
