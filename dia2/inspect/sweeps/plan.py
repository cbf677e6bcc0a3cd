"""What a sweep is to make: every combination of some settings, by one checkpoint or several."""

from __future__ import annotations

import hashlib
import json
import math
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import product
from pathlib import Path
from typing import Any, cast, get_args

from dia2.common.checks import make_plain, plain, read_small, short, whole
from dia2.common.errors import UsageError, one_line
from dia2.common.hooks import Level
from dia2.common.wording import counted
from dia2.inspect.schema.adapter import adapters
from dia2.inspect.schema.maker import PLACES, Maker, Settings
from dia2.inspect.sweeps.rows import kind_of

MOST_RUNS = 10_000_000
_MAX_PLAN = 64 << 20  # bytes of a plan's file: scripts may stand in it
_ID = 20  # hex digits of a run's id
_FILES = {"voice", "prefix_speaker_1", "prefix_speaker_2", "prefix_words_1", "prefix_words_2"}  # settings that name one
_FILE = "file"  # likewise, of a table within a setting
CHECKPOINT = "checkpoint"  # the setting that names one, where a sweep has several


@dataclass(frozen=True)
class RunOptions:
    """How runs are made and recorded; nothing here changes what comes out."""

    level: Level = "topk"  # of the traces
    rows: int = 8  # side by side
    on: str = "batches"  # who makes them: batches, processes, processes:4, ray, ray://HOST:PORT
    voice: bool = True  # keep recordings that runs go on from
    whisper: str | None = None  # a Whisper checkpoint that counts word errors

    def __post_init__(self) -> None:
        """Refuse what no sweep can do.

        Raises:
            UsageError: names the option.
        """
        make_plain(self)
        if self.level not in get_args(Level):
            raise UsageError(f"[run] level is one of {', '.join(get_args(Level))}, not {short(self.level)}.")
        rows = whole(self.rows)
        if rows is None or rows < 1:
            raise UsageError(f"[run] rows must be a whole number from 1, not {short(self.rows)}.")
        if not isinstance(self.on, str):
            raise UsageError(f"[run] on is a name such as batches or processes:4, not {short(self.on)}.")
        if not isinstance(self.voice, bool):
            raise UsageError(f"[run] voice is true or false, not {short(self.voice)}.")


@dataclass(frozen=True)
class Planned:
    """One run of a sweep."""

    id: str  # of the checkpoint and of all settings: the same wherever and whenever it is planned
    settings: Settings  # by the names of the grid, as the plan has them
    given: Settings  # the same for a `Maker`: without the checkpoint, and files by their places
    model: int  # of `Plan.models`, by whose checkpoint


@dataclass(frozen=True)
class Plan:
    """A sweep as it is written: `[model]`, `[grid]` and `[run]` of a TOML file."""

    grid: Mapping[str, Sequence[Any]]  # values of each setting; a run has one of each
    model: Mapping[str, Any] = field(default_factory=dict)  # which checkpoint, as the command line names one
    run: RunOptions = RunOptions()
    folder: Path | None = None  # from which files are named; `None`: the current one

    def __post_init__(self) -> None:
        """Refuse a plan of no runs, or of too many.

        Raises:
            UsageError: says what is wrong with it.
        """
        if not isinstance(self.grid, Mapping) or not self.grid:
            raise UsageError("A plan has a [grid] of settings, each a list of values: script, seed, cfg_scale …")
        if not isinstance(self.model, Mapping):
            raise UsageError(f"[model] is a table, not {short(self.model)}.")
        grid: dict[str, list[Any]] = {}
        for name, values in self.grid.items():
            grid[name] = _values(name, values)
            if not grid[name]:
                raise UsageError(f"[grid] {name} has no values: leave it out, or give some.")
        if "script" not in grid:
            raise UsageError("[grid] has no script: give a list of texts to be spoken.")
        grid.setdefault("seed", [1])
        if not all(isinstance(seed, int) and not isinstance(seed, bool) for seed in grid["seed"]):
            raise UsageError("[grid] seed is a list of whole numbers: a run without a seed cannot be made again.")
        object.__setattr__(self, "grid", grid)
        if self.size > MOST_RUNS:
            raise UsageError(f"A sweep has up to {MOST_RUNS:,} runs, and this one would have {short(self.size)}.")

    @property
    def size(self) -> int:
        """Combinations."""
        return math.prod(len(values) for values in self.grid.values())

    def __str__(self) -> str:
        sizes = " × ".join(counted(len(values), name) for name, values in self.grid.items())
        return f"{counted(self.size, 'run')}: {sizes}"

    @property
    def kinds(self) -> dict[str, str]:
        """The kind of each setting's column, see `dia2.inspect.sweeps.rows`."""
        return {name: "text" if name == CHECKPOINT else kind_of(values) for name, values in self.grid.items()}

    @property
    def family(self) -> str:
        """Whose runs they are."""
        return str(self.model.get("family", "dia2"))

    @property
    def models(self) -> list[dict[str, Any]]:
        """What opens each checkpoint of the sweep."""
        if CHECKPOINT not in self.grid:
            return [dict(self.model)]
        # Those of the grid stand in the place of the one in `[model]`.
        rest = {name: value for name, value in self.model.items() if name not in PLACES}
        return [rest | _model_of(value) for value in self.grid[CHECKPOINT]]

    def runs(self, makers: Sequence[Maker]) -> list[Planned]:
        """All runs, each once, in the order of the grid; see `combinations`."""
        found: dict[str, Planned] = {}
        for run in self.combinations(makers):
            found.setdefault(run.id, run)
        return list(found.values())

    def combinations(self, makers: Sequence[Maker]) -> Iterator[Planned]:
        """A run for each combination, in the order of the grid: the same one again where a value stands there twice.

        Args:
            makers: of `models`, in their order.

        Raises:
            UsageError: a combination that no checkpoint can run.
        """
        names = [name for name in self.grid if name != CHECKPOINT]
        checkpoints = self.grid.get(CHECKPOINT, [None])
        for number, (checkpoint, maker) in enumerate(zip(checkpoints, makers, strict=True)):
            known = {} if checkpoint is None else {CHECKPOINT: checkpoint}
            for values in product(*(self.grid[name] for name in names)):
                settings = dict(zip(names, values, strict=True))
                given = {name: self._placed(name, value) for name, value in settings.items()}
                decided = {"checkpoint": dict(maker.checkpoint), **maker.identity(given)}
                yield Planned(id_of(decided), known | settings, given, number)

    def _placed(self, name: str, value: Any) -> Any:
        """A value whose file, if it names one, is found from anywhere."""
        if self.folder is None:
            return value
        if isinstance(value, list):
            return [self._placed("", part) for part in value]
        if isinstance(value, Mapping):  # of which one can name a file, as that of an edit's vector
            return {key: self._placed(_FILE if key == "file" else "", part) for key, part in value.items()}
        if name not in (*_FILES, _FILE) or not isinstance(value, str) or not value:
            return value
        return str(self.folder / value)


def id_of(decided: Mapping[str, Any]) -> str:
    """The id of a run, from all that decides it."""
    text = json.dumps(_canonical(decided), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_ID]


def _canonical(value: Any) -> Any:
    """A value of which 2 and 2.0 are one."""
    if isinstance(value, Mapping):
        return {str(name): _canonical(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(part) for part in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def open_maker(model: Mapping[str, Any]) -> Maker:
    """What makes runs of a checkpoint, which is found and hashed, not loaded.

    Args:
        model: as `Plan.models` has it; `family` is `dia2` unless it says otherwise.

    Raises:
        UsageError: there is no such family, or its runs cannot be swept.
        CheckpointError: there is no such checkpoint.
    """
    model = dict(model)
    family = model.pop("family", "dia2")
    if not isinstance(family, str):
        raise UsageError(f"[model] family is a name, not {short(family)}.")
    able = {name: adapter for name, adapter in adapters().items() if adapter.maker is not None}
    if family not in able:
        raise UsageError(f"[model] family is one of {', '.join(able)}, not {short(family)}.")
    return cast(Maker, able[family].load("maker")(model))


def read_plan(path: str | Path) -> Plan:
    """The plan in a TOML file; names of files in `[grid]` are meant from its folder.

    Raises:
        UsageError: there is no such file, it is no TOML, or it says what no plan has.
    """
    path = Path(path)
    try:
        raw = tomllib.loads(read_small(path, _MAX_PLAN).decode("utf-8"))
    except OSError as error:
        raise UsageError(f"Plan {path} cannot be read ({error.strerror or one_line(error)}).") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"Plan {path} is no TOML that can be read: {one_line(error)}.") from error
    parts = {"model", "grid", "run"}
    for name in raw:
        if name not in parts:
            raise UsageError(f"Plan {path} has [{name}], and a plan has [model], [grid] and [run].")
    for name in raw:
        if not isinstance(raw[name], Mapping):
            raise UsageError(f"{name} in {path} is a table: write [{name}] on a line of its own.")
    return plan_of(raw, path.parent)


def plan_of(raw: Mapping[str, Any], folder: Path | None = None) -> Plan:
    """A plan from its three tables; `folder`: from which names of files in it are meant.

    Raises:
        UsageError: it says what no plan has.
    """
    options = dict(raw.get("run", {}))
    known = [part.name for part in fields(RunOptions)]
    for name in options:
        if name not in known:
            raise UsageError(f"[run] has no {name}: it has {', '.join(known)}.")
    return Plan(raw.get("grid", {}), raw.get("model", {}), RunOptions(**options), folder)


def _values(name: str, given: object) -> list[Any]:
    """Values of a setting, of a list, an array or a tensor.

    Raises:
        UsageError: it is something else.
    """
    if isinstance(given, str | bytes) or not isinstance(given, Iterable) or getattr(given, "ndim", 1) != 1:
        raise UsageError(f"[grid] {name} is a list of values, such as {name} = [{short(given)}].")
    return [_plain(value, name) for value in given]


def _plain(value: Any, name: str) -> Any:
    """A value as JSON has it; what is a scalar of NumPy or torch, as the number that it is; an edit as a table.

    Raises:
        UsageError: it is something else, such as a date, or a number that no column holds.
    """
    value = plain(value)
    if hasattr(value, "as_table"):
        value = value.as_table()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(part, name) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part, name) for part in value]
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        raise UsageError(f"[grid] {name} has {short(value)}, which is too large.")
    if isinstance(value, float) and not math.isfinite(value):
        raise UsageError(f"[grid] {name} has {value}, which is no number.")
    if value is not None and not isinstance(value, str | int | float):
        raise UsageError(f"[grid] {name} has {short(value)}: values are texts, numbers, flags, lists and tables.")
    return value


def _model_of(value: Any) -> dict[str, Any]:
    """What a value of `checkpoint` adds to `[model]`: its name, or a table like that.

    Raises:
        UsageError: it is neither.
    """
    if isinstance(value, str):
        return {"nano": True} if value == "nano" else {"hf": value}
    if isinstance(value, Mapping):
        return dict(value)
    raise UsageError(f"[grid] checkpoint is a list of names or tables, and {short(value)} is neither.")
