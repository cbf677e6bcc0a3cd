"""Declared interventions on activations: what the network goes on with, in place of what it has computed.

    Steer("act.2.resid", direction, scale=0.5, where=Where(calls=(0, 9)))
    Ablate("act.2.heads", heads=(1,))
    Patch("act.2.resid", recorded, first=57)
    Clamp("act.2.resid", direction, value=3.0)

A point is a place in the transformer, by the field's names: `act.embed` is the residual stream before the first layer,
`act.L.resid` the one after layer L, `act.L.attn` and `act.L.mlp` what the layer adds to it, `act.L.heads` what each
head gives before attention's output projection, `act.hidden` what all that is drawn is computed from.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from typing import Any, Literal

import torch

from dia2.common.checks import is_number, make_plain, short
from dia2.common.errors import UsageError
from dia2.runtime.activation_point import Point as Point  # of this module for whoever edits

Branches = Literal["both", "conditional", "unconditional"]


class Vector:
    """Numbers of an edit; two are the same if their numbers are."""

    def __init__(self, values: Any) -> None:
        """Keep a copy in float32.

        Args:
            values: [width], or [n, width]: a tensor, an array, a list.

        Raises:
            UsageError: they are no finite numbers, or of another shape.
        """
        try:
            tensor = torch.as_tensor(values).detach().to("cpu", torch.float32, copy=True).contiguous()
        except (TypeError, ValueError, RuntimeError) as error:
            raise UsageError(f"A vector is made of numbers, not of {short(values)}.") from error
        if tensor.dim() not in (1, 2) or not tensor.numel():
            raise UsageError(f"A vector has the shape [width] or [n, width], not {list(tensor.shape)}.")
        if not bool(tensor.isfinite().all()):
            raise UsageError("A vector is made of finite numbers, and this one is not.")
        self.tensor = tensor
        shape = "x".join(map(str, tensor.shape))
        self.digest = hashlib.sha256(shape.encode() + tensor.numpy().tobytes()).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vector) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"Vector({list(self.tensor.shape)}, {self.digest[:8]})"


@dataclass(frozen=True)
class Where:
    """In which calls and branches; all conditions hold together."""

    calls: tuple[int, int] | None = None  # the first and the last; `None`: all
    words: tuple[int, ...] | None = None  # numbers of words: the last one that the machine has taken is one of them
    speakers: tuple[int, ...] | None = None  # 1, 2: that word's speaker is one of them
    branches: Branches = "both"  # of guidance; without it there is the conditional one alone

    def __post_init__(self) -> None:
        """Refuse what is no place.

        Raises:
            UsageError: says what may be given.
        """
        for name in ("calls", "words", "speakers"):
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

    def holds(self, call: int, word: int | None, speaker: int | None) -> bool:
        """Whether it is here.

        Args:
            call: counted from 0, over warm-up and main loop.
            word: the last one that the machine has taken; `None`: none yet.
            speaker: of that word.
        """
        if self.calls is not None and not self.calls[0] <= call <= self.calls[1]:
            return False
        if self.words is not None and word not in self.words:
            return False
        return self.speakers is None or speaker in self.speakers

    def lanes(self, branches: int) -> slice:
        """Of which branches, the conditional one first."""
        if self.branches == "both":
            return slice(0, branches)
        return slice(0, 1) if self.branches == "conditional" else slice(1, branches)


EVERYWHERE = Where()


@dataclass(frozen=True)
class Steer:
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
        _begin(self, "vector", 1)
        _check_number(self, "scale")


@dataclass(frozen=True)
class Ablate:
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
        _begin(self, "to", 1)
        _check_heads(self)


@dataclass(frozen=True)
class Patch:
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
        _begin(self, "values", 2)
        _check_heads(self)
        if not _is_count(self.first):
            raise UsageError(f"Patch's first call is a whole number from 0, not {short(self.first)}.")


@dataclass(frozen=True)
class Clamp:
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
        _begin(self, "direction", 1)
        _check_number(self, "value")
        if Point.of(self.point).part == "heads":
            raise UsageError("Clamp moves what has one width, not the heads of a layer: clamp act.L.attn.")
        if not float(self.direction.tensor.norm()):
            raise UsageError("Clamp's direction is zero, and so points nowhere.")


ActivationEdit = Steer | Ablate | Patch | Clamp


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31


def _begin(edit: ActivationEdit, name: str, dims: int) -> None:
    """What all kinds check: the point, the vector of this name, the place."""
    make_plain(edit)
    Point.to_edit(edit.point)
    kind, value = type(edit).__name__, getattr(edit, name)
    if value is not None and not isinstance(value, Vector):
        value = Vector(value)
        object.__setattr__(edit, name, value)
    if value is None and not isinstance(edit, Ablate):
        raise UsageError(f"{kind} needs a {name}.")
    if value is not None and value.tensor.dim() != dims:
        wanted = "[width]" if dims == 1 else "[calls, width]"
        raise UsageError(f"{kind}'s {name} has the shape {wanted}, not {list(value.tensor.shape)}.")
    if not isinstance(edit.where, Where):
        raise UsageError(f"{kind}'s where is a Where, not {short(edit.where)}.")


def _check_number(edit: Steer | Clamp, name: str) -> None:
    value = getattr(edit, name)
    if not is_number(value) or not math.isfinite(value):
        raise UsageError(f"{type(edit).__name__}'s {name} is a finite number, not {short(value)}.")


def _check_heads(edit: Ablate | Patch) -> None:
    if edit.heads is None:
        return
    kind = type(edit).__name__
    if Point.of(edit.point).part != "heads":
        raise UsageError(f"{kind} has heads, and {edit.point} has none: name act.L.heads.")
    if not isinstance(edit.heads, tuple | list) or not edit.heads or not all(map(_is_count, edit.heads)):
        raise UsageError(f"{kind}'s heads are whole numbers from 0, not {short(edit.heads)}.")
    object.__setattr__(edit, "heads", tuple(edit.heads))
