"""What a fine-tuning will take, told before its first step; what cannot be is refused there."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from dia2.common.errors import UsageError
from dia2.common.memory import free_bytes, in_words
from dia2.common.wording import counted
from dia2.runtime.context import RuntimeContext
from training.cost import Cost, Method, count, instead, largest
from training.language_model import Batches, LanguageTraining, Learning
from training.processes import Processes
from training.streams import Utterance

_TIMED = 3  # steps


@dataclass(frozen=True)
class Plan:
    """How much there is to do."""

    steps: int
    batches_a_step: int  # in all processes together
    batches: Batches
    seen: Sequence[Utterance]
    unseen: Sequence[Utterance]
    longest: int  # frames

    @property
    def epochs(self) -> float:
        """How often each recording is learnt from."""
        return self.steps * self.batches_a_step / self.batches.per_epoch()


def before_first_step(
    runtime: RuntimeContext,
    method: Method,
    learning: Learning,
    plan: Plan,
    output: Path,
    stored: torch.dtype,
) -> Cost:
    """Tell what will be learnt from, memory and disk.

    Args:
        runtime: loaded.
        method: how it is trained.
        learning: with the frames of a batch.
        plan: how much.
        output: where it is written.
        stored: the dtype of the checkpoint.

    Raises:
        UsageError: memory or disk are too small; says what would fit.
    """
    cost = count(runtime.config, method, learning, *largest(learning.frames, plan.longest))
    free = free_bytes(runtime.device)
    room = None if free is None else free + runtime.weight_bytes  # those are there already
    disk, left = _disk(cost, method, stored), shutil.disk_usage(output).free
    print(f"parameters  {cost.trained:,} trained of {cost.parameters:,}")
    print(f"recordings  {_said(plan.seen)} to learn from; {_said(plan.unseen)} held back")
    print(
        f"a step      {counted(plan.batches_a_step, 'batch')} of at most {learning.frames} frames; "
        f"{counted(plan.steps, 'step')} are {plan.epochs:.1f} epochs"
    )
    print(f"memory      {cost.said()}" + ("" if room is None else f"; {in_words(room)} are there") + " (counted)")
    print(f"disk        {in_words(disk)} at most; {in_words(left)} are free", flush=True)
    if not plan.unseen:
        print("note: nothing is held back of a single recording, so no step is known to be the best: the last is kept")
    if room is not None and cost.memory > room:
        others = instead(runtime.config, method, learning, plan.longest, room)
        raise UsageError(
            f"Training needs {in_words(cost.memory)}, and {in_words(room)} are there: "
            + (f"try {', or '.join(others)}." if others else "take a larger machine.")
        )
    if disk > left:
        raise UsageError(f"{output} needs {in_words(disk)}, and {in_words(left)} are free: write elsewhere.")
    return cost


def tell_time(training: LanguageTraining, batches: Batches, processes: Processes, plan: Plan) -> None:
    """Time three steps without their update, which leave everything as it was, and tell how long all take."""
    spent = []
    training.train()
    for number in range(_TIMED):
        begin = time.monotonic()
        generator = torch.Generator().manual_seed(number)
        with processes.computing():
            loss = training.step(batches.draw(generator), generator)["loss"]
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        training.zero_grad(set_to_none=True)
        if training.device.type == "cuda":
            torch.cuda.synchronize(training.device)
        spent.append(time.monotonic() - begin)
    step = sorted(spent)[_TIMED // 2] * plan.batches_a_step / processes.count
    print(
        f"time        {step:.2f} s a step (three timed): {_minutes(step * plan.steps)} for "
        f"{counted(plan.steps, 'step')}, validations apart",
        flush=True,
    )


def digest_of(*utterances: Sequence[Utterance]) -> str:
    """Of what is learnt from and of what is held back: another one where a word or a code is another."""
    found = hashlib.sha256()
    for part in utterances:
        found.update(f"{len(part)}\n".encode())
        for utterance in part:
            found.update(repr(utterance.spoken).encode())
            found.update(utterance.codes.to(torch.int32).numpy().tobytes())
    return found.hexdigest()[:8]


def _disk(cost: Cost, method: Method, stored: torch.dtype) -> int:
    """Bytes of the state and what is kept, each twice while it is replaced."""
    kept = 4 * cost.trained if method.rank else cost.parameters * stored.itemsize
    return 2 * (cost.state + kept)


def _said(utterances: Sequence[Utterance]) -> str:
    seconds = sum(utterance.codes.shape[1] for utterance in utterances) / 12.5
    words = sum(bool(entry.text) for utterance in utterances for entry in utterance.spoken)
    return f"{len(utterances):,} ({seconds / 60:.1f} min, {counted(words, 'word')})"


def _minutes(seconds: float) -> str:
    return (
        f"{seconds:.0f} s"
        if seconds < 100
        else f"{seconds / 60:.0f} min"
        if seconds < 6000
        else f"{seconds / 3600:.1f} h"
    )
