"""What a prefix costs: the warm-up in one pass against the machine's own rate, and a second start with the same voice.

    python benchmarks/prefix.py [--shape nano|300m|1b|2b] [--dtype float32|bfloat16] [--frames 125] [--rounds 5]

One round measures everything once, and rounds follow one another, so what disturbs the machine disturbs all of them
alike; a figure is the median over the rounds, after one that is not counted.

- Machine: `torch.nn.functional.linear` with the largest matrix of every layer in turn and B × frames rows; B = 2, since
  guidance is on. Floating-point operations of a product are 2 × elements of the matrix × rows.
- One pass: the whole of `warmup_with_prefix`, machine included. Its operations are 2 × elements of all matrices of the
  transformer's layers × B × frames: no embeddings, no heads, no attention scores, although it computes those too.
- Call by call: the first frames of the same prefix, one frame a pass. The difference is that of the cache's slots after
  both, relative to the largest value of each key or value vector.
- Second start: all of `open_session`, tensors and state machine included, with the prefix in the warm cache.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from report import keep
from rich.console import Console
from rich.progress import track
from rich.table import Table
from shapes import SCRIPT, runtime
from torch import Tensor

from dia2 import GenerationConfig
from dia2.runtime.context import RuntimeContext
from dia2.runtime.generator import WARMUP_CHUNK, build_initial_state, warmup_with_prefix
from dia2.runtime.script_parser import parse_script
from dia2.runtime.session import open_session
from dia2.runtime.voice_clone import PrefixPlan, combine_voices, words_to_entries
from dia2.runtime.words import Word

BRANCHES = 2
ONE_PASS_SHARE = 0.6  # of the machine's rate, at least
SECOND_START_SHARE = 0.05  # of the first warm-up, at most
CONFIG = GenerationConfig(seed=1)


def prefix_of(target: RuntimeContext, frames: int) -> PrefixPlan:
    """A prefix of random codes, with a word every half second."""
    draw = torch.Generator().manual_seed(0)
    codes = torch.randint(target.mimi.codebook_size, (target.config.data.num_codebooks, frames), generator=draw)
    words = [Word("hello", at / 2, at / 2 + 0.4) for at in range(max(1, int(2 * frames / target.frame_rate) - 1))]
    return combine_voices([words_to_entries(words, target.encode, 1, target.frame_rate)], [codes])


class Measurement:
    """The variants, and the seconds that each took in each round."""

    def __init__(self, target: RuntimeContext, frames: int, few: int) -> None:
        self.target, self.plan, self.few = target, prefix_of(target, frames), few
        self.start = PrefixPlan(self.plan.entries, self.plan.new_word_steps, self.plan.aligned_tokens[:, :few])
        self.script = parse_script([SCRIPT], target.encode, target.constants, target.frame_rate, after_prefix=True)
        layers = [[p for p in layer.parameters() if p.ndim == 2] for layer in target.model.transformer.layers]
        self.matrices = [max(layer, key=Tensor.numel) for layer in layers]
        self.elements = sum(matrix.numel() for layer in layers for matrix in layer)
        self.rows = BRANCHES * frames
        self.inputs = torch.randn(self.rows, self.matrices[0].shape[1], device=target.device, dtype=target.dtype)
        self.warm_bytes = 0  # of the prefix in the warm cache
        self.seconds: defaultdict[str, list[float]] = defaultdict(list)

    def round(self) -> None:
        """Everything once."""
        self._timed("machine", self._products)
        for name, plan, chunk in (("one pass", self.plan, WARMUP_CHUNK), ("call by call", self.start, 1)):
            self.target.forget()
            self._warm_up(name, plan, chunk)
        self.target.forget()
        self._timed("first start", self._open)
        self._timed("second start", self._open)
        self.warm_bytes = self.target.warm.nbytes

    def difference(self) -> float:
        """Of the first frames' keys and values, one pass against call by call."""
        found = []
        for plan, chunk in ((self.plan, WARMUP_CHUNK), (self.start, 1)):
            self.target.forget()
            cache = self._warm_up("", plan, chunk).decode.transformer
            found.append(torch.stack([cache.keys[:, :, :, : self.few], cache.values[:, :, :, : self.few]]).float())
        many, one = found
        scale = one.abs().amax(dim=-1, keepdim=True).clamp(min=1e-6)
        return float(((many - one).abs() / scale).max())

    def _products(self) -> None:
        for matrix in self.matrices:
            F.linear(self.inputs, matrix)

    def _warm_up(self, name: str, plan: PrefixPlan, chunk: int) -> Any:
        gen = build_initial_state(self.target, CONFIG, 1, plan)
        state = self.target.machine.new_state(list(plan.entries))
        self._timed(name, lambda: warmup_with_prefix(self.target, CONFIG, plan, state, gen, chunk=chunk))
        return gen

    def _open(self) -> None:
        open_session(self.target, CONFIG, self.plan, self.script)

    def _timed(self, name: str, work: Callable[[], object]) -> None:
        self._settle()
        began = time.perf_counter()
        work()
        self._settle()
        self.seconds[name].append(time.perf_counter() - began)

    def _settle(self) -> None:
        if self.target.device.type == "cuda":
            torch.cuda.synchronize(self.target.device)

    def facts(self) -> dict[str, Any]:
        """The figures, by the median of all rounds but the first."""
        taken = {name: float(np.median(seconds[1:])) for name, seconds in self.seconds.items() if name}
        machine = 2 * sum(matrix.numel() for matrix in self.matrices) * self.rows / taken["machine"] / 1e9
        one_pass = 2 * self.elements * self.rows / taken["one pass"] / 1e9
        return {
            "rows": self.rows,
            "largest_matrix": list(self.matrices[0].shape),
            "matrix_elements": self.elements,
            "seconds": taken,
            "rounds": {name: seconds[1:] for name, seconds in self.seconds.items() if name},
            "machine_gflops": machine,
            "one_pass_gflops": one_pass,
            "one_pass_share": one_pass / machine,
            "call_by_call_frames": self.few,
            "call_by_call_ms_a_frame": 1000 * taken["call by call"] / self.few,
            "one_pass_ms_a_frame": 1000 * taken["one pass"] / self.plan.aligned_frames,
            "kv_difference": self.difference(),
            "second_start_share": taken["second start"] / taken["one pass"],
            "warm_bytes": self.warm_bytes,
        }


def main() -> None:
    """Print the table, keep the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", default="300m", choices=("nano", "300m", "1b", "2b"))
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"), help="nano is float32 always")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N")
    parser.add_argument("--frames", type=int, default=125, help="of the prefix (125 are ten seconds)")
    parser.add_argument("--few", type=int, default=8, help="frames of it that are also taken call by call")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    console = Console()
    target = runtime(arguments.shape, getattr(torch, arguments.dtype), arguments.device)
    with target.computing():
        measurement = Measurement(target, arguments.frames, min(arguments.few, arguments.frames))
        for _ in track(range(arguments.rounds + 1), console=console, description="measuring"):
            measurement.round()
        assert target.warm.hits == arguments.rounds + 1, "a second start did not find the prefix"
        found = measurement.facts()
        threads = torch.get_num_threads()
    dtype = str(target.dtype).removeprefix("torch.")
    known = {"shape": arguments.shape, "dtype": dtype, "device": str(target.device), "threads": threads}
    known |= {"parameters": sum(p.numel() for p in target.model.parameters()), "frames": arguments.frames}
    console.print(
        f"{known['shape']}: {known['parameters']:,} parameters, {dtype} on {target.device}, {threads} threads, "
        f"a prefix of {arguments.frames} frames, {found['rows']} rows"
    )
    console.print(table(found))
    name = f"prefix_{arguments.shape}_{dtype}" + ("" if target.device.type == "cpu" else f"_{target.device.type}")
    keep(console, name, known | found)


def table(found: dict[str, Any]) -> Table:
    """The figures for people."""
    shown = Table("", "ms", "GFLOP/s", "", "wanted")
    ms = {name: f"{1000 * seconds:.1f}" for name, seconds in found["seconds"].items()}
    size = " × ".join(map(str, found["largest_matrix"]))
    shown.add_row("machine", ms["machine"], f"{found['machine_gflops']:.1f}", f"largest matrix of each layer, {size}")
    share = f"{found['one_pass_share']:.1%} of the machine, {found['one_pass_ms_a_frame']:.2f} ms a frame"
    shown.add_row("one pass", ms["one pass"], f"{found['one_pass_gflops']:.1f}", share, f"≥ {ONE_PASS_SHARE:.0%}")
    by_call = f"{found['call_by_call_frames']} frames, {found['call_by_call_ms_a_frame']:.2f} ms a frame"
    shown.add_row("call by call", ms["call by call"], "", by_call)
    shown.add_row("KV, one pass against call by call", "", "", f"differ by {found['kv_difference']:.1e} at most")
    shown.add_row("first start", ms["first start"], "", "open_session, the warm-up in it")
    again = f"{found['second_start_share']:.1%} of the first warm-up, {found['warm_bytes'] / 1e6:.1f} MB kept"
    shown.add_row("second start", ms["second start"], "", again, f"≤ {SECOND_START_SHARE:.0%}")
    return shown


if __name__ == "__main__":
    main()
