"""The hook points that follow from the columns and draws which a family declares."""

from __future__ import annotations

from collections.abc import Sequence

from dia2.common.hooks import EVERY_CALL, MAIN_CALL, HookPoint
from dia2.inspect.schema.column import Column, Layout
from dia2.inspect.schema.draw import DrawKind


def points_of(layout: Layout, draws: Sequence[DrawKind]) -> list[HookPoint]:
    """A point for each column that a call adds to, named as the column, and for what its draws chose among.

    Args:
        layout: the columns; one of level `full` that is called `logits` has those of all draws.
        draws: what a call draws.
    """
    drawn = {kind.column for kind in draws}
    points = [
        HookPoint(
            column.name,
            "time" if column.is_time else "value",
            MAIN_CALL if column.is_time or column.name in drawn else EVERY_CALL,
            f"{_shape(column)}{column.meaning}",
        )
        for column in map(layout.columns.__getitem__, layout.of_level("tokens"))
        if column.name not in ("call", "phase")
    ]
    if "logits" in layout.columns:
        points += [
            HookPoint(f"logits.{k.pattern}", "value", MAIN_CALL, "[V] float32 of the draw", "full") for k in draws
        ]
    return points + [
        HookPoint(f"draw.{k.pattern}", "value", MAIN_CALL, "Draw: what it chose among", "topk") for k in draws
    ]


def _shape(column: Column) -> str:
    axes = ", ".join(column.shape[1:])
    return f"[{axes}] " if axes else ""
