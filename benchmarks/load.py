"""What loading costs: its time against reading the file, and the peak of memory against the weights.

    python benchmarks/load.py [--shape nano|300m|1b|2b] [--stored float32] [--dtype bfloat16] [--rounds 5] [--folder F]

A checkpoint of random weights is written to a temporary folder, tensor by tensor. Then child processes, each of which
has imported everything and done nothing yet, by turns load it (`load`), read it into one small buffer (`read`), or
take memory of the weights' size and write a byte to each of its pages (`take`); first with the file in the page cache,
then, where the system lets go of it when asked, without. Loading has to do both.

The peak is that of the resident set while loading, less what was resident before: the weights count, the libraries do
not. It is told where it can be reset, on Linux. Ratios are medians of each round's: its processes are neighbours in
time.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from report import keep
from rich.console import Console
from rich.progress import track
from rich.table import Table
from shapes import shape_config

from dia2.common.memory import forget_peak_host_bytes, in_words, peak_host_bytes, resident_bytes
from dia2.core.model import Dia2Model
from dia2.runtime.weights import load_model, weight_bytes

STORED = {"float32": "F32", "bfloat16": "BF16", "float16": "F16"}
KINDS = ("read", "take", "load")
PAGE = 4096  # bytes; of larger pages some bytes more are written
READ = 1 << 20  # bytes at a time: what a plain copy of the file would do


def write_checkpoint(path: Path, shape: str, stored: str) -> int:
    """Random weights, a tensor in memory at a time; returns the bytes of the file.

    Raises:
        SystemExit: the disk has too little room.
    """
    with torch.device("meta"):
        tensors = Dia2Model(shape_config(shape)).state_dict()
    dtype = getattr(torch, stored)
    header, end = {}, 0
    for name, tensor in tensors.items():
        begin, end = end, end + tensor.numel() * dtype.itemsize
        header[name] = {"dtype": STORED[stored], "shape": list(tensor.shape), "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    free = shutil.disk_usage(path.parent).free
    if free < 1.05 * end:
        raise SystemExit(
            f"{path.parent} has {in_words(free)} free, the checkpoint takes {in_words(end)}: give --folder."
        )
    torch.manual_seed(0)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors.values():
            values = torch.empty(tensor.shape).normal_(0, tensor.shape[-1] ** -0.5).to(dtype)
            file.write(values.view(torch.uint8).flatten().numpy())
        file.flush()
        os.fsync(file.fileno())  # pages that are not on the disk yet cannot be dropped
    return path.stat().st_size


def drop_from_cache(path: Path) -> bool:
    """Ask the system to forget the file's pages; whether it can be asked."""
    if not hasattr(os, "posix_fadvise"):
        return False
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return True


def read_plainly(path: Path) -> None:
    """Read the whole file, keep nothing."""
    buffer = bytearray(READ)
    with path.open("rb", buffering=0) as file:
        while file.readinto(buffer):
            pass


def take_memory(size: int) -> torch.Tensor:
    """Memory that nobody has used before, every page of it touched."""
    memory = torch.empty(size, dtype=torch.uint8)
    memory[::PAGE] = 1
    return memory


def child(what: str, path: Path, shape: str, dtype: str) -> None:
    """One measurement, printed as JSON: in a process that has imported everything and done nothing."""
    config = shape_config(shape)
    before = resident_bytes() if forget_peak_host_bytes() else None
    began, used, size = time.perf_counter(), time.process_time(), 0
    if what == "read":
        read_plainly(path)
    elif what == "take":
        with torch.device("meta"):
            size = weight_bytes(Dia2Model(config, getattr(torch, dtype)))
        began, used = time.perf_counter(), time.process_time()
        take_memory(size)
    else:
        model = load_model(config, path, device=torch.device("cpu"), dtype=getattr(torch, dtype), strict=True)
        size = weight_bytes(model)
    found = {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - used, "bytes": size}
    peak = peak_host_bytes()
    print(json.dumps(found | {"peak": None if before is None or peak is None else peak - before}))


def measure(path: Path, arguments: argparse.Namespace, cold: bool, console: Console) -> dict[str, Any]:
    """All rounds, either with the file in the page cache or without."""
    rows: dict[str, list[dict[str, Any]]] = {what: [] for what in KINDS}
    if not cold:
        read_plainly(path)
    for turn in track(range(arguments.rounds), console=console, description="cold" if cold else "warm"):
        for what in KINDS if turn % 2 == 0 else reversed(KINDS):
            if cold:
                drop_from_cache(path)
            command = [sys.executable, __file__, "--child", what, "--folder", str(path)]
            command += ["--shape", arguments.shape, "--dtype", arguments.dtype]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603  # this very file
            rows[what].append(json.loads(done.stdout))
    rounds = list(zip(*([row["seconds"] for row in rows[what]] for what in KINDS), strict=True))
    ratios = {
        "read": [load / read for read, _, load in rounds],
        "read_and_take": [load / (read + take) for read, take, load in rounds],
    }
    size, peaks = rows["load"][0]["bytes"], [row["peak"] for row in rows["load"] if row["peak"] is not None]
    return {
        "cache": "cold" if cold else "warm",
        **{
            f"{what}_{key}": statistics.median(row[key] for row in rows[what])
            for what in rows
            for key in ("seconds", "cpu_seconds")
        },
        **{f"load_to_{base}": statistics.median(found) for base, found in ratios.items()},
        **{f"load_to_{base}_least": min(found) for base, found in ratios.items()},
        **{f"load_to_{base}_most": max(found) for base, found in ratios.items()},
        "weight_bytes": size,
        "peak_bytes": max(peaks) if peaks else None,
        "peak_ratio": max(peaks) / size if peaks else None,
    }


def main() -> None:
    """Print the table, keep the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", default="300m", choices=("nano", "300m", "1b", "2b"))
    parser.add_argument("--stored", default="float32", choices=STORED, help="dtype in the file")
    parser.add_argument("--dtype", default="bfloat16", choices=("float32", "bfloat16"), help="dtype to load as")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", help="where the checkpoint is written meanwhile (default: the temporary folder)")
    parser.add_argument("--child", choices=KINDS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments.child, Path(arguments.folder), arguments.shape, arguments.dtype)
        return
    console, threads = Console(), torch.get_num_threads()
    with tempfile.TemporaryDirectory(prefix="dia2-load-", dir=arguments.folder) as folder:
        path = Path(folder) / "model.safetensors"
        size = write_checkpoint(path, arguments.shape, arguments.stored)
        console.print(
            f"{arguments.shape}: {in_words(size)} of {arguments.stored} as {arguments.dtype}, {threads} threads"
        )
        rows = [measure(path, arguments, False, console)]
        if drop_from_cache(path):
            rows.append(measure(path, arguments, True, console))
    table = Table(
        "cache", "read, s", "take, s", "load, s", "load / read", "/ (read + take)", "weights", "peak", "/ weights"
    )
    for row in rows:
        table.add_row(
            row["cache"],
            *(f"{row[f'{what}_seconds']:.2f}" for what in KINDS),
            f"{row['load_to_read']:.2f}",
            f"{row['load_to_read_and_take']:.2f}",
            in_words(row["weight_bytes"]),
            in_words(row["peak_bytes"]) if row["peak_bytes"] else "?",
            f"{row['peak_ratio']:.3f}" if row["peak_ratio"] else "?",
        )
    console.print(table)
    facts = {"shape": arguments.shape, "stored": arguments.stored, "dtype": arguments.dtype, "file_bytes": size}
    facts |= {"threads": threads, "rounds": arguments.rounds, "rows": rows}
    keep(console, f"load_{arguments.shape}_{arguments.stored}_{arguments.dtype}", facts)


if __name__ == "__main__":
    main()
