"""How a trace lies on disk: file names, format version, columns of a shard, bounds on everything that is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from dia2 import checks

FORMAT = "dia2trace"
VERSION = 1
SUFFIX = ".dia2trace"

MANIFEST = "manifest.json"
PHASES_FILE = "phases.jsonl"
PREFIX_FILE = "prefix.safetensors"
ENCODER_FILE = "encoder.safetensors"  # of Dia
AUDIO_FILE = "audio.flac"

Level = Literal["tokens", "topk", "full"]
LEVELS: tuple[Level, ...] = ("tokens", "topk", "full")
LEFT_OUT: dict[Level, tuple[str, ...]] = {  # beginnings of the hook points that a level does not record
    "tokens": ("logits.", "draw.", "encoder.output"),
    "topk": ("logits.", "encoder.output"),
    "full": (),
}

# What a reader accepts; a published checkpoint's longest run stays far below each of these.
MAX_MANIFEST = 16 << 20  # bytes
MAX_PHASES = 16 << 20  # bytes
MAX_PHASE_LINES = 20_000
MAX_HEADER = checks.MAX_HEADER  # bytes of a shard's header
MAX_SHARDS = 50_000
MAX_CALLS = 200_000
MAX_SHARD_CALLS = 4096
MAX_CODEBOOKS = 64
MAX_VOCABULARY = 1 << 20
MAX_AUDIO = 512 << 20  # bytes
MAX_AUDIO_SAMPLES = 48_000 * 60 * 30
MAX_PREFIX_FRAMES = 60_000


def audio_name(script: int, scripts: int) -> str:
    """File name of the audio of script `script`, counted from 0: several have a number each."""
    return AUDIO_FILE if scripts == 1 else AUDIO_FILE.replace(".", f"-{script + 1}.")


def shard_name(index: int) -> str:
    """File name of shard `index`, counted from 0."""
    return f"frames-{index:05d}.safetensors"


@dataclass(frozen=True)
class Column:
    """One tensor of a shard. Its first dimension is the call unless `shape` says otherwise."""

    name: str
    dtype: str  # as safetensors names it
    shape: tuple[str, ...]  # n: calls, K: codebooks, D: draws recorded, B: branches, others: sizes of vocabularies
    level: Level
    meaning: str


@dataclass(frozen=True)
class Layout:
    """The columns that shards of one model's runs have."""

    columns: Mapping[str, Column]  # by name
    small: frozenset[str]  # stored as I16 where the vocabulary allows, read either way
    ragged: tuple[str, ...] = ()  # joined lists; `NAME_end` says where each call's part ends

    def of_level(self, level: Level) -> list[str]:
        """Names of the columns that a level adds."""
        return [name for name, column in self.columns.items() if column.level == level]


DRAW_COLUMNS = (
    Column("draw.ids", "I32", ("n", "D", "16"), "topk", "best candidates by conditional logit; −1 where fewer"),
    Column("draw.cond", "F32", ("n", "D", "16"), "topk", "their conditional logits"),
    Column("draw.guided", "F32", ("n", "D", "16"), "topk", "their guided logits"),
    Column("draw.kept", "I32", ("n", "D"), "topk", "bit i: candidate i stays in the draw after guidance"),
    Column("draw.probability", "F32", ("n", "D"), "topk", "of the choice"),
)

COLUMNS = {
    column.name: column
    for column in (
        Column("call", "I32", ("n",), "tokens", "counted from 0 over warm-up and main loop, without gaps"),
        Column("phase", "U8", ("n",), "tokens", "0 warm-up, 1 main loop; a shard holds one of them"),
        Column("step", "I32", ("n",), "tokens", "frame index; the last step of a prefix is called twice"),
        Column("position", "I32", ("n",), "tokens", "rotary position"),
        Column("slot", "I32", ("n",), "tokens", "of the transformer's key/value cache"),
        Column("text", "I32", ("n", "2"), "tokens", "main and second text token as the transformer saw them"),
        Column("audio", "I32", ("n", "K"), "tokens", "codes as the transformer saw them, conditional branch"),
        Column("codes", "I32", ("n", "K"), "tokens", "codes drawn, written to grid column step + 1; −1 in warm-up"),
        Column("action", "I32", ("n",), "tokens", "before the machine's constraints; a text id in warm-up"),
        Column("forced", "U8", ("n",), "tokens", "1 where the action was given, not drawn (warm-up)"),
        Column("emitted", "I32", ("n", "2"), "tokens", "main and second text token that went into the streams"),
        Column("consumed", "U8", ("n",), "tokens", "1 where the machine took an entry, breaks included"),
        Column("padding_budget", "I32", ("n",), "tokens", "after the step"),
        Column("forced_padding", "I32", ("n",), "tokens", "after the step"),
        Column(
            "entries_left",
            "I32",
            ("n",),
            "tokens",
            "words and breaks left after the step: in `run.entries` they follow those taken",
        ),
        Column("end_step", "I32", ("n",), "tokens", "after the step; −1 while there are words"),
        Column("pending", "I32", ("pending",), "tokens", "tokens still pending after each call, joined"),
        Column("pending_end", "I32", ("n",), "tokens", "where each call's part of `pending` ends"),
        Column("lookahead", "I32", ("lookahead",), "tokens", "lookahead tokens after each call, joined"),
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
