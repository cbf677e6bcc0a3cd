"""Fine-tune a checkpoint on your own recordings.

    python -m training.finetune RECORDINGS OUTPUT                                # from the embedded checkpoint
    python -m training.finetune RECORDINGS OUTPUT --from nari-labs/Dia2-1B       # from a published one, on a GPU

The same streams, losses and loop as in the recipe; docs/finetuning.md is the guide. The codec stays as it is.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from dia2.audio.grid import write_wav
from dia2.common.checks import read_small
from dia2.common.errors import Dia2Error, UsageError
from dia2.engine import Dia2
from dia2.generation import GenerationConfig, load_script_text
from dia2.runtime.assets import codec_folder
from dia2.runtime.context import RuntimeContext
from dia2.runtime.script_parser import parse_script
from dia2.runtime.speaking import speaking
from dia2.runtime.turns import finish
from training.checkpoint import write_checkpoint
from training.language_model import Batches, LanguageTraining, Learning, validate
from training.loop import Schedule, fit
from training.prepare import add_data_options, preparation_of
from training.recordings.preparing import JudgedRecordings, judge_recordings, prepare
from training.streams import Language

STORED = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
SCRIPT = "[S1] Hello there. How are you today? [S2] Not too bad, thank you. And you?"
LEARNING = Learning(prefix_share=0.2, lost_frames=0.05, wrong_codes=0.03, dropout=0.05)  # recordings are few


@dataclass(frozen=True)
class Tuning:
    """What to learn from, and how."""

    output: Path
    steps: int = 300
    rate: float = 2e-4
    every: int = 50  # steps between validations
    script: str = SCRIPT  # spoken at every validation
    stored: torch.dtype = torch.float32  # of the checkpoint that is written
    seed: int = 0
    learning: Learning = LEARNING


def finetune(tts: Dia2, tuning: Tuning, judged: JudgedRecordings) -> dict[str, float]:
    """Train the checkpoint of `tts` on recordings; the result is `output/checkpoint`.

    What is learnt is kept every two minutes and at Ctrl-C; the same call goes on from there.

    Args:
        tts: the checkpoint to begin with, in float32. It is changed in place.
        tuning: how to learn.
        judged: what to learn from; its preparation's output is that of `tuning`.

    Returns:
        The last losses.

    Raises:
        UsageError: no recordings, or one that cannot be used.
        Dia2Error: something could not be loaded or written.
    """
    runtime = tts.runtime
    if runtime.dtype != torch.float32:
        raise UsageError(f"Training needs float32 weights, not {runtime.dtype}: say --dtype float32.")
    prepared = prepare(runtime, judged)
    seen, unseen = prepared.seen, prepared.unseen
    language = Language(runtime.config, runtime.encode, runtime.constants)
    training = LanguageTraining(runtime.model.requires_grad_(True), tuning.learning)
    batches = Batches(language, seen, tuning.learning)

    def evaluate(step: int) -> dict[str, float]:
        say(runtime, tuning, tuning.output / "audio" / f"step-{step:06d}.wav")
        return validate(training, batches, unseen) if unseen else {}

    figures = fit(
        tuning.output / "run",
        training,
        lambda g: training.step(batches.draw(g), g),
        Schedule(tuning.steps, tuning.rate, warmup=min(50, max(1, tuning.steps // 10))),
        evaluate=evaluate,
        evaluate_every=tuning.every,
        seed=tuning.seed,
        title="fine-tuning",
    )
    runtime.model.requires_grad_(False).eval()
    config = json.loads(read_small(runtime.assets.config_path))
    config["assets"] = {"tokenizer": "tokenizer", "mimi": "mimi"}
    mimi = Path(codec_folder(runtime.assets.mimi))
    write_checkpoint(tuning.output / "checkpoint", config, runtime.model, runtime.tokenizer, mimi, tuning.stored)
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
    parser = argparse.ArgumentParser(prog="python -m training.finetune", description="Fine-tune on your recordings.")
    parser.add_argument("recordings", type=Path, help="folder of sound files with transcripts, or a table of them")
    parser.add_argument("output", type=Path, help="folder of the run and of its checkpoint")
    parser.add_argument("--from", dest="source", help="hub repo or folder; the embedded checkpoint if none")
    parser.add_argument("--steps", type=int, default=Tuning.steps)
    parser.add_argument("--rate", type=float, default=Tuning.rate, help="learning rate at its peak")
    parser.add_argument("--batch-frames", type=int, default=1500, help="of a batch, about; fewer need less memory")
    parser.add_argument("--every", type=int, default=Tuning.every, help="steps between validations")
    parser.add_argument("--script", default=SCRIPT, help="spoken at every validation: text or a file")
    add_data_options(parser)
    parser.add_argument("--store", choices=STORED, default="float32", help="of the weights that are written")
    parser.add_argument("--device")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    try:
        judged = judge_recordings(preparation_of(given))  # seconds; the checkpoint may take minutes
        tts = _source(given.source, given.device)
        tuning = Tuning(
            given.output,
            steps=given.steps,
            rate=given.rate,
            every=given.every,
            script=load_script_text(given.script),
            stored=STORED[given.store],
            seed=given.seed,
            learning=replace(LEARNING, frames=given.batch_frames),
        )
        finetune(tts, tuning, judged)
    except Dia2Error as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on from here", file=sys.stderr)
        return 130
    print(f"{given.output / 'checkpoint'}: dia2 generate out.wav --hf {given.output / 'checkpoint'}")
    return 0


def _source(source: str | None, device: str | None) -> Dia2:
    if source is None:
        print(
            "note: the embedded checkpoint's codec knows two synthetic voices: other voices will come out poorly; "
            "begin with --from and a published checkpoint for a human voice",
            file=sys.stderr,
        )
        return Dia2.nano(device=device, dtype="float32")
    return Dia2.from_repo(source, device=device, dtype="float32")


if __name__ == "__main__":
    sys.exit(main())
