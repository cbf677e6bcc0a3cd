"""What bfloat16 and int8 change: logits and most likely tokens of one run, beside float32's.

    python benchmarks/precision.py [--calls 500]

The embedded checkpoint speaks a long script in float32. The other precisions then compute the logits of the same tokens
(teacher-forced, by `replay`) for its first calls. An error is relative to the largest logit of its call and kind.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import torch
from report import keep
from rich.console import Console
from rich.table import Table
from shapes import SCRIPT
from torch import Tensor

from dia2 import Dia2
from dia2.adapter.replay import Replay, replay
from dia2.inspect import load

PRECISIONS: dict[str, dict[str, Any]] = {
    "bfloat16": {"dtype": "bfloat16"},
    "float32, int8 weights": {"quantize": "int8"},
    "bfloat16, int8 weights": {"dtype": "bfloat16", "quantize": "int8"},
}


def conditional(found: Replay) -> dict[str, Tensor]:
    """Logits of the conditional branch by kind, each [calls, draws, tokens]."""
    return {
        "action": found.action[:, :1],
        "codebook 0": found.cb0[:, :1],
        "codebooks 1 …": found.dep[:, :, 0],
    }


def compare(ours: Tensor, theirs: Tensor) -> dict[str, float]:
    """How far `ours` [calls, draws, tokens] lies from `theirs`."""
    error = (ours - theirs).abs().amax(dim=-1) / theirs.abs().amax(dim=-1)  # [calls, draws]
    best = theirs.topk(2, dim=-1).values
    changed = ours.argmax(dim=-1) != theirs.argmax(dim=-1)
    margin = (best[..., 0] - best[..., 1]) / theirs.abs().amax(dim=-1)
    return {
        "median_error": float(error.median()),
        "largest_error": float(error.max()),
        "same_argmax": 1 - float(changed.float().mean()),
        "largest_margin_lost": float(margin[changed].max()) if changed.any() else 0.0,
    }


def main() -> None:
    """Print the table, keep the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=500, help="to compare (default: %(default)s)")
    arguments = parser.parse_args()
    console = Console()
    exact = Dia2.nano(dtype="float32")
    with tempfile.TemporaryDirectory(prefix="dia2-precision-") as folder:
        exact.generate(SCRIPT, seed=1, trace=Path(folder) / "run.dia2trace")
        trace = load(Path(folder) / "run.dia2trace")
        calls = slice(min(arguments.calls, len(trace)))
        wanted = conditional(replay(trace, exact, calls))
        rows = [
            {"precision": name, "kind": kind} | compare(logits, wanted[kind])
            for name, options in PRECISIONS.items()
            for kind, logits in conditional(replay(trace, Dia2.nano(**options), calls)).items()
        ]
    counted = len(wanted["action"])
    table = Table("precision", "of", "median error", "largest", "same most likely", "largest margin lost")
    for row in rows:
        table.add_row(
            str(row["precision"]),
            str(row["kind"]),
            f"{row['median_error']:.4f}",
            f"{row['largest_error']:.4f}",
            f"{row['same_argmax']:.1%}",
            f"{row['largest_margin_lost']:.4f}",
        )
    console.print(f"nano, {counted} calls of one run, the same tokens")
    console.print(table)
    keep(console, "precision_nano", {"calls": counted, "rows": rows})


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    main()
