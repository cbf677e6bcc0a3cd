"""What a step of Dia costs, beside transformers' implementation and the time of reading the weights once.

    python benchmarks/dia_step.py [--shape tiny|1.6b] [--dtype float32|bfloat16] [--steps 12] [--compile]

The same random weights are in both. All take turns, step by step, in one process: ratios compare neighbours in time.
“forward” is a row through the decoder to its logits, as transformers' is, with its dynamic cache; after that its
generation loop would still filter and draw. “step” is all of ours: forward, guidance, filters, draw, countdown. The
floor is a read of a large tensor, for as many bytes as a step takes of weights: those of the decoder's layers once, the
cross-attention's keys and values left out.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from dia_shapes import SPECIAL, TINY, Ours, random_model, weight_bytes
from report import keep
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor
from transformers import DiaConfig as TheirConfig
from transformers import DiaForConditionalGeneration, EncoderDecoderCache
from transformers.cache_utils import DynamicCache
from transformers.modeling_outputs import BaseModelOutput

from dia.config import DiaConfig, parse_config
from dia.generation import GenerationConfig
from dia.layers import DiaModel
from dia.state import UNKNOWN
from dia.weights import flat_views
from dia2.core.state_dict import NoInit

FIRST = 60  # rows that stand in the caches when measuring begins


def configs(shape: str) -> tuple[TheirConfig, DiaConfig]:
    """The same sizes for both; those of Dia-1.6B are the defaults of both."""
    sizes = TINY if shape == "tiny" else {}
    theirs = TheirConfig(
        encoder_config=sizes.get("encoder_config", {}),
        decoder_config=sizes.get("decoder_config", {}) | SPECIAL,
    )
    return theirs, parse_config(theirs.to_dict())


def models(shape: str, dtype: torch.dtype) -> tuple[Any, DiaModel]:
    """Both implementations with the same random weights."""
    their_config, our_config = configs(shape)
    with NoInit():
        theirs = DiaForConditionalGeneration(their_config).to(dtype).eval().requires_grad_(False)
    ours = random_model(our_config, dtype)
    state = theirs.state_dict()
    for name, view in flat_views(ours).items():
        state[name].copy_(view)
    return theirs, ours


class Theirs:
    """transformers' forward pass over the rows that ours has made."""

    def __init__(self, model: Any, ours: Ours) -> None:
        self._model, self._ours = model, ours
        self._encoded = BaseModelOutput(last_hidden_state=ours.encoded)
        self._mask = ours.text_mask.long()
        self._cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
        self._row = 0

    def step(self) -> Tensor:
        """The next row."""
        tokens = self._ours.state.output.generated_tokens[:, self._row : self._row + 1]
        assert int(tokens.min()) != UNKNOWN, "ours is ahead"
        out = self._model(
            encoder_outputs=self._encoded,
            attention_mask=self._mask,
            decoder_input_ids=tokens.repeat_interleave(2, dim=0),
            past_key_values=self._cache,
            use_cache=True,
        )
        self._row += 1
        logits: Tensor = out.logits
        return logits


def timed(run: Callable[[], object]) -> float:
    """Milliseconds."""
    began = time.perf_counter()
    run()
    return 1000 * (time.perf_counter() - began)


def main() -> None:
    """Print the table, keep the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", default="1.6b", choices=("tiny", "1.6b"))
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--steps", type=int, default=12, help="measured of each (default: %(default)s)")
    parser.add_argument("--compile", action="store_true", help="ours through torch.compile as well")
    given = parser.parse_args()
    console = Console()
    theirs_model, model = models(given.shape, getattr(torch, given.dtype))
    rows = FIRST + given.steps + 40
    ours = {"": Ours(model, GenerationConfig(temperature=1.2), rows)}
    if given.compile:
        ours[", compiled"] = Ours(model, GenerationConfig(temperature=1.2, use_torch_compile=True), rows)
    theirs = Theirs(theirs_model, ours[""])
    size = weight_bytes(model)
    memory = torch.ones(min(size, 1 << 30) // 4)
    for _ in track(range(FIRST), console=console, description="settling"):
        for run in ours.values():
            run.step()
        theirs.step()
    variants: dict[str, Callable[[], object]] = {}
    for name, run in ours.items():
        variants |= {f"forward{name}": run.forward, f"step{name}": run.step}
    variants |= {"transformers": theirs.step, "read": memory.sum}
    found: dict[str, list[float]] = {name: [] for name in variants}
    for turn in track(range(given.steps), console=console, description="measuring"):
        names = list(variants)
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            if name == "transformers" and theirs._row > ours[""]._row - 1:
                ours[""].step()  # it reads what ours has made
            found[name].append(timed(variants[name]))
    bandwidth = memory.nbytes / median(found["read"]) / 1e6  # GB a second
    floor = size / bandwidth / 1e6
    table = Table("", "ms", "of transformers'", "share of the floor", title=f"{given.shape} {given.dtype}")
    figures: dict[str, Any] = {}
    for name in list(variants)[:-1]:
        ratios = [mine / other for mine, other in zip(found[name], found["transformers"], strict=True)]
        figures[name] = {"ms": median(found[name]), "ratio": median(ratios), "share": floor / median(found[name])}
        row = figures[name]
        table.add_row(name, f"{row['ms']:.1f}", f"{row['ratio']:.3f}", f"{row['share']:.0%}")
    console.print(table)
    console.print(f"{size / 1e9:.2f} GB a step; {torch.get_num_threads()} threads read {bandwidth:.1f} GB a second")
    content = {"shape": given.shape, "dtype": given.dtype, "bytes": size, "read_gb_a_second": bandwidth}
    keep(console, f"dia_step_{given.shape}_{given.dtype}", content | {"steps": given.steps, "rows": figures})


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    main()
