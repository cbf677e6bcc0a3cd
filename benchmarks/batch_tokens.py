"""Whether the rows of a batch have the tokens of their single runs, and where they part from them."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from dia2 import Dia2, Request
from dia2.adapter.parting import parting
from dia2.inspect import Dia2Trace, record

SCRIPT = "[S1] Hello there, my friend. [S2] Hi! How are you today?"


def partings(tts: Dia2, rows: int, options: dict[str, Any]) -> list[str]:
    """For each row of a batch where it parts from its single run, or `same`.

    Args:
        tts: what speaks `SCRIPT`, by a seed for each row.
        rows: in the batch.
        options: of all runs.
    """
    found = []
    with tempfile.TemporaryDirectory(prefix="dia2-batch-") as folder:
        for seed in range(rows):
            tts.generate(SCRIPT, seed=seed, **options, trace=_full(folder, f"{seed}.alone"))
        asked = [Request(SCRIPT, seed=seed, **options, trace=_full(folder, f"{seed}.row")) for seed in range(rows)]
        tts.generate_many(asked, max_rows=rows)
        for seed in range(rows):
            alone, row = (Dia2Trace.load(Path(folder) / f"{seed}.{which}") for which in ("alone", "row"))
            where = parting(alone, row)
            found.append("same" if where is None else str(where))
    return found


def told(found: list[str]) -> list[str]:
    """The lines that say so."""
    lines = [f"{found.count('same')} of {len(found)} rows have the tokens of their single runs"]
    return lines + [f"  seed {seed} parts at {where}" for seed, where in enumerate(found) if where != "same"]


def _full(folder: str, name: str) -> Any:
    """A recording that keeps all logits."""
    return record(Path(folder) / name, level="full", doctor=False)
