"""Train a sparse autoencoder on the activations of recorded runs.

    python -m training.sae OUT.safetensors --point act.2.resid --trace RUN.dia2trace [--trace …] [--hf REPO]

TopK: only the k largest features of each activation stay, so that nothing has to pull them to zero. Features that have
not fired for a while are fitted to what the others leave, which keeps them alive. Some 50,000 activations and 2,000
steps take two minutes of one core.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dia2 import Dia2
from dia2.adapter.trace import Dia2Trace
from dia2.analysis.gather import check_traces, samples
from dia2.analysis.sae import Sae
from dia2.common.errors import Dia2Error
from dia2.common.files import check_writable


@dataclass(frozen=True)
class SaeRecipe:
    """How an autoencoder is trained."""

    features: int = 1024
    k: int = 16
    steps: int = 2000
    batch: int = 512
    rate: float = 1e-3
    dead: int = 200  # steps without firing, and a feature counts as dead
    revived: float = 1 / 32  # weight of what dead features are fitted to
    seed: int = 0


def train(values: np.ndarray, recipe: SaeRecipe, progress: Callable[[int, float], None] | None = None) -> Sae:
    """Fit an autoencoder to activations.

    Args:
        values: [n, width] float32.
        recipe: how.
        progress: called with (steps done, the share of variance that is left).

    Returns:
        One that does not say yet what it was trained on.
    """
    generator = torch.Generator().manual_seed(recipe.seed)
    x = torch.from_numpy(np.ascontiguousarray(values, np.float32))
    width, spread = x.shape[1], float((x - x.mean(dim=0)).square().mean())
    directions = torch.randn(recipe.features, width, generator=generator)
    directions /= directions.norm(dim=1, keepdim=True)
    sae = Sae(
        directions.T.clone(), torch.zeros(recipe.features), directions, x.mean(dim=0), min(recipe.k, recipe.features)
    )
    weights = [sae.W_enc, sae.b_enc, sae.W_dec, sae.b_dec]
    for weight in weights:
        weight.requires_grad_()
    optimizer = torch.optim.Adam(weights, lr=recipe.rate)
    idle = torch.zeros(recipe.features)  # steps since each feature fired
    for step in range(recipe.steps):
        for group in optimizer.param_groups:  # the last fifth of the way down to nothing
            group["lr"] = recipe.rate * min(1.0, 5 * (1 - step / recipe.steps))
        given = x[torch.randint(0, len(x), (recipe.batch,), generator=generator)]
        found = sae.features(given)
        left = given - (found @ sae.W_dec + sae.b_dec)
        loss = left.square().mean()
        idle = torch.where((found > 0).any(dim=0), 0.0, idle + 1)
        whole = loss + recipe.revived * _revival(sae, given, left.detach(), idle > recipe.dead)
        for weight, slope in zip(weights, torch.autograd.grad(whole, weights), strict=True):
            weight.grad = _across(slope, weight) if weight is sae.W_dec else slope
        optimizer.step()
        with torch.no_grad():
            sae.W_dec.div_(sae.W_dec.norm(dim=1, keepdim=True))
        if progress is not None and (step + 1) % 100 == 0:
            progress(step + 1, float(loss.detach()) / spread)
    return replace(sae, **{name: getattr(sae, name).detach() for name in ("W_enc", "b_enc", "W_dec", "b_dec")})


def _revival(sae: Sae, given: Tensor, left: Tensor, dead: Tensor) -> Tensor:
    """How far the largest of the dead features are from what the others leave of `given` [n, width]; 0 without any."""
    count = min(int(dead.sum()), 2 * sae.k)
    if not count:
        return left.new_zeros(())
    before = ((given - sae.b_dec) @ sae.W_enc + sae.b_enc).masked_fill(~dead, -torch.inf)
    best = before.topk(count, dim=-1)
    features = torch.zeros_like(before).scatter(-1, best.indices, best.values.relu())
    return (left - features @ sae.W_dec).square().mean()


def _across(slope: Tensor, directions: Tensor) -> Tensor:
    """A gradient [F, width] without what would only make the directions longer or shorter."""
    along = (slope * directions.detach()).sum(dim=1, keepdim=True)
    return slope - along * directions.detach()


def train_on(
    traces: Sequence[Dia2Trace],
    tts: Dia2,
    point: str,
    recipe: SaeRecipe,
    progress: Callable[[int, float], None] | None = None,
) -> Sae:
    """Fit one to the activations of recorded runs.

    Args:
        traces: of one checkpoint.
        tts: that checkpoint.
        point: such as `act.2.resid`.
        recipe: how.
        progress: see `train`.

    Raises:
        UsageError: another checkpoint, or no such point.
        TraceError: a trace was redacted.
    """
    listed = check_traces(traces, "training.sae")
    read = samples(listed, tts, [point], [np.arange(trace.warmup_calls, len(trace)) for trace in listed])
    return replace(train(read.values[point], recipe, progress), point=point, checkpoint=read.checkpoint)


def main(argv: list[str] | None = None) -> int:
    """Train one, and write it."""
    parser = argparse.ArgumentParser(prog="python -m training.sae", description="Train a sparse autoencoder.")
    parser.add_argument("out", type=Path, help="the .safetensors file to write")
    parser.add_argument("--point", default="act.2.resid", help="what it is trained on (default: %(default)s)")
    parser.add_argument("--trace", type=Path, action="append", required=True, help="a recorded run; again for more")
    parser.add_argument("--hf", help="the checkpoint's repository (default: the embedded checkpoint)")
    for name, kind in (("features", int), ("k", int), ("steps", int), ("seed", int)):
        default = getattr(SaeRecipe, name)
        parser.add_argument(f"--{name}", type=kind, default=default, help="(default: %(default)s)")
    args = parser.parse_args(argv)
    recipe = SaeRecipe(features=args.features, k=args.k, steps=args.steps, seed=args.seed)
    try:
        check_writable(args.out)
        tts = Dia2.from_repo(args.hf) if args.hf else Dia2.nano()
        traces = [Dia2Trace.load(path) for path in args.trace]
        sae = train_on(traces, tts, args.point, recipe, lambda step, left: print(f"step {step}: {left:.1%} left"))
        sae.save(args.out)
    except Dia2Error as error:
        print(error, file=sys.stderr)
        return 1
    print(args.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
