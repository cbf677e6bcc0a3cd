"""Declared interventions on activations: what the network goes on with, in place of what it has computed.

    Steer("act.2.resid", direction, scale=0.5, where=Where(calls=(0, 9)))
    Ablate("act.2.heads", heads=(1,))
    Patch("act.2.resid", recorded, first=57)
    Clamp("act.2.resid", direction, value=3.0)

A point is a place in the transformer, by the field's names: `act.embed` is the residual stream before the first layer,
`act.L.resid` the one after layer L, `act.L.attn` and `act.L.mlp` what the layer adds to it, `act.L.heads` what each
head gives before attention's output projection, `act.hidden` what all that is drawn is computed from. The depformer's
are `act.dep.L.resid` and `act.dep.L.heads`, which an edit changes in all stages or in those that it names.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, cast

from dia2.common.checks import is_number, make_plain, short
from dia2.common.errors import UsageError
from dia2.runtime.activation_point import Point as Point  # of this module for whoever edits
from dia2.runtime.after import Before, conditions, hold, in_words
from dia2.runtime.vectors import Vector

if TYPE_CHECKING:
    from torch import Tensor

MOST = 2**31 - 1  # of calls, words and heads
_SHOWN = 16  # ranges of words or heads that a text names
Branches = Literal["both", "conditional", "unconditional"]


@dataclass(frozen=True)
class Where:
    """In which calls and branches; all conditions hold together."""

    calls: tuple[int, int] | None = None  # the first and the last; `None`: all
    words: tuple[int, ...] | None = None  # numbers of words: the last one that the machine has taken is one of them
    speakers: tuple[int, ...] | None = None  # 1, 2: that word's speaker is one of them
    branches: Branches = "both"  # of guidance; without it there is the conditional one alone
    stages: tuple[int, ...] | None = None  # of the depformer, from 0: stage s draws codebook s + 1; `None`: all
    after: Any = None  # what the call before had, by column: {"action": "new_word", "padding_budget": (0, 2)}

    def __post_init__(self) -> None:
        """Refuse what is no place.

        Raises:
            UsageError: says what may be given.
        """
        for name in ("calls", "words", "speakers", "stages"):
            value = getattr(self, name)
            if value is None:
                continue
            if not isinstance(value, tuple | list | range) or not value or not all(map(_is_count, value)):
                raise UsageError(f"Where's {name} are whole numbers from 0, not {short(value)}.")
            object.__setattr__(self, name, tuple(map(int, value)))
        if self.calls is not None and (len(self.calls) != 2 or self.calls[0] > self.calls[1]):
            raise UsageError(f"Where's calls are the first and the last one, not {short(self.calls)}.")
        if self.speakers is not None and not set(self.speakers) <= {1, 2}:
            raise UsageError(f"Where's speakers are 1 and 2, not {short(self.speakers)}.")
        if self.branches not in ("both", "conditional", "unconditional"):
            raise UsageError(f"Where's branches are both, conditional or unconditional, not {short(self.branches)}.")
        if self.after is not None:
            object.__setattr__(self, "after", conditions(self.after))

    def holds(self, call: int, word: int | None, speaker: int | None, before: Before | None) -> bool:
        """Whether it is here.

        Args:
            call: counted from 0, over warm-up and main loop.
            word: the last one that the machine has taken; `None`: none yet.
            speaker: of that word.
            before: what is recorded of the call before; `None`: there is none.
        """
        if self.after is not None and not hold(self.after, before):
            return False
        if self.calls is not None and not self.calls[0] <= call <= self.calls[1]:
            return False
        if self.words is not None and word not in self.words:
            return False
        return self.speakers is None or speaker in self.speakers

    def __str__(self) -> str:
        parts = []
        if self.calls is not None:
            first, last = self.calls
            parts.append(f"from call {first} on" if last == MOST else _range("call", first, last))
        if self.words is not None:
            parts.append(f"{'word' if len(self.words) == 1 else 'words'} {_listed(self.words)}")
        if self.speakers is not None:
            parts.append(f"{'speaker' if len(self.speakers) == 1 else 'speakers'} {_listed(self.speakers)}")
        if self.after is not None:
            parts.append(in_words(self.after))
        if self.stages is not None:
            parts.append(f"{'stage' if len(self.stages) == 1 else 'stages'} {_listed(self.stages)}")
        if self.branches != "both":
            parts.append(f"{self.branches} branch")
        return ", ".join(parts)

    def lanes(self, branches: int) -> slice:
        """Of which branches, the conditional one first."""
        if self.branches == "both":
            return slice(0, branches)
        return slice(0, 1) if self.branches == "conditional" else slice(1, branches)


EVERYWHERE = Where()


class _Declared:
    """What all kinds have."""

    point: str
    where: Where

    @property
    def call(self) -> int:
        """The first call in which it may do something."""
        return 0 if self.where.calls is None else self.where.calls[0]

    @property
    def what(self) -> str:
        """What it does, and where."""
        where = str(self.where)
        return f"{self._does()}, {where}" if where else self._does()

    def as_table(self) -> dict[str, Any]:
        """As a plan of a sweep has it, numbers included."""
        from dia2.runtime.activation_json import to_table  # which knows all kinds

        return to_table(cast("ActivationEdit", self))

    def __str__(self) -> str:
        return self.what

    def _does(self) -> str:
        raise NotImplementedError


@dataclass(frozen=True)
class Steer(_Declared):
    """Add a vector."""

    point: str
    vector: Any  # [width], of `heads` [heads · head_dim]: a `Vector`, or what becomes one
    scale: float = 1.0
    where: Where = field(default=EVERYWHERE)

    def __post_init__(self) -> None:
        """Refuse what adds nothing that can be added.

        Raises:
            UsageError: says what may be given.
        """
        _begin(self)
        _check_number(self, "scale")

    def _does(self) -> str:
        return f"{self.point} + {_told(self.scale)} · {_named(self.vector)}"


@dataclass(frozen=True)
class Ablate(_Declared):
    """Put zero in place of an activation, or what it is in the mean, or in another run."""

    point: str
    to: Any = None  # [width], likewise; `None`: zero
    heads: tuple[int, ...] | None = None  # of `heads`, which; `None`: all
    where: Where = field(default=EVERYWHERE)

    def __post_init__(self) -> None:
        """Refuse what takes nothing away.

        Raises:
            UsageError: says what may be given.
        """
        _begin(self)
        _check_heads(self)

    def _does(self) -> str:
        return f"{self.point}{_of_heads(self.heads)} becomes {'zero' if self.to is None else _named(self.to)}"


@dataclass(frozen=True)
class Patch(_Declared):
    """Put an activation of other calls in its place, one after the other."""

    point: str
    values: Any  # [calls, width], likewise
    first: int  # the call of the first of them
    heads: tuple[int, ...] | None = None  # of `heads`, which; `None`: all
    where: Where = field(default=EVERYWHERE)

    def __post_init__(self) -> None:
        """Refuse what has no values or no place.

        Raises:
            UsageError: says what may be given.
        """
        _begin(self)
        _check_heads(self)
        if not _is_count(self.first):
            raise UsageError(f"Patch's first call is a whole number from 0, not {short(self.first)}.")

    @property
    def call(self) -> int:
        """See `_Declared`."""
        return max(self.first, super().call)

    def _does(self) -> str:
        last = self.first + self.values.shape[0] - 1
        calls = _range("call", self.first, last)
        return f"{self.point}{_of_heads(self.heads)} of {calls} becomes {_named(self.values)}"


@dataclass(frozen=True)
class Clamp(_Declared):
    """Move an activation along a direction until its part there has a value."""

    point: str  # any but `heads`
    direction: Any  # [width], likewise, of any length but 0
    value: float  # the part of the activation along the direction, whose length does not count
    where: Where = field(default=EVERYWHERE)

    def __post_init__(self) -> None:
        """Refuse what is no direction.

        Raises:
            UsageError: says what may be given.
        """
        _begin(self)
        _check_number(self, "value")
        if Point.of(self.point).of_heads:
            other = "act.dep.L.resid" if Point.of(self.point).of_depformer else "act.L.attn"
            raise UsageError(f"Clamp moves what has one width, not the heads of a layer: clamp {other}.")
        if self.direction.here:
            self.unit()

    def unit(self) -> Tensor:
        """[width] float32 the direction, of length 1.

        Raises:
            UsageError: it has no length.
        """
        length = self.direction.tensor.norm()
        if not float(length):
            raise UsageError("Clamp's direction is zero, and so points nowhere.")
        unit: Tensor = self.direction.tensor / length
        return unit

    def _does(self) -> str:
        return f"{self.point} has {_told(self.value)} along {_named(self.direction)}"


ActivationEdit = Steer | Ablate | Patch | Clamp
_VECTORS: dict[type[ActivationEdit], tuple[str, int]] = {  # by kind: the field that holds one, its dimensions
    Steer: ("vector", 1),
    Ablate: ("to", 1),
    Patch: ("values", 2),
    Clamp: ("direction", 1),
}


def vector_field(kind: type[ActivationEdit]) -> str:
    """Which field of an edit holds its numbers."""
    return _VECTORS[kind][0]


def vector_of(edit: ActivationEdit) -> Vector | None:
    """The numbers of an edit; `None`: it has none, and puts zero."""
    vector: Vector | None = getattr(edit, vector_field(type(edit)))
    return vector


def from_call(edit: ActivationEdit, call: int) -> ActivationEdit:
    """An edit as it is where nothing before `call` may change any more: one that names no calls begins there."""
    if edit.where.calls is not None:
        return edit
    return replace(edit, where=replace(edit.where, calls=(call, MOST)))


def until_call(edit: ActivationEdit, call: int) -> ActivationEdit:
    """An edit that begins before `call`, as it is where it ends there."""
    first, last = edit.where.calls or (0, MOST)
    return replace(edit, where=replace(edit.where, calls=(first, min(last, call - 1))))


def _named(vector: Vector) -> str:
    return f"vector {vector.digest[:8]}"


def _told(number: float) -> str:
    """In full: two runs with other numbers are not the same."""
    return repr(float(number)).removesuffix(".0")


def _range(what: str, first: int, last: int) -> str:
    return f"{what} {first}" if first == last else f"{what}s {first} … {last}"


def _listed(numbers: Sequence[int]) -> str:
    """Ranges of numbers; of very many the first, and how many there are in all."""
    ranges: list[list[int]] = []
    for number in sorted(set(numbers)):
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    shown = ", ".join(str(a) if a == b else f"{a}{', ' if b == a + 1 else ' … '}{b}" for a, b in ranges[:_SHOWN])
    return shown if len(ranges) <= _SHOWN else f"{shown} and so on, {len(numbers)} in all"


def _of_heads(heads: Sequence[int] | None) -> str:
    return "" if heads is None else f" ({'head' if len(heads) == 1 else 'heads'} {_listed(heads)})"


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST


def _begin(edit: ActivationEdit) -> None:
    """What all kinds check: the point, the vector, the place."""
    make_plain(edit)
    Point.to_edit(edit.point)
    name, dims = _VECTORS[type(edit)]
    kind, value = type(edit).__name__, getattr(edit, name)
    if value is not None and not isinstance(value, Vector):
        value = Vector(value)
        object.__setattr__(edit, name, value)
    if value is None and not isinstance(edit, Ablate):
        raise UsageError(f"{kind} needs a {name}.")
    if value is not None and len(value.shape) != dims:
        wanted = "[width]" if dims == 1 else "[calls, width]"
        raise UsageError(f"{kind}'s {name} has the shape {wanted}, not {list(value.shape)}.")
    if not isinstance(edit.where, Where):
        raise UsageError(f"{kind}'s where is a Where, not {short(edit.where)}.")
    if edit.where.stages is not None and not Point.of(edit.point).of_depformer:
        raise UsageError(f"{edit.point} has no stages: leave Where's stages out, or name act.dep.L.resid.")


def _check_number(edit: Steer | Clamp, name: str) -> None:
    value = getattr(edit, name)
    if not is_number(value) or not math.isfinite(value):
        raise UsageError(f"{type(edit).__name__}'s {name} is a finite number, not {short(value)}.")


def _check_heads(edit: Ablate | Patch) -> None:
    if edit.heads is None:
        return
    kind = type(edit).__name__
    if not Point.of(edit.point).of_heads:
        raise UsageError(f"{kind} has heads, and {edit.point} has none: name act.L.heads.")
    if not isinstance(edit.heads, tuple | list) or not edit.heads or not all(map(_is_count, edit.heads)):
        raise UsageError(f"{kind}'s heads are whole numbers from 0, not {short(edit.heads)}.")
    object.__setattr__(edit, "heads", tuple(edit.heads))
