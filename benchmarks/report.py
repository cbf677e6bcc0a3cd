"""Where benchmarks leave their figures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console


def results_folder() -> Path:
    """The folder of their JSON."""
    folder = Path(__file__).parent / "results"
    folder.mkdir(exist_ok=True)
    return folder


def keep(console: Console, name: str, facts: Mapping[str, object]) -> None:
    """Write the figures of the benchmark called `name`, and say where."""
    path = results_folder() / f"{name}.json"
    path.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    console.print(f"written to {path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}")
