"""Names of places in the network, such as `act.2.resid`: what the registry lists, read part by part."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from dia2.common.checks import short
from dia2.common.errors import UsageError
from dia2.common.hooks import HookPoint
from dia2.runtime.points import ACTIVATIONS

_LAYER = r"(?P<layer>0|[1-9]\d{0,3})"
_NAMES = {re.compile(re.escape(point.name).replace(r"\{l\}", _LAYER)): point for point in ACTIVATIONS}


class Point(NamedTuple):
    """A place in the network."""

    part: str  # embed, resid, attn, mlp, heads, hidden; q, k, v, pattern; of the depformer dep.resid, dep.heads
    layer: int | None  # of the ends none

    @property
    def of_heads(self) -> bool:
        """What each head gives, in place of one vector."""
        return self.part in ("heads", "dep.heads")

    @property
    def of_depformer(self) -> bool:
        """It stands in each stage of the depformer."""
        return self.part.startswith("dep.")

    @classmethod
    def of(cls, name: object) -> Point:
        """The point of a name such as `act.2.resid`.

        Raises:
            UsageError: there is none; says which there are.
        """
        point, found = _declared(name)
        return cls(
            point.name.removeprefix("act.").replace("{l}.", ""), int(found["layer"]) if "{l}" in point.name else None
        )

    @classmethod
    def to_edit(cls, name: object) -> Point:
        """The point of a name that edits can change.

        Raises:
            UsageError: there is none, or it can only be read; says which there are.
        """
        point, _ = _declared(name)
        if not _edited(point):
            raise UsageError(
                f"{name} can be read and not changed: an edit is of {_listed(filter(_edited, ACTIVATIONS))}."
            )
        return cls.of(name)


def _declared(name: object) -> tuple[HookPoint, re.Match[str]]:
    """What the registry has under a name."""
    if isinstance(name, str):
        for pattern, point in _NAMES.items():
            found = pattern.fullmatch(name)
            if found is not None:
                return point, found
    raise UsageError(f"A point is {_listed(ACTIVATIONS)}, not {short(name)}.")


def _edited(point: HookPoint) -> bool:
    return point.activation is not None and point.activation.edited


def _listed(points: Iterable[HookPoint]) -> str:
    *names, last = (point.name.replace("{l}", "L") for point in points)
    return f"{', '.join(names)} or {last}, of a layer L"
