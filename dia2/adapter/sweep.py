"""Small sweeps: one script under several settings, recorded, and where each run first parts from the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product
from pathlib import Path
from typing import Any

import numpy as np

from dia2.adapter import ADAPTER
from dia2.adapter.checkpoint import fingerprint
from dia2.adapter.trace import Dia2Trace
from dia2.common.checks import short
from dia2.common.errors import UsageError
from dia2.common.hooks import Level
from dia2.common.wording import counted
from dia2.engine import Dia2
from dia2.generation import GenerationConfig, merge_generation_config, normalize_script
from dia2.inspect.record.recorder import record
from dia2.inspect.schema.report import picked
from dia2.inspect.store.layout import SUFFIX
from dia2.runtime.script_parser import check_script
from dia2.runtime.voice_clone import check_prefix

MOST = 64  # runs of one sweep
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
    progress: Callable[[int, int], None] | None = None,
) -> Sweep:
    """Generate a script under all combinations of settings.

    A run whose trace is in the folder already is not made again, so a sweep that was stopped goes on where it was.
    (Of a prefix only the names of its files are compared.)

    Args:
        tts: the checkpoint.
        script: what is said.
        folder: where the traces go, one each; made if it is not there.
        seeds: of the runs.
        cfg_scales: guidance; `None`: that of `config`.
        temperatures: of the audio draws; `None`: that of `config`.
        config: everything else.
        level: of the recordings.
        progress: called after every run, with the number of runs made and of all.

    Raises:
        UsageError: no setting at all, more than 64 combinations, a value that no run can have, or no folder.
        TraceError: something else is in the place of one of the traces.
        GenerationInterrupted: Ctrl-C; the runs so far are in the folder.
    """
    ADAPTER.check_engine(tts, "A sweep")
    base = config or GenerationConfig()
    settings = list(
        product(
            _values("seeds", seeds),
            [base.cfg_scale] if cfg_scales is None else _values("cfg_scales", cfg_scales),
            [base.audio.temperature] if temperatures is None else _values("temperatures", temperatures),
        )
    )
    if not 0 < len(settings) <= MOST:
        raise UsageError(f"A sweep has 1 to {MOST} runs, and this one would have {len(settings)}: give fewer values.")
    runs = [
        merge_generation_config(base, {"seed": seed, "cfg_scale": cfg, "temp_audio": heat})
        for seed, cfg, heat in settings
    ]  # all checked before the first is made
    check_script(normalize_script(script))
    check_prefix(base.prefix)
    if any(run.seed is None for run in runs):
        raise UsageError("A sweep's seeds must be whole numbers, not None: a run without a seed cannot be repeated.")
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"Folder {folder} cannot be created ({error.strerror}): write elsewhere.") from error
    variants = []
    for done, wanted in enumerate(runs, 1):
        seed, cfg, heat = wanted.seed, wanted.cfg_scale, wanted.audio.temperature
        assert seed is not None, "checked above"
        path = Path(folder) / f"seed{seed}-cfg{cfg:g}-temperature{heat:g}{SUFFIX}"
        if not _made(path, tts, script, wanted):
            with record(path, level=level):
                tts.generate(script, wanted)
        variants.append(Variant(seed, cfg, heat, Dia2Trace(path)))
        if progress:
            progress(done, len(runs))
    return Sweep(variants)


def _said(name: str, values: Sequence[Any]) -> str:
    """`seed 1`, `cfg 1, 2.5, 3`, `64 seeds`."""
    distinct = list(dict.fromkeys(values))
    return counted(len(distinct), name) if len(distinct) > _NAMED else f"{name} {', '.join(map(str, distinct))}"


def _values(name: str, given: Sequence[Any]) -> list[Any]:
    """Settings to go through, of a list, an array or a tensor."""
    if isinstance(given, str | bytes) or not isinstance(given, Iterable) or getattr(given, "ndim", 1) != 1:
        raise UsageError(f"A sweep's {name} are a list of numbers, such as [1, 2, 3], not {short(given)}.")
    return list(given)


def _made(path: Path, tts: Dia2, script: str, config: GenerationConfig) -> bool:
    """There is a whole trace of this very run."""
    if not path.exists():
        return False
    trace = Dia2Trace(path)
    return (
        trace.complete
        and trace.manifest.script == normalize_script(script)
        and not trace.run.edits
        and replace(trace.run.config, seed=trace.run.seed) == config
        and trace.run.hashes == fingerprint(tts.runtime.assets)
    )
