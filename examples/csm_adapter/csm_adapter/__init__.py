"""CSM as a model family of `dia2.inspect`: its declaration, found by the entry point `csm` of `dia2.models`.

This module is imported whenever a trace of any family is looked at, so it imports neither torch nor transformers.
"""

from dia2.common.hooks import declare, phases
from dia2.inspect.schema.adapter import Adapter
from dia2.inspect.schema.column import DRAW_COLUMNS, Column, Layout
from dia2.inspect.schema.draw import DrawKind
from dia2.inspect.schema.points import points_of
from dia2.inspect.schema.row import Row

MOST_CALLS = 200_000  # positions of the backbone, more than any run has
_SLOTS = (0, MOST_CALLS + 1)

COLUMNS = (
    Column("call", "I32", ("n",), "tokens", "counted from 0: the position that the backbone reads"),
    Column("phase", "U8", ("n",), "tokens", "0 prompt, 1 draws a frame", (0, 2)),
    Column("text", "I32", ("n",), "tokens", "id of the prompt that was read; −1: a frame was", (-1, "text vocabulary")),
    Column("codes", "I32", ("n", "K"), "tokens", "the frame drawn; −1 in the prompt", (-1, "V"), label="drawn"),
    Column("backbone_slots", "I32", ("n",), "tokens", "of the backbone's cache, filled after the call", _SLOTS,
           label="backbone", unit="slot", view="cache"),
    Column("depth_slots", "I32", ("n",), "tokens", "of the depth decoder's cache, emptied before each frame", _SLOTS,
           label="depth decoder", unit="slot", view="cache"),
    Column("seconds", "F32", ("n",), "tokens", "wall time of the frame; NaN in the prompt", (0, 1_000_000)),
    *DRAW_COLUMNS,
    Column("logits", "F32", ("n", "K", "V"), "full", "of every codebook of the frame"),
)  # fmt: skip

ROWS = (
    Row(1, "Take the prompt", "csm_adapter.speaking:take_prompt", "csm.prompt"),
    Row(2, "Draw frames", "csm_adapter.speaking:draw_frames", "csm.frames", calls="all"),
    Row(3, "Decode", "csm_adapter.speaking:decode", "csm.decode"),
)

LAYOUT = Layout({column.name: column for column in COLUMNS}, small=frozenset({"codes", "draw.ids"}))
DRAWS = (DrawKind("backbone.0", "codes"), DrawKind("depth.{k}", "codes", temperature="depth_temperature"))

PHASES = phases(
    ("csm.prompt", "ids [1, T] → the prompt of a run"),
    ("csm.frames", "prompt → codes [F, K]: the backbone draws codebook 0, the depth decoder the others"),
    ("csm.decode", "codes [F, K] → waveform [N], by Mimi"),
)
declare("csm", [*PHASES, *points_of(LAYOUT, DRAWS)])

ADAPTER = Adapter(
    family="csm",
    title="CSM",
    rows=ROWS,
    layout=LAYOUT,
    draws=DRAWS,
    begins="csm.prompt",
    needed=frozenset({"csm.prompt", "csm.frames", "csm.decode", "codes"}),
    engine="transformers:CsmForConditionalGeneration",
    example='CsmForConditionalGeneration.from_pretrained("sesame/csm-1b")',
    trace="csm_adapter.trace:CsmTrace",
    recording="csm_adapter.recording:CsmRecording",
)
