"""What a fine-tuning needs, counted before it begins: memory by what is kept, disk, and what would need less.

    python -m training.cost --shape 2b                               # full training of a published shape
    python -m training.cost --shape 2b --lora 128 --precision bfloat16 --checkpoint-activations

Nothing is computed: the losses run once on tensors that have shapes alone, and the bytes that autograd keeps for the
way back are added up. Kernels are taken for the CPU's; those of CUDA keep no more.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dia2.common.errors import Dia2Error, UsageError
from dia2.common.memory import in_words
from dia2.common.terminal.command import Parser
from dia2.core.config import DiaConfig, load_config
from dia2.core.lora import KINDS
from dia2.core.model import Dia2Model
from dia2.core.state_dict import NoInit
from training.language_model import Batch, LanguageTraining, Learning
from training.lora import Lora, check_lora
from training.saving import state_bytes

OPTIMIZERS = {"adamw": 8, "adamw8bit": 2}  # bytes of averages for each parameter
PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True)
class Method:
    """How it is trained, as far as that takes memory."""

    rank: int = 0  # of LoRA; 0: all parameters are trained
    alpha: float = 0.0  # of LoRA; 0: twice the rank
    kinds: tuple[str, ...] = KINDS  # of LoRA's targets
    precision: str = "float32"  # or bfloat16: of products, and of weights that stay as they are
    checkpointed: bool = False  # blocks are computed again on the way back
    optimizer: str = "adamw"

    @property
    def scale(self) -> float:
        """`lora_alpha`."""
        return self.alpha or 2.0 * self.rank

    @property
    def stored(self) -> torch.dtype:
        """Of the network's weights while it trains."""
        return torch.bfloat16 if self.rank and self.precision == "bfloat16" else torch.float32

    @property
    def autocast(self) -> bool:
        """Weights are more exact than products."""
        return self.precision == "bfloat16" and not self.rank

    def check(self) -> None:
        """Raise UsageError for what cannot be."""
        if self.rank:
            check_lora(self.rank, self.scale, self.kinds)
        for value, known in ((self.precision, PRECISIONS), (self.optimizer, OPTIMIZERS)):
            if value not in known:
                raise UsageError(f"There is no {value}: choose {' or '.join(known)}.")


@dataclass(frozen=True)
class Cost:
    """Bytes, and parameters."""

    parameters: int
    trained: int
    weights: int  # bytes, of those that are trained and of those that are not
    gradients: int
    averages: int  # of the optimiser
    activations: int  # of the largest batch, kept for the way back
    working: int  # beside them on that way: gradients of logits, or of the tables of codes

    @property
    def memory(self) -> int:
        """At most at one time, but for what kernels need while they run."""
        return self.weights + self.gradients + self.averages + self.activations + self.working

    @property
    def state(self) -> int:
        """On disk."""
        return state_bytes(self.trained)

    def said(self) -> str:
        """All of it in a line."""
        parts = {
            "weights": self.weights,
            "gradients": self.gradients,
            "optimiser": self.averages,
            "activations": self.activations,
            "working": self.working,
        }
        return f"{in_words(self.memory)}: " + ", ".join(f"{in_words(size)} {name}" for name, size in parts.items())


def count(config: DiaConfig, method: Method, learning: Learning, streams: int, frames: int) -> Cost:
    """What training takes with batches of `streams` · `frames`.

    Args:
        config: of the network.
        method: how it is trained.
        learning: the share of frames whose later codebooks are learnt, and whether there is dropout.
        streams: side by side.
        frames: of each.
    """
    from torch._subclasses.fake_tensor import FakeTensorMode  # brings sympy, which takes seconds

    with FakeTensorMode(), NoInit():
        model = Dia2Model(config, method.stored)
        training = prepared(_Counted(model, learning), method)
        kept = _activations(training, method, streams, frames, learning.depformer_share)
        parameters = sum(p.numel() for p in model.parameters())
        weights = sum(p.nbytes for p in training.parameters())
        trained = sum(p.numel() for p in training.parameters() if p.requires_grad)
        working = _working(training, round(learning.depformer_share * streams * frames), kept)
    averages = OPTIMIZERS[method.optimizer] * trained
    return Cost(parameters, trained, weights, 4 * trained, averages, kept, working)


def _working(training: LanguageTraining, frames: int, kept: int) -> int:
    """Bytes beside those that are kept: at the way's beginning, or at its end where nothing is kept any more.

    Args:
        training: the network.
        frames: whose later codebooks are learnt.
        kept: bytes.
    """
    depformer, table = training.model.depformer, training.model.transformer.audio_embeds.weight
    logits = 3 * 4 * frames * depformer.stages * depformer.num_codes
    tables = 2 * table.nbytes if table.requires_grad else 0  # each codebook's, and all as one
    return max(logits, tables - kept)


def largest(frames: int, longest: int) -> tuple[int, int]:
    """Streams and frames of a batch of so many frames at most, of recordings of which the longest has `longest`."""
    streams = max(1, frames // longest)
    return streams, max(longest, frames // streams)


def prepared(training: LanguageTraining, method: Method, seed: int = 0) -> LanguageTraining:
    """The network as `method` trains it: with LoRA as its part `lora`, or all of it wanting gradients."""
    if method.rank:
        training.add_module("lora", Lora(training.model, method.rank, method.scale, method.kinds, seed))
    else:
        training.model.requires_grad_(True)
    return training


class _Counted(LanguageTraining):
    """Which frames are chosen depends on draws, and here there are none: as many as are drawn in the mean."""

    def chosen(self, batch: Batch, generator: torch.Generator, share: float) -> Any:
        """Their indices, all 0."""
        first = torch.zeros(round(share * batch.positions.numel()), dtype=torch.long)
        return first, first


def _activations(training: LanguageTraining, method: Method, streams: int, frames: int, share: float) -> int:
    """Bytes that are kept between the way there and the way back."""
    codebooks = training.model.config.data.num_codebooks

    def ids(*shape: int) -> Tensor:
        return torch.zeros(streams, *shape, frames, dtype=torch.long)

    batch = Batch(
        tokens=ids(codebooks + 2),
        positions=ids(),
        actions=ids(),
        codes=ids(codebooks),
        emitted=ids(2),
        onset=ids().bool(),
        speaker=ids(),
        voice=ids(),
    )
    kept = _Kept({p.untyped_storage()._cdata for p in training.parameters()})
    blocks = [*training.model.transformer.layers, *training.model.depformer.layers]
    with kept.counting(), kept.apart(blocks), torch.autocast("cpu", torch.bfloat16, enabled=method.autocast):
        training.losses(batch, torch.Generator(), share)
    if not method.checkpointed:
        return kept.total
    copies = (
        2 * sum(p.numel() for p in training.parameters()) if method.autocast else 0
    )  # autocast's, while it computes
    return kept.checkpointed + copies


class _Kept:
    """The storages that autograd keeps, each once, without the parameters."""

    def __init__(self, parameters: set[int]) -> None:
        self._parameters = parameters
        self._storages: dict[int, Any] = {}
        self._of_block: list[int] = []
        self._into_blocks = 0
        self.total = 0

    @property
    def checkpointed(self) -> int:
        """Were only the inputs of blocks kept, and all of the one that is computed again."""
        return self.total - sum(self._of_block) + self._into_blocks + max(self._of_block, default=0)

    @contextmanager
    def counting(self) -> Iterator[None]:
        """A block in which what is kept counts."""
        with torch.autograd.graph.saved_tensors_hooks(self._pack, lambda tensor: tensor):
            yield

    @contextmanager
    def apart(self, blocks: list[nn.Module]) -> Iterator[None]:
        """A block in which that of each of these modules is known by itself."""
        before = 0

        def enter(module: nn.Module, given: tuple[Any, ...]) -> None:
            nonlocal before
            before = self.total
            self._into_blocks += given[0].nbytes

        def leave(module: nn.Module, given: tuple[Any, ...], out: Tensor) -> None:
            self._of_block.append(self.total - before)

        hooks = [block.register_forward_pre_hook(enter) for block in blocks]
        hooks += [block.register_forward_hook(leave) for block in blocks]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _pack(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in self._parameters and storage._cdata not in self._storages:
            self._storages[storage._cdata] = storage  # held, or another could come to the same address
            self.total += storage.nbytes()
        return tensor


def instead(config: DiaConfig, method: Method, learning: Learning, longest: int, free: int) -> list[str]:
    """What would fit into `free` bytes, as options; empty if nothing here does.

    Args:
        config: of the network.
        method: what does not fit.
        learning: with the frames of a batch.
        longest: frames of the longest recording, which a batch cannot be smaller than.
        free: bytes.
    """
    found = []
    for said, other in _lighter(method):
        cost = count(config, other, learning, *largest(learning.frames, longest))
        if cost.memory <= free:
            found.append(f"{said} ({in_words(cost.memory)})")
    whole = count(config, method, learning, *largest(learning.frames, longest))
    room = free - (whole.memory - whole.activations - whole.working)
    frames = learning.frames * room // max(1, whole.activations + whole.working)
    frames -= frames % longest  # streams are whole
    if (
        longest <= frames < learning.frames
        and count(config, method, learning, *largest(frames, longest)).memory <= free
    ):
        found.insert(0, f"--batch-frames {frames}")
    return found


def _lighter(method: Method) -> Iterator[tuple[str, Method]]:
    if not method.checkpointed:
        method = replace(method, checkpointed=True)
        yield "--checkpoint-activations", method
    if method.precision == "float32":
        method = replace(method, precision="bfloat16")
        yield "--checkpoint-activations --precision bfloat16", method
    if not method.rank:
        yield "--lora 16 --checkpoint-activations --precision bfloat16", replace(method, rank=16)


def shape_of(name: str) -> DiaConfig:
    """The config of a published shape, or of the file `name`."""
    from benchmarks.shapes import SHAPES, shape_config

    return shape_config(name) if name in SHAPES else load_config(Path(name))


def add_method_flags(parser: argparse.ArgumentParser) -> None:
    """How to train, as far as that takes memory."""
    group = parser.add_argument_group("memory")
    group.add_argument("--lora", type=int, metavar="RANK", default=0, help="train low-rank additions, not the weights")
    group.add_argument("--lora-alpha", type=float, metavar="ALPHA", help="their scale times RANK (default: 2 · RANK)")
    group.add_argument(
        "--lora-on", metavar="KINDS", default=",".join(KINDS), help="of which matrices (default: %(default)s)"
    )
    group.add_argument("--precision", choices=PRECISIONS, default="float32", help="of products (default: %(default)s)")
    group.add_argument("--checkpoint-activations", action="store_true", help="compute blocks twice, keep less")
    group.add_argument("--optimizer", choices=OPTIMIZERS, default="adamw", help="adamw8bit needs bitsandbytes")


def method_of(given: argparse.Namespace) -> Method:
    """What the flags say.

    Raises:
        UsageError: it cannot be.
    """
    if given.lora_alpha is not None and given.lora_alpha <= 0:
        raise UsageError(f"--lora-alpha {given.lora_alpha} is no scale: choose a number above 0.")
    if given.lora < 0:
        raise UsageError(f"--lora {given.lora} is no rank: choose 1 or more.")
    method = Method(
        rank=given.lora,
        alpha=given.lora_alpha or 0.0,
        kinds=tuple(kind.strip() for kind in given.lora_on.split(",")),
        precision=given.precision,
        checkpointed=given.checkpoint_activations,
        optimizer=given.optimizer,
    )
    method.check()
    return method


def main(arguments: list[str] | None = None) -> int:
    """Print what a shape takes; returns the exit code."""
    parser = Parser(prog="python -m training.cost", description="Count what a fine-tuning needs.")
    parser.add_argument("--shape", required=True, help="1b, 2b, or a config.json")
    parser.add_argument("--batch-frames", type=int, default=1500, help="of a batch (default: %(default)s)")
    parser.add_argument("--longest", type=int, default=768, help="frames of the longest recording (default: 60 s)")
    add_method_flags(parser)
    try:
        given = parser.parse_args(arguments)
        if not 1 <= given.longest <= given.batch_frames:
            raise UsageError("--longest is from 1 to --batch-frames.")
        method, learning = method_of(given), Learning(frames=given.batch_frames, dropout=0.05)
        streams, frames = largest(learning.frames, given.longest)
        cost = count(shape_of(given.shape), method, learning, streams, frames)
    except Dia2Error as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    print(f"parameters  {cost.trained:,} trained of {cost.parameters:,}")
    print(f"memory      {cost.said()} (activations of {streams} × {frames} frames)")
    print(f"disk        {in_words(cost.state)} for the state, twice while it is saved")
    return 0


if __name__ == "__main__":
    sys.exit(main())
