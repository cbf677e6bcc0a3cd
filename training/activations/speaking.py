"""Runs of a checkpoint: recorded ones that stay, and judged ones of which a row stays."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from dia2 import Dia2, Request
from dia2.adapter.trace import Dia2Trace
from dia2.runtime.edits import Edit
from training.activations.listening import Voices, count_heard, pitches
from training.activations.rows import Key, Rows
from training.judge import Ear

Say = Callable[[str], None]
One = TypeVar("One")

_TOGETHER = 16  # runs that are spoken before they are judged


def recorded(tts: Dia2, scripts: Sequence[str], folder: Path, say: Say) -> list[Dia2Trace]:
    """A trace of each script, in `folder`; those that are there already are taken."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number}.dia2trace" for number in range(len(scripts))]
    missing = [number for number, path in enumerate(paths) if not _whole(path)]
    for some in _some(missing):
        for number in some:
            shutil.rmtree(paths[number], ignore_errors=True)  # of a run that was stopped
        tts.generate_many([Request(scripts[number], seed=number, trace=paths[number]) for number in some])
        say(f"recorded {folder.name}: {missing.index(some[-1]) + 1} of {len(missing)} runs")
    return [Dia2Trace.load(path) for path in paths]


def _some(values: Sequence[One]) -> Iterator[Sequence[One]]:
    return (values[first : first + _TOGETHER] for first in range(0, len(values), _TOGETHER))


def _whole(path: Path) -> bool:
    return path.exists() and Dia2Trace.load(path).manifest.status == "complete"


class Told(NamedTuple):
    """What one judged run came to."""

    heard: int  # words
    words: int  # of its script
    second: int  # voiced frames in the second voice
    voiced: int  # frames


class Case(NamedTuple):
    """One thing that is tried on every script and seed: a name, and the edits it stands for."""

    name: str
    edits: Sequence[Edit] = ()


class Bench:
    """Speaks scripts under edits, and judges what is heard."""

    def __init__(self, tts: Dia2, ear: Ear, voices: Voices, rows: Rows, say: Say) -> None:
        self._tts, self._ear, self._voices, self._rows, self._say = tts, ear, voices, rows, say

    def judge(self, what: str, cases: Iterable[Case], scripts: Sequence[str], seeds: int) -> dict[str, np.ndarray]:
        """Every script and seed under every case: by case [scripts, seeds, 4], the numbers of `Told`.

        Args:
            what: of the rows: a name for this set of scripts.
            cases: with names of their own.
            scripts: what is spoken.
            seeds: how often, seeds 0 …
        """
        found = {}
        for case in cases:
            keys = [(what, case.name, script, seed) for script in range(len(scripts)) for seed in range(seeds)]
            self._fill(case, self._rows.missing(keys), scripts)
            numbers = np.array([self._rows[key] for key in keys], np.float64)
            found[case.name] = numbers.reshape(len(scripts), seeds, len(Told._fields))
        return found

    def _fill(self, case: Case, missing: Sequence[Key], scripts: Sequence[str]) -> None:
        done = 0
        for some in _some(missing):
            with tempfile.TemporaryDirectory(prefix="dia2-activations-") as folder:
                paths = [Path(folder) / f"{number}.dia2trace" for number in range(len(some))]
                self._tts.generate_many(
                    [
                        Request(
                            scripts[int(key[2])],
                            seed=1000 * int(key[2]) + int(key[3]),
                            trace=path,
                            edits=list(case.edits),
                        )
                        for key, path in zip(some, paths, strict=True)
                    ]
                )
                for key, path in zip(some, paths, strict=True):
                    trace = Dia2Trace.load(path)
                    self._rows.add(
                        key,
                        Told(
                            *count_heard(self._ear, trace, scripts[int(key[2])]), *self._voices.second(pitches(trace))
                        ),
                    )
            done += len(some)
            self._say(f"{missing[0][0]}, {case.name}: {done} of {len(missing)} runs")
