"""Points as axes name them: `act.2.resid` is L2, `act.2.mlp` L2 mlp, and head 1 of `act.2.heads` L2H1."""

from __future__ import annotations

import re

_POINT = re.compile(r"act\.(?P<layer>\d+)\.(?P<part>\w+)(?:\[(?P<head>\d+)\])?")


def short_name(point: str) -> str:
    """The name of a point, or of one of its heads, on an axis."""
    found = _POINT.fullmatch(point)
    if found is None:
        return point.removeprefix("act.")
    layer = f"L{found['layer']}"
    if found["head"] is not None:
        return f"{layer}H{found['head']}"
    return layer if found["part"] == "resid" else f"{layer} {found['part']}"
