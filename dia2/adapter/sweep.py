"""Small sweeps: one script under several settings, recorded, and where each run first parts from the others."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from dia2.adapter import ADAPTER
from dia2.adapter.maker import Dia2Maker
from dia2.adapter.trace import Dia2Trace
from dia2.common.checks import short
from dia2.common.errors import Dia2Error, UsageError
from dia2.common.hooks import Level
from dia2.common.wording import counted
from dia2.engine import Dia2
from dia2.generation import GenerationConfig, normalize_script
from dia2.inspect.schema.report import picked
from dia2.inspect.sweeps.dataset import trace_name
from dia2.inspect.sweeps.plan import Plan, RunOptions
from dia2.inspect.sweeps.query import query as ask
from dia2.inspect.sweeps.sweep import SweepProgress, Tell, make
from dia2.inspect.trace.extensions import extension

MOST = 10_000  # runs of one script that are held as traces; `dia2 sweep` makes more
_NAMED = 3  # values of a setting that a sweep's text names; of more it tells how many


@dataclass(frozen=True)
class Variant:
    """One run of a sweep."""

    seed: int
    cfg_scale: float
    temperature: float  # of the audio draws
    trace: Dia2Trace

    def __str__(self) -> str:
        return f"seed {self.seed}, cfg {self.cfg_scale:g}, temperature {self.temperature:g}"


@dataclass(frozen=True)
class Sweep:
    """Runs of one script, in the order of their settings."""

    variants: list[Variant]
    url: str | None = None  # of the dataset that has them

    def sql(self, query: str) -> list[dict[str, Any]]:
        """What the dataset answers, a dict for each row; its tables are `runs`, `words`, `calls` and `draws`.

        Raises:
            UsageError: it is no SQL that can be answered, or the sweep was not made by `sweep`.
            Dia2Error: duckdb is missing.
        """
        names, rows = ask(self._dataset, query)
        return [dict(zip(names, row, strict=True)) for row in rows]

    def explore(self, *, voice: bool = True) -> Any:
        """Look at the runs in a notebook; see `dia2.inspect.explore_sweep`.

        Raises:
            UsageError: the sweep was not made by `sweep`, or anywidget is not installed.
            Dia2Error: the dataset is damaged, or cannot be read.
        """
        return extension("explore_sweep")(self._dataset, voice=voice)

    @property
    def _dataset(self) -> str:
        if self.url is None:
            raise UsageError("These runs are in no dataset: make them by dia2.inspect.sweep.")
        return self.url

    def __repr__(self) -> str:
        given: dict[str, list[Any]] = {
            "seed": [variant.seed for variant in self.variants],
            "cfg": [variant.cfg_scale for variant in self.variants],
            "temperature": [variant.temperature for variant in self.variants],
        }
        said = ", ".join(_said(name, values) for name, values in given.items())
        return f"<Sweep of {counted(len(self.variants), 'run')}: {said}; print it to see where they part>"

    def parted(self) -> np.ndarray:
        """[n, n] first call at which two runs differ; the number of calls where they are the same."""
        traces = [variant.trace for variant in self.variants]
        found = np.diag([len(trace) for trace in traces])
        for i, j in combinations(range(len(traces)), 2):
            found[i, j] = found[j, i] = traces[i].diff(traces[j]).shared
        return found

    def rows(self) -> list[dict[str, Any]]:
        """A row for each run: settings, length, words heard, where it parts from the first run and in what; or none."""
        first = self.variants[0].trace
        rows = []
        for variant in self.variants:
            found, heard = first.diff(variant.trace), variant.trace.heard
            rows.append(
                {
                    **picked(variant, "seed", "cfg_scale", "temperature"),
                    "calls": len(variant.trace),
                    "words": None if heard is None else len(heard),
                    "parts_at": found.shared if found.parts else None,
                    "parts_in": found.parts[0].what if found.parts else None,
                }
            )
        return rows

    def __str__(self) -> str:
        told = []
        for variant, row in zip(self.variants, self.rows(), strict=True):
            at, what = row["parts_at"], row["parts_in"]
            parted = "as the first run" if at is None else f"parts from the first run at call {at}, in {what}"
            words = "" if row["words"] is None else f" {counted(row['words'], 'word')},"
            told.append(f"{variant}: {counted(row['calls'], 'call')},{words} {parted}")
        return "\n".join(told)


def sweep(
    tts: Dia2,
    script: str,
    folder: str | Path,
    *,
    seeds: Sequence[int] = (1,),
    cfg_scales: Sequence[float] | None = None,
    temperatures: Sequence[float] | None = None,
    config: GenerationConfig | None = None,
    level: Level = "topk",
    rows: int = 8,
    progress: Callable[[int, int], None] | None = None,
) -> Sweep:
    """Generate a script under all combinations of settings, side by side.

    The folder becomes a dataset, as of `dia2 sweep`, of which this is a plan of one script: a run that is in it already
    is not made again, so a sweep that was stopped goes on where it was.

    Args:
        tts: the checkpoint.
        script: what is said.
        folder: of the dataset; made if it is not there.
        seeds: of the runs.
        cfg_scales: guidance; `None`: that of `config`.
        temperatures: of the audio draws; `None`: that of `config`.
        config: everything else.
        level: of the recordings.
        rows: runs side by side.
        progress: called after every run, with the number of runs made and of all.

    Raises:
        UsageError: no setting at all, too many combinations, a value that no run can have, or no folder.
        Dia2Error: runs failed, the others are in the folder; or pyarrow is missing.
        KeyboardInterrupt: Ctrl-C; the runs so far are in the folder.
    """
    ADAPTER.check_engine(tts, "A sweep")
    base = config or GenerationConfig()
    settings = {
        "seed": _values("seeds", seeds),
        "cfg_scale": [base.cfg_scale] if cfg_scales is None else _values("cfg_scales", cfg_scales),
        "temp_audio": [base.audio.temperature] if temperatures is None else _values("temperatures", temperatures),
    }
    count = math.prod(map(len, settings.values()))
    if not 0 < count <= MOST:
        raise UsageError(f"A sweep has 1 to {MOST:,} runs, and this one would have {count:,}: give fewer values.")
    if any(seed is None for seed in settings["seed"]):
        raise UsageError("A sweep's seeds must be whole numbers, not None: a run without a seed cannot be repeated.")
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"Folder {folder} cannot be created ({error.strerror}): write elsewhere.") from error
    plan = Plan({"script": [normalize_script(script)], **settings}, run=RunOptions(level=level, rows=rows))
    maker = Dia2Maker(tts, base)
    made = make(plan, folder, makers=[maker], again=True, tell=_each(progress))
    if made.failed:
        why = next(iter(made.failed.values()))
        raise Dia2Error(f"{counted(len(made.failed), 'run')} of {len(made.runs)} failed: {why}.")
    variants = []
    for run in plan.combinations([maker]):
        seed, cfg_scale, temperature = (run.settings[name] for name in settings)
        variants.append(Variant(seed, cfg_scale, temperature, Dia2Trace(Path(folder) / trace_name(run.id))))
    return Sweep(variants, str(folder))


def _each(progress: Callable[[int, int], None] | None) -> Tell | None:
    """Tells of every run, also where several are finished at a time."""
    if progress is None:
        return None
    told = 0

    def tell(now: SweepProgress) -> None:
        nonlocal told
        while told < now.done:
            told += 1
            progress(told, now.total)

    return tell


def _said(name: str, values: Sequence[Any]) -> str:
    """`seed 1`, `cfg 1, 2.5, 3`, `64 seeds`."""
    distinct = list(dict.fromkeys(values))
    return counted(len(distinct), name) if len(distinct) > _NAMED else f"{name} {', '.join(map(str, distinct))}"


def _values(name: str, given: Sequence[Any]) -> list[Any]:
    """Settings to go through, of a list, an array or a tensor."""
    if isinstance(given, str | bytes) or not isinstance(given, Iterable) or getattr(given, "ndim", 1) != 1:
        raise UsageError(f"A sweep's {name} are a list of numbers, such as [1, 2, 3], not {short(given)}.")
    return list(given)
