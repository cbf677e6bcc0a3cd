"""Datasets of sweeps that nobody made: as many runs as a test wants, in a second."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from dia2.inspect.sweeps import dataset
from dia2.inspect.sweeps.destination import Destination
from dia2.inspect.sweeps.rows import kind_of, runs_table

SCRIPTS = ["[S1] Hello there. [S2] Hi!", "[S1] Good morning, all of you."]
GRID: dict[str, list[Any]] = {
    "script": SCRIPTS,
    "seed": list(range(1, 51)),
    "cfg_scale": [1.0, 2.0, 3.0, 4.0, 5.0],
    "temperature": [0.6, 0.8],
}


def grid_of(count: int) -> dict[str, list[Any]]:
    """A grid of `count` runs, a multiple of 20."""
    return GRID | {"seed": list(range(1, count // 20 + 1))}


def write_sweep(
    folder: Path, grid: Mapping[str, Sequence[Any]] = GRID, *, calls: int = 0, texts: Sequence[str] = (), seed: int = 0
) -> Path:
    """Write a dataset whose measures depend on its settings; every 40th run failed.

    Args:
        folder: where to.
        grid: of the plan.
        calls: of each run; 0: the dataset has no table of them.
        texts: of a column `remark`, one run after the other.
        seed: of what is drawn.
    """
    rng, there = np.random.default_rng(seed), Destination(folder)
    rows: list[dict[str, Any]] = []
    for number, values in enumerate(product(*grid.values())):
        settings = dict(zip(grid, values, strict=True))
        cfg, warm = float(settings.get("cfg_scale", 1)), float(settings.get("temperature", 0.8))
        row = {
            "run": f"{number:04x}{rng.integers(2**32):08x}",
            "status": "done",
            "tries": 1,
            "device": "cpu",
            **settings,
        }
        if number % 40 == 39:
            rows.append(row | {"status": "failed", "tries": 2, "error": "The process that made it died, twice."})
            continue
        measures = {
            "noise": float(rng.normal()),
            "words": int(rng.poisson(8 + cfg)),
            "seconds_per_word": float(0.25 + 0.02 * cfg + rng.normal(0, 0.03)),
            "surprise": float(3.2 - 0.3 * cfg + 2 * (warm - 0.6) + rng.normal(0, 0.25)),
            "surprise_nats": 0.0,  # the same in another unit
            "cut": bool(rng.random() < 0.04 * cfg),
        }
        measures["surprise_nats"] = measures["surprise"] * 0.693
        ended = {"stop_reason": "end", "seconds": float(rng.uniform(2, 6)), "trace": f"traces/{row['run']}.dia2trace"}
        remark = {"remark": texts[number % len(texts)]} if texts else {}
        rows.append(row | ended | measures | remark)
    names = list(dict.fromkeys(name for row in rows for name in row))
    fixed = {"run", "status", "error", "tries", "trace", "device", "started", "seconds", "stop_reason", "recordings"}
    kinds = {name: kind_of([row.get(name) for row in rows]) for name in names if name not in fixed}
    tables = {dataset.RUNS: runs_table(rows, kinds)}
    if calls:
        tables[dataset.CALLS] = _calls([row for row in rows if row["status"] == "done"], calls, rng)
    dataset.commit(there, "nano-00000000", dataset.group_name(row["run"] for row in rows), tables)
    there.write("plans/0.json", json.dumps({"grid": {name: list(values) for name, values in grid.items()}}).encode())
    return folder


def _calls(rows: Sequence[Mapping[str, Any]], calls: int, rng: np.random.Generator) -> pa.Table:
    """Runs of one script share what they begin with; one more guided parts earlier."""
    parts = []
    for row in rows:
        at = int(rng.integers(1, max(2, calls - int(5 * float(row.get("cfg_scale", 1))))))
        shared = np.random.default_rng(len(str(row["script"]))).integers(0, 9, (calls, 5))
        own = np.concatenate((shared[:at], rng.integers(10, 99, (calls - at, 5))))
        names = {"run": pa.array([row["run"]] * calls, pa.string()), "call": pa.array(range(calls), pa.int32())}
        drawn = {
            "action": pa.array(own[:, 0], pa.int32()),
            "codes": pa.array(own[:, 1:].tolist(), pa.list_(pa.int32())),
        }
        parts.append(pa.table(names | drawn | {"time_frame": pa.array(rng.random(calls), pa.float32())}))
    return pa.concat_tables(parts)
