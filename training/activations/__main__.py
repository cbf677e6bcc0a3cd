"""Figures of what a checkpoint's activations do, in tables.

    python -m training.activations FOLDER [--checkpoint FOLDER] [--whisper base] [--quick]

Three questions: how far a direction turns the voice and what that costs of the words; which head reads the text; what
can be read from each layer. Directions and probes learn from sentences of the training split, the strength is chosen on
those of the validation split, and all figures are of the test split. Whatever is done is kept in FOLDER: stopped, it
goes on where it was. `figures.md` and `figures.json` there have the results.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from dia2 import Dia2
from dia2.adapter.activations import checkpoint_of
from dia2.common.errors import Dia2Error, UsageError
from dia2.common.files import write_atomically
from training.activations.heads import HeadPlan, heads, without
from training.activations.listening import Voices
from training.activations.reading import TARGETS, reading
from training.activations.rows import Rows
from training.activations.scripts import alone, dialogues, digest
from training.activations.speaking import Bench, Say, recorded
from training.activations.steering import SteeringPlan, steering
from training.activations.tables import tables
from training.judge import Ear


@dataclass(frozen=True)
class Plan:
    """How much is spoken and looked at."""

    learnt: int = 60  # dialogues of the training split: directions, probes, and the pitch of both voices
    judged: int = 30  # of the test split
    steering: SteeringPlan = field(default_factory=SteeringPlan)
    heads: HeadPlan = field(default_factory=HeadPlan)


QUICK = Plan(
    learnt=3,
    judged=2,
    steering=SteeringPlan(choosing=1, scripts=2, seeds=1, strengths=(0.5,)),
    heads=HeadPlan(pairs=2, scripts=2, seeds=1),
)


def figures(tts: Dia2, folder: Path, plan: Plan, whisper: str) -> dict[str, Any]:
    """All of them; what is in `folder` already is not made again.

    Raises:
        UsageError: the folder has those of another checkpoint or plan, or there is no such Whisper.
    """
    facts: dict[str, Any] = {"weights": checkpoint_of(tts.runtime), "whisper": whisper, "plan": asdict(plan)}
    facts["sentences"] = digest([*alone("validation", 2), *alone("test", 2)])  # another grammar has others
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - began:7.0f} s  {text}", flush=True)

    rows = Rows(folder / "rows.jsonl", facts)
    ear = Ear(whisper)
    train = recorded(tts, dialogues("train", plan.learnt), folder / "train", say)
    test = recorded(tts, dialogues("test", plan.judged), folder / "test", say)
    voices = Voices.of(train)
    bench = Bench(tts, ear, voices, rows, say)
    told = {str(speaker): voices.given_to_second(test, speaker)._asdict() for speaker in (1, 2)}
    facts |= {"voices": {"middle": list(voices.middle), "second": told}}
    facts["heads"] = rows.once(("heads",), lambda: heads(tts, test, plan.heads, say))
    facts["probes"] = []
    for name in TARGETS:
        tell = partial(_counted, say, f"probes of {name}")
        facts["probes"].append(rows.once(("probe", name), partial(reading, name, train, test, tts, tell)))
    facts["steering"] = steering(tts, train, bench, plan.steering)
    facts["without"] = without(tts, train, bench, facts["heads"], plan.heads)
    return facts


def _counted(say: Say, what: str, done: int, whole: int) -> None:
    if done % 10 == 0 or done == whole:
        say(f"{what}: {done} of {whole} runs read")


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m training.activations", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where results are kept")
    parser.add_argument("--checkpoint", type=Path, help="a folder with config.json (default: the embedded checkpoint)")
    parser.add_argument("--whisper", default="tiny.en", help="who listens: a name or a file (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="so little that it proves nothing but that all of it runs")
    given = parser.parse_args(arguments)
    try:
        tts = Dia2.nano(dtype="float32")
        if given.checkpoint is not None:
            at = given.checkpoint
            tts = Dia2.from_local(at / "config.json", at / "model.safetensors", dtype="float32")
        found = figures(tts, given.folder, QUICK if given.quick else Plan(), given.whisper)
        text = tables(found)
        write_atomically(given.folder / "figures.json", (json.dumps(found, indent=1) + "\n").encode())
        write_atomically(given.folder / "figures.md", text.encode())
    except Dia2Error as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    except KeyboardInterrupt:
        print(f"stopped: what was done is in {given.folder}, and the same command goes on from there", file=sys.stderr)
        return 130
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
