"""How a trace of Dia lies on disk: columns of a shard, and bounds on what is read."""

from __future__ import annotations

from dia2.inspect.layout import DRAW_COLUMNS, Column, Layout

# What a reader accepts, beside the bounds that traces of both models have.
MAX_SCRIPTS = 128
MAX_CELLS = 1 << 24  # calls × scripts × channels
MAX_TEXT = 1 << 20  # bytes of one script
MAX_ENCODER = 256 << 20  # bytes of the encoder's output
MAX_SECONDS = 1e6  # of one step

COLUMNS = {
    column.name: column
    for column in (
        Column("call", "I32", ("n",), "tokens", "counted from 0, which is also the row that is read, and its slot"),
        Column("phase", "U8", ("n",), "tokens", "0 prefill, 1 loop; a shard holds one of them"),
        Column("tokens", "I32", ("n", "B", "C"), "tokens", "the row as the decoder read it"),
        Column("written", "I32", ("n", "B", "C"), "tokens", "the row after it; −1 in prefill"),
        Column("drawn", "I32", ("n", "B", "C"), "tokens", "before prompt and countdown had their way; −1 in prefill"),
        Column("countdown", "I32", ("n", "B"), "tokens", "after the step: steps since the end began, −1 before"),
        Column("seconds", "F32", ("n",), "tokens", "wall time of the step; NaN in prefill"),
        *DRAW_COLUMNS,
        Column("logits", "F32", ("n", "2B", "C", "V"), "full", "for each script unconditional first"),
    )
}
LAYOUT = Layout(COLUMNS, frozenset({"tokens", "written", "drawn", "draw.ids"}))
CHANNEL = "channel."  # what the names of draws begin with
