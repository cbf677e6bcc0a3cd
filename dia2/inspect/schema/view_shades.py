"""By which numbers of a call the explorer can colour cells: those columns of a view that the family declares."""

from __future__ import annotations

from typing import Any

from dia2.inspect.schema.column import Layout
from dia2.inspect.schema.view import View, text


def shades(view: View, layout: Layout) -> list[dict[str, Any]]:
    """What each is called, and counted in. Below 0 they say nothing: −1 stands for none."""
    found = []
    for name, values in view.columns.items():
        column = layout.columns.get(name)
        if column is None or values.shape != (view.header["calls"],) or name in ("call", "phase"):
            continue
        if isinstance(column.below, str):  # an id below the size of a vocabulary: what is near it means nothing
            continue
        found.append(
            {
                "column": name,
                "label": text(column.told.replace("_", " ").capitalize()),
                "told": text(column.meaning),
                "unit": text(column.unit),
            }
        )
    return found
