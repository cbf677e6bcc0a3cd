"""Fine-tune a checkpoint on your own recordings.

    python -m training.finetune RECORDINGS OUTPUT                                # from the embedded checkpoint
    python -m training.finetune RECORDINGS OUTPUT --from nari-labs/Dia2-1B       # from a published one, on a GPU

The same streams, losses and loop as in the recipe; docs/finetuning.md is the guide. The codec stays as it is.
"""

from __future__ import annotations

import math
import os
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from dia2.audio.grid import write_wav
from dia2.common.errors import UsageError
from dia2.common.terminal.command import Parser
from dia2.core.precision import pick_device
from dia2.engine import Dia2
from dia2.generation import GenerationConfig, load_script_text
from dia2.runtime.context import RuntimeContext
from dia2.runtime.script_parser import parse_script
from dia2.runtime.speaking import speaking
from dia2.runtime.turns import finish
from training.afterwards import afterwards
from training.commands import resumable
from training.cost import Method, add_method_flags, method_of, prepared
from training.curves import draw_losses
from training.keeping import Keeping
from training.language_model import Batches, LanguageTraining, Learning, validate
from training.loop import Schedule, fit
from training.memory import checkpoint_blocks, optimizer_of
from training.plan import Plan, before_first_step, digest_of, tell_time
from training.prepare import add_data_options, preparation_of
from training.processes import Alone, Launched, Processes, launched
from training.recordings.preparing import Preparation, PreparedRecordings, judge_recordings, prepare
from training.recordings.timing import language_code
from training.streams import Language

STORED = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
SCRIPT = "[S1] Hello there. How are you today? [S2] Not too bad, thank you. And you?"
LEARNING = Learning(prefix_share=0.2, lost_frames=0.05, wrong_codes=0.03, dropout=0.05)  # recordings are few
_RATE, _RATE_SIZE = 2e-4, 5e6  # the learning rate that suits nano, and nano's parameters
_LORA_RATE = 10.0  # times that of all weights
_SEEDS = 1 << 40
ALL = Method()


@dataclass(frozen=True)
class Tuning:
    """How to learn, and where."""

    output: Path
    steps: int = 300
    rate: float | None = None  # at its peak; none: `default_rate`
    every: int = 50  # steps between validations
    patience: int = 0  # validations without a better one, after which to stop; 0: never
    accumulate: int = 1  # batches of a step
    script: str = SCRIPT  # spoken at every validation
    stored: torch.dtype = torch.float32  # of the checkpoint that is written
    seed: int = 0
    learning: Learning = LEARNING
    method: Method = ALL
    merge: bool = False  # a LoRA into a checkpoint at the end
    compare: bool = False  # with what it came from, when all is done

    def check(self) -> None:
        """Raise UsageError for a number that cannot be meant."""
        for flag, number in (
            ("--steps", self.steps),
            ("--every", self.every),
            ("--accumulate", self.accumulate),
            ("--batch-frames", self.learning.frames),
        ):
            if number < 1:
                raise UsageError(f"{flag} {number} cannot be: give 1 or more.")
        if self.patience < 0:
            raise UsageError(f"--patience {self.patience} cannot be: give 1 or more, or 0 to never stop early.")
        if self.rate is not None and not (math.isfinite(self.rate) and self.rate > 0):
            raise UsageError(f"--rate {self.rate} cannot be: give a number above 0, such as {_RATE:g}.")
        for flag, weight in (
            ("--cb0-weight", self.learning.cb0_weight),
            ("--padding-weight", self.learning.padding_weight),
        ):
            if not (math.isfinite(weight) and weight >= 0):
                raise UsageError(f"{flag} {weight} cannot be: give 0 or more.")
        if abs(self.seed) > _SEEDS:
            raise UsageError(f"--seed {self.seed} cannot be: give one of at most {_SEEDS:,}.")
        if self.merge and not self.method.rank:
            raise UsageError("--merge puts a LoRA into the weights: give --lora RANK too.")
        self.method.check()

    @property
    def adapter(self) -> Path:
        """The LoRA that is written, if it is one."""
        return self.output / "lora.safetensors"


def default_rate(parameters: int, rank: int) -> float:
    """The learning rate where none is given: for nano's size as it was found, for others by the root of their size.

    Args:
        parameters: of the network.
        rank: of LoRA, which bears ten times the rate; 0: all is trained.
    """
    rate = _RATE * min(1.0, (_RATE_SIZE / max(1, parameters)) ** 0.5)
    return float(f"{rate * (_LORA_RATE if rank else 1):.1g}")


def finetune(
    tts: Dia2, tuning: Tuning, recordings: PreparedRecordings, processes: Processes | None = None
) -> dict[str, float]:
    """Train the checkpoint of `tts` on recordings: the best of it is `output/checkpoint`, or `output/lora.safetensors`.

    What is learnt is kept now and then and at Ctrl-C; the same call goes on from there.

    Args:
        tts: the checkpoint to begin with, in the precision of `tuning.method.stored`. It is changed in place.
        tuning: how to learn.
        recordings: what to learn from, and what measures it.
        processes: where it is computed; this one alone if none.

    Returns:
        The last losses.

    Raises:
        UsageError: no recordings, or one that cannot be used; a number that cannot be; too little memory or disk.
        Dia2Error: something could not be loaded or written.
    """
    tuning.check()
    runtime, method = tts.runtime, tuning.method
    if runtime.dtype != method.stored or runtime.assets.lora is not None:
        wanted = str(method.stored).removeprefix("torch.")
        raise UsageError(
            f"This training needs {wanted} weights without a LoRA: load the checkpoint with dtype={wanted}."
        )
    processes = processes or Alone(runtime.device, "bfloat16" if method.autocast else "float32")
    first = processes.rank == 0
    seen, unseen = recordings.seen, recordings.unseen
    language = Language(runtime.config, runtime.encode, runtime.constants)
    batches = Batches(language, seen, tuning.learning)
    longest = max(map(batches.frames_of, [*seen, *unseen]))
    training = prepared(LanguageTraining(runtime.model, tuning.learning), method, tuning.seed)
    if method.checkpointed:
        checkpoint_blocks(runtime.model)
    parameters = sum(p.numel() for p in runtime.model.parameters())
    rate = tuning.rate or default_rate(parameters, method.rank)
    tuning.output.mkdir(parents=True, exist_ok=True)
    if first:
        plan = Plan(tuning.steps, tuning.accumulate * processes.count, batches, seen, unseen, longest)
        before_first_step(runtime, method, tuning.learning, plan, tuning.output, tuning.stored)
        tell_time(training, batches, processes, plan)
    sample = seen[: max(1, len(unseen))]

    def evaluate(step: int) -> dict[str, float]:
        if first:
            say(runtime, tuning, tuning.output / "audio" / f"step-{step:06d}.wav")
        held = validate(training, batches, unseen) if unseen else {}
        return held | {"seen": validate(training, batches, sample)["loss"]}

    keeping = Keeping(runtime, training, tuning.output / "checkpoint", tuning.stored, tuning.adapter)
    try:
        figures = fit(
            tuning.output / "run",
            training,
            lambda g: processes.forward(batches.draw(g), g),
            Schedule(tuning.steps, rate, warmup=min(50, max(1, tuning.steps // 10))),
            evaluate=evaluate,
            evaluate_every=tuning.every,
            evaluate_first=True,
            seed=tuning.seed,
            title="fine-tuning",
            optimizer=optimizer_of(method.optimizer),
            accumulate=tuning.accumulate,
            processes=processes,
            saved=training.get_submodule("lora") if method.rank else None,
            settings={
                "seed": tuning.seed,
                "batch frames": tuning.learning.frames,
                "batches a step": tuning.accumulate * processes.count,
                "recordings": digest_of(seen, unseen),
            },
            keep=keeping if first else None,
            patience=tuning.patience,
        )
    finally:
        if first:
            draw_losses(tuning.output / "run", tuning.output / "losses.png")
    runtime.model.requires_grad_(False).eval()
    if first and tuning.merge:
        keeping.merge()
    return figures


def say(runtime: RuntimeContext, tuning: Tuning, path: Path) -> None:
    """Speak the validation script with the weights as they are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with runtime.computing():
        entries = parse_script([tuning.script], runtime.encode, runtime.constants, runtime.frame_rate)
        result = finish(speaking(runtime, GenerationConfig(seed=tuning.seed), None, entries))
    write_wav(path, result.waveform, result.sample_rate)


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = Parser(prog="python -m training.finetune", description="Fine-tune on your recordings.")
    parser.add_argument("recordings", type=Path, help="folder of sound files with transcripts, or a table of them")
    parser.add_argument("output", type=Path, help="folder of the run and of its checkpoint")
    parser.add_argument("--from", dest="source", help="hub repo or folder; the embedded checkpoint if none")
    parser.add_argument("--steps", type=int, default=Tuning.steps, help="(default: %(default)s)")
    parser.add_argument("--rate", type=float, help="learning rate at its peak (default: by the network's size)")
    parser.add_argument("--batch-frames", type=int, default=1500, help="of a batch at most (default: %(default)s)")
    parser.add_argument("--accumulate", type=int, default=1, help="batches of a step (default: %(default)s)")
    parser.add_argument("--every", type=int, default=Tuning.every, help="steps between validations")
    parser.add_argument("--patience", type=int, default=0, help="stop after so many validations without a better one")
    parser.add_argument("--cb0-weight", type=float, default=LEARNING.cb0_weight, help="of codebook 0 in the loss")
    parser.add_argument(
        "--padding-weight", type=float, default=LEARNING.padding_weight, help="of frames that ask for no new word"
    )
    parser.add_argument("--script", default=SCRIPT, help="spoken at every validation: text or a file")
    add_data_options(parser)
    parser.add_argument("--store", choices=STORED, default="float32", help="of the weights that are written")
    parser.add_argument("--merge", action="store_true", help="write a LoRA also as a whole checkpoint")
    parser.add_argument(
        "--compare", action="store_true", help="let Whisper compare it, by what is held back, with what it came from"
    )
    parser.add_argument("--device")
    parser.add_argument("--seed", type=int, default=0)
    add_method_flags(parser)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C, while recordings are prepared too

    def run() -> None:
        given = parser.parse_args(arguments)
        tuning = Tuning(
            given.output,
            steps=given.steps,
            rate=given.rate,
            every=given.every,
            patience=given.patience,
            accumulate=given.accumulate,
            script=load_script_text(given.script),
            stored=STORED[given.store],
            seed=given.seed,
            learning=replace(
                LEARNING,
                frames=given.batch_frames,
                cb0_weight=given.cb0_weight,
                padding_weight=given.padding_weight,
            ),
            method=method_of(given),
            merge=given.merge,
            compare=given.compare,
        )
        tuning.check()
        if _run(tuning, preparation_of(given), given.source, given.device):
            print(speak_command(tuning, given.source))

    return resumable(run, "give --batch-frames less, --checkpoint-activations, or --lora 16")


def _run(tuning: Tuning, preparation: Preparation, source: str | None, device: str | None) -> bool:
    """Prepare and train; returns whether this is the process that tells of it."""
    dtype = str(tuning.method.stored).removeprefix("torch.")
    if not launched():
        judged = judge_recordings(preparation)  # seconds; the checkpoint may take minutes
        tts = _source(source, device, dtype)
        recordings = prepare(tts.runtime, judged)
        finetune(tts, tuning, recordings)
        del tts  # the comparison loads what it needs
        _compare(tuning, preparation, recordings, source, device)
        return True
    processes = Launched(pick_device(device), "bfloat16" if tuning.method.autocast else "float32")
    with processes.first_alone(), _muted(processes.rank > 0):  # it prepares the recordings; the others find them
        judged = judge_recordings(preparation)
        tts = _source(source, str(processes.device), dtype)
        recordings = prepare(tts.runtime, judged)
    finetune(tts, tuning, recordings, processes)
    first = bool(processes.rank == 0)
    if first:
        del tts
        _compare(tuning, preparation, recordings, source, str(processes.device))
    return first


def _compare(
    tuning: Tuning, preparation: Preparation, recordings: PreparedRecordings, source: str | None, device: str | None
) -> None:
    if not tuning.compare:
        return
    before: dict[str, Any] = {"nano": True} if source is None else {"hf": source}
    lora = tuning.method.rank and not tuning.merge
    after = before | {"lora": str(tuning.adapter)} if lora else {"hf": str(tuning.output / "checkpoint")}
    model = {"device": device} if device else {}
    code = language_code(preparation.language or "en", preparation.whisper)
    afterwards(before, after, tuning.output / "compared", recordings, preparation.whisper, code, model)


@contextmanager
def _muted(really: bool) -> Iterator[None]:
    """Nothing is told in this block: another process tells the same."""
    with Path(os.devnull).open("w") as nowhere, ExitStack() as stack:
        if really:
            stack.enter_context(redirect_stdout(nowhere))
            stack.enter_context(redirect_stderr(nowhere))
        yield


def speak_command(tuning: Tuning, source: str | None) -> str:
    """How to speak with what was learnt, as a line for a shell."""
    checkpoint = tuning.output / "checkpoint"
    if tuning.method.rank and not tuning.merge:
        written, flags = tuning.adapter, [*(["--hf", source] if source else []), "--lora", str(tuning.adapter)]
    else:
        written, flags = checkpoint, ["--hf", str(checkpoint)]
    return f"{written}: {shlex.join(['dia2', 'generate', 'out.wav', *flags, '--input', '[S1] Hello.'])}"


def _source(source: str | None, device: str | None, dtype: str) -> Dia2:
    if source is None:
        print(
            "note: the embedded checkpoint's codec knows two synthetic voices: other voices will come out poorly; "
            "begin with --from and a published checkpoint for a human voice",
            file=sys.stderr,
        )
        return Dia2.nano(device=device, dtype=dtype)
    return Dia2.from_repo(source, device=device, dtype=dtype)


if __name__ == "__main__":
    sys.exit(main())
