"""Columns: what a shard of a trace holds of its calls, as a model family declares it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from dia2.common.hooks import Level


@dataclass(frozen=True)
class Column:
    """One tensor of a shard. Its first dimension is the call unless `shape` says otherwise."""

    name: str
    dtype: str  # as safetensors names it
    shape: tuple[str, ...]  # n: calls, D: draws recorded; other names as the family gives their sizes
    level: Level
    meaning: str
    bounds: tuple[int, int | str] | None = None  # the least, and what is too much: a number, or the size of that name
    label: str | None = None  # by which reports name it; `None`: its name
    unit: str = ""  # of its numbers, in the singular: slot, row
    view: Literal["", "cache"] = ""  # `cache`: the filled slots of a key/value cache, drawn as they grow

    @property
    def is_time(self) -> bool:
        """Seconds, which may be unknown: NaN."""
        return self.dtype == "F32"

    @property
    def below(self) -> int | str | None:
        """What its values stay below: a number, or the size of that name; `None`: nothing is said."""
        return None if self.bounds is None else self.bounds[1]

    @property
    def told(self) -> str:
        """By what reports name it."""
        return self.name if self.label is None else self.label


@dataclass(frozen=True)
class Layout:
    """The columns that shards of one model's runs have."""

    columns: Mapping[str, Column]  # by name; `call` and `phase`, 0 where the call draws nothing, are among them
    small: frozenset[str]  # stored as I16 where the vocabulary allows, read either way
    ragged: tuple[str, ...] = ()  # joined lists; `NAME_end` says where each call's part ends

    def of_level(self, level: Level) -> list[str]:
        """Names of the columns that a level adds."""
        return [name for name, column in self.columns.items() if column.level == level]

    @property
    def per_call(self) -> list[Column]:
        """Columns of level `tokens` with a value, or several, of their own for every call: no joined lists."""
        joined = {*self.ragged, *(f"{name}_end" for name in self.ragged)}
        return [self.columns[name] for name in self.of_level("tokens") if name not in joined]


DRAW_COLUMNS = (
    Column("draw.ids", "I32", ("n", "D", "16"), "topk", "best candidates by conditional logit; −1 where fewer"),
    Column("draw.cond", "F32", ("n", "D", "16"), "topk", "their conditional logits"),
    Column("draw.guided", "F32", ("n", "D", "16"), "topk", "their guided logits"),
    Column("draw.kept", "I32", ("n", "D"), "topk", "bit i: candidate i stays in the draw after guidance"),
    Column("draw.probability", "F32", ("n", "D"), "topk", "of the choice"),
)
