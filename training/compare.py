"""Two checkpoints, the same scripts and seeds: whose words are understood, and whose voice is nearer.

    python -m training.compare nano OUTPUT/checkpoint REPORT --script unseen.txt --like 1=recordings/ann

Runs are a sweep, so what was stopped goes on. REPORT/index.html has both of every script side by side, and for each the
explorer of the two runs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from dia2.adapter.trace import Dia2Trace
from dia2.adapter.word_errors import edits
from dia2.analysis.intervals import by_runs
from dia2.common.checks import read_small, short
from dia2.common.errors import Dia2Error, UsageError
from dia2.common.files import write_atomically
from dia2.common.messages import printable
from dia2.common.wording import counted
from dia2.inspect.sweeps.command import bar
from dia2.inspect.sweeps.dataset import trace_name
from dia2.inspect.sweeps.plan import CHECKPOINT, Plan, RunOptions
from dia2.inspect.sweeps.sweep import make
from dia2.runtime.audio_io import load_audio
from training.commands import resumable
from training.judge import Ear
from training.nearness import BETTER, CRUDE, Speaker, embeds, nearness_of

SIDES = ("before", "after")
FEWEST = 8  # scripts from which on an interval is one
_RATE = 24_000  # Hz at which recordings are read
_SOUNDS = (".wav", ".flac", ".ogg", ".mp3")


@dataclass(frozen=True)
class Heard:
    """One run, listened to."""

    side: str  # before or after
    script: int  # of the scripts, from 0
    seed: int
    trace: str  # from the report's folder
    asked: list[str]  # words of the script, as they are compared
    heard: list[str]  # by Whisper, likewise
    nearness: dict[int, dict[str, float]] = field(default_factory=dict)  # by speaker and measure

    @property
    def wrong(self) -> int:
        """Words to insert, remove or replace."""
        return edits(self.asked, self.heard)


@dataclass(frozen=True)
class Change:
    """A figure before and after, and how sure the difference is."""

    what: str
    unit: str
    before: float
    after: float
    low: float  # of the difference, 95 %, scripts drawn with replacement
    high: float
    better: int  # the sign of a difference to the better
    scripts: int  # that it is of

    @property
    def verdict(self) -> str:
        """In a word or two."""
        if self.scripts < FEWEST:
            return "too few scripts to tell"
        low, high = sorted((self.low * self.better, self.high * self.better))
        return "better" if low > 0 else "worse" if high < 0 else "no sure difference"


@dataclass(frozen=True)
class Comparison:
    """All runs of both checkpoints, and what they come to."""

    scripts: list[str]
    runs: list[Heard]
    changes: list[Change]
    crude: bool  # nearness without speaker embeddings

    @property
    def warnings(self) -> list[str]:
        """What got worse, a sentence each."""
        return [
            f"{change.what} got worse: {shown(change.before, change.unit)} → {shown(change.after, change.unit)}."
            for change in self.changes
            if change.verdict == "worse"
        ]


def shown(value: float, unit: str) -> str:
    """A figure with its unit."""
    return f"{value:.0%}" if unit == "share" else f"{value:.2f}"


def compare(
    before: object,
    after: object,
    report: Path,
    scripts: Sequence[str],
    *,
    speakers: Mapping[int, Speaker] | None = None,
    seeds: Sequence[int] = (1, 2, 3),
    whisper: str = "base",
    language: str | None = "en",
    model: Mapping[str, Any] | None = None,
    quiet: bool = False,
) -> Comparison:
    """Let both checkpoints say all scripts, listen to them, and write `report/index.html` and `report/figures.json`.

    Args:
        before: a name of a checkpoint, or a table like a sweep plan's `[model]`.
        after: likewise.
        report: folder; runs that are in it already are not made again.
        scripts: what is said; of sentences that the checkpoint was not trained on.
        speakers: 1 and 2, to whose voices the runs should be near.
        seeds: of the runs.
        whisper: the checkpoint that listens.
        language: what is spoken, by Whisper's code; `None`: it finds out, of each run.
        model: what both have in common, as of `[model]`: device, dtype …
        quiet: no bar.

    Raises:
        UsageError: a checkpoint, a script or a recording cannot be used, or Whisper is not installed.
        Dia2Error: a run failed, or something cannot be loaded or written.
        KeyboardInterrupt: Ctrl-C; the runs that are finished stay.
    """
    from training.compare_page import write_page  # after the classes that it shows

    voices = speakers or {}
    grid: dict[str, Sequence[Any]] = {"script": list(scripts), "seed": list(seeds), CHECKPOINT: [before, after]}
    plan = Plan(grid, model or {}, RunOptions(level="topk"))
    with bar(not quiet) as tell:
        summary = make(plan, report / "runs", tell=tell)
    failed = [f"{run}: {why}" for run, why in summary.failed.items()]
    if failed:
        raise Dia2Error(f"{counted(len(failed), 'run')} failed: {failed[0]}")
    if len({run.model for run in summary.runs}) < len(SIDES):
        raise UsageError("Both checkpoints are the same: there is nothing to compare.")
    listener = Listener(whisper, language, report / "heard")
    runs = []
    for run in track(summary.runs, "listening", console=Console(stderr=True), transient=True, disable=quiet):
        trace, settings = f"runs/{trace_name(run.id)}", run.settings
        loaded = Dia2Trace.load(report / trace)
        asked, heard = listener.words(loaded)
        script, seed = scripts.index(cast(str, settings["script"])), cast(int, settings["seed"])
        near = nearness_of(loaded, voices)
        runs.append(Heard(SIDES[run.model], script, seed, trace, asked, heard, near))
    found = Comparison(list(scripts), runs, changes_of(runs), bool(voices) and not embeds())
    figures = {"changes": [asdict(c) | {"verdict": c.verdict} for c in found.changes], "warnings": found.warnings}
    figures |= {"runs": [asdict(run) | {"wrong": run.wrong} for run in runs], "whisper": whisper}
    write_atomically(report / "figures.json", (json.dumps(figures, indent=1, ensure_ascii=False) + "\n").encode())
    write_page(found, report)
    return found


class Listener:
    """Hears runs, and keeps what it heard for the next time."""

    def __init__(self, whisper: str, language: str | None, kept: Path) -> None:
        self._whisper, self._language, self._kept = whisper, language, kept

    @cached_property
    def _ear(self) -> Ear:
        return Ear(self._whisper, self._language)

    def words(self, trace: Dia2Trace) -> tuple[list[str], list[str]]:
        """The words that a run was asked for and those that are heard, as they are compared."""
        name = hashlib.sha256(json.dumps([self._whisper, self._language]).encode()).hexdigest()[:8]
        file = self._kept / f"{trace.path.stem}-{name}.json"
        if file.exists():
            asked, heard = json.loads(file.read_bytes())
            return asked, heard
        asked = self._ear.plain(" ".join(word.text for word in trace.words))
        heard = []
        if trace.audio is not None and trace.audio[0].any():
            samples, rate = trace.audio
            heard = self._ear.hear(samples, rate)
        self._kept.mkdir(parents=True, exist_ok=True)
        write_atomically(file, json.dumps([asked, heard], ensure_ascii=False).encode())
        return asked, heard


def _speaker(number: int, paths: Sequence[Path]) -> Speaker:
    files = [file for path in paths for file in (sorted(path.rglob("*")) if path.is_dir() else [path])]
    sounds = [file for file in files if file.suffix.lower() in _SOUNDS and not file.name.startswith(".")]
    if not sounds:
        raise UsageError(f"There are no recordings of speaker {number} in {', '.join(map(str, paths))}.")
    samples = np.concatenate([load_audio(file, _RATE, "A speaker's recording").numpy() for file in sounds])
    return Speaker(samples, _RATE)


def changes_of(runs: Sequence[Heard]) -> list[Change]:
    """Words heard otherwise, and the nearness of each speaker; of scripts and seeds that both sides have."""
    sides = {side: {(run.script, run.seed): run for run in runs if run.side == side} for side in SIDES}
    pairs = [(one, sides["after"][key]) for key, one in sides["before"].items() if key in sides["after"]]
    words = [(one.script, float(one.wrong), float(other.wrong), len(one.asked)) for one, other in pairs]
    changes = [_change("Words heard otherwise", "share", -1, words)]
    for speaker in sorted({speaker for run in runs for speaker in run.nearness}):
        for measure, better in BETTER.items():
            known = [(a, b) for a, b in pairs if all(measure in run.nearness.get(speaker, {}) for run in (a, b))]
            values = [(a.script, a.nearness[speaker][measure], b.nearness[speaker][measure], 1) for a, b in known]
            if values:
                changes.append(_change(f"[S{speaker}] {measure}", "", better, values))
    return changes


def _change(what: str, unit: str, better: int, pairs: Sequence[tuple[int, float, float, int]]) -> Change:
    """Of pairs (script, sum before, sum after, count): the means and the interval of their difference."""
    scripts = sorted({script for script, *_ in pairs})
    table = np.array([[sum(p[i] for p in pairs if p[0] == script) for i in (1, 2, 3)] for script in scripts])  # [n, 3]
    low, high = by_runs(table[:, 1] - table[:, 0], table[:, 2], seed=1)
    before, after = table[:, :2].sum(axis=0) / max(1.0, table[:, 2].sum())
    return Change(what, unit, float(before), float(after), float(low), float(high), better, len(scripts))


def print_table(found: Comparison, console: Console) -> None:
    """The figures, and what got worse."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("", "before", "after", "difference (95 %)", ""):
        table.add_column(name, justify="left" if not name else "right")
    for change in found.changes:
        low, high = (shown(value, change.unit) for value in (change.low, change.high))
        difference = f"{shown(change.after - change.before, change.unit)} ({low} … {high})"
        table.add_row(
            printable(change.what),
            shown(change.before, change.unit),
            shown(change.after, change.unit),
            difference,
            change.verdict,
        )
    console.print(table, markup=False)
    if found.crude:
        console.print(f"nearness is {CRUDE}", markup=False, highlight=False)
    for warning in found.warnings:
        console.print(f"warning: {warning}", markup=False, highlight=False, style="bold yellow")


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m training.compare", description="Compare two checkpoints.")
    parser.add_argument("before", help="nano, a folder, or a hub repo")
    parser.add_argument("after", help="likewise")
    parser.add_argument("report", type=Path, help="folder of the runs and of index.html")
    parser.add_argument("--script", type=Path, required=True, help="file of scripts that were not learnt, one a line")
    parser.add_argument(
        "--like", action="append", default=[], metavar="SPEAKER=PATH", help="recordings of speaker 1 or 2; repeatable"
    )
    parser.add_argument("--seeds", type=int, default=3, help="runs of each script (default 3)")
    parser.add_argument("--whisper", default="base", help="checkpoint that listens (default base)")
    parser.add_argument("--language", default="en", help="what is spoken, by Whisper's code (default en)")
    parser.add_argument("--device")
    given = parser.parse_args(arguments)

    def run() -> None:
        if given.seeds < 1:
            raise UsageError(f"--seeds is a whole number from 1, not {given.seeds}.")
        found = compare(
            given.before,
            given.after,
            given.report,
            read_scripts(given.script),
            speakers={number: _speaker(number, paths) for number, paths in _named(given.like).items()},
            seeds=range(1, given.seeds + 1),
            whisper=given.whisper,
            language=given.language,
            model={"device": given.device} if given.device else None,
        )
        print_table(found, Console())
        print(given.report / "index.html")

    return resumable(run)


def read_scripts(path: Path) -> list[str]:
    """A script a line; empty lines are left out.

    Raises:
        UsageError: the file cannot be read, or has none.
    """
    try:
        lines = read_small(path).decode("utf-8").splitlines()
    except OSError as error:
        raise UsageError(f"Scripts {path} cannot be read ({error.strerror or error}).") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"Scripts {path} are not UTF-8: save them as such.") from error
    scripts = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
    if not scripts:
        raise UsageError(f"{path} has no scripts: write one a line.")
    return scripts


def _named(values: Sequence[str]) -> dict[int, list[Path]]:
    found: dict[int, list[Path]] = {}
    for value in values:
        number, _, path = value.partition("=")
        if number not in ("1", "2") or not path:
            raise UsageError(f"--like is a speaker and recordings, such as 1=recordings/ann, not {short(value)}.")
        found.setdefault(int(number), []).append(Path(path))
    return found


if __name__ == "__main__":
    sys.exit(main())
