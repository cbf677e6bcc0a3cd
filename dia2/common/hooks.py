"""Hook points: the places at which a run can be observed, and the seam through which the runtime is observed.

Four kinds. *Phases* begin and end once or a few times a run: every row of the trace table is one. *Values* belong to
one call of the transformer. *Times* are wall times of one call. *Activations* are what the network computes within a
call; no observer is handed them, a replay computes them again. Each model family declares the points that its runs
have.

The runtime knows an `Observer` and nothing of recorders or widgets. With nobody observing, a phase is a plain
call and the main loop makes no call and no allocation for this module's sake.
"""

from __future__ import annotations

import inspect
import logging
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import cache, wraps
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, Protocol, TypeVar, get_args

from dia2.common.brief import brief_repr
from dia2.common.errors import UsageError
from dia2.common.moved import names

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

logger = logging.getLogger("dia2")

Family = Literal["phase", "value", "time", "act"]
Level = Literal["tokens", "topk", "full"]  # how much a trace keeps
LEVELS: tuple[Level, ...] = ("tokens", "topk", "full")  # the least first

EVERY_CALL, MAIN_CALL, ONCE = "every call", "every call of the main loop", "once a run"


@dataclass(frozen=True)
class Activation:
    """What more there is to know of a point within the network."""

    shape: tuple[str, ...]  # of one call: names of sizes; the first, B, are the branches of guidance
    layers: str = ""  # name of the size that counts the {l} of the point's name; none: it has no {l}
    alias: str = ""  # what TransformerLens calls it
    edited: bool = False  # edits can change it
    dtype: str = "float32"  # as it is read; the network computes in its own


@dataclass(frozen=True)
class HookPoint:
    """One place that can be observed."""

    name: str  # with {k} for codebook 1 … K-1, {c} for channel 0 … C-1, or {l} for a layer
    family: Family
    when: str
    value: str  # type, shape and meaning
    level: Level = "tokens"  # the lowest that records it
    models: tuple[str, ...] = ()  # the model families whose runs have it
    activation: Activation | None = None  # of the family act

    @property
    def of(self) -> str:
        """Whose runs have it, in a word or two: `dia2`, `dia`, `both`."""
        return "both" if self.models == ("dia2", "dia") else ", ".join(self.models)

    def recorded_at(self, level: Level) -> bool:
        """A trace of this level keeps it."""
        return self.activation is None and LEVELS.index(self.level) <= LEVELS.index(level)


_DECLARED: dict[str, tuple[HookPoint, ...]] = {}  # by family
POINTS: dict[str, HookPoint] = {}  # of the model families that were imported, see `declare`
PHASES: set[str] = set()  # names of those that are phases
FUNCTIONS: dict[str, Callable[..., Any]] = {}  # by phase, as `phase` decorated it
MAX_CODEBOOKS = 64  # or channels; more than any codec has; bounds what a filter is matched against
GROUP = "dia2.models"  # the entry points by which model families are found


def declare(model: str, points: Iterable[HookPoint]) -> None:
    """Add the points of a model family; one that another family has too is of both.

    Args:
        model: name of the family.
        points: in the order in which they are listed.
    """
    _DECLARED[model] = tuple(points)
    POINTS.clear()
    for name in sorted(_DECLARED, key=_in_order):  # whichever was imported first
        for point in _DECLARED[name]:
            known = POINTS.get(point.name, replace(point, models=()))
            told = known.value if point.value in known.value else f"{known.value}; of {name.capitalize()} {point.value}"
            POINTS[point.name] = replace(known, models=(*known.models, name), value=told)
    PHASES.update(point.name for point in POINTS.values() if point.family == "phase")


def _in_order(model: str) -> tuple[int, str]:
    """The families of this distribution first."""
    ours = ("dia2", "dia")
    return ours.index(model) if model in ours else len(ours), model


def phases(*rows: tuple[str, str]) -> list[HookPoint]:
    """Phases by name and what goes in and comes out."""
    return [HookPoint(name, "phase", "begin and end", value) for name, value in rows]


def act(name: str, shape: Sequence[str], alias: str, value: str, *, when: str = EVERY_CALL, **more: Any) -> HookPoint:
    """A point within the network; `more` are the further fields of `Activation`."""
    found = Activation(tuple(shape), alias=alias, **more)
    return HookPoint(name, "act", when, f"[{', '.join(shape)}] {found.dtype}: {value}", activation=found)


def listed() -> list[HookPoint]:
    """The points of all families that are installed, in the order in which they are told: by kind and moment."""
    installed()  # whose points are declared when they are imported
    kinds, moments = get_args(Family), ("begin and end", ONCE, EVERY_CALL, MAIN_CALL)
    return sorted(POINTS.values(), key=lambda point: (kinds.index(point.family), moments.index(point.when)))


PointFilter = str | Iterable[str] | Callable[[HookPoint], bool]


@cache
def installed() -> dict[str, Any]:
    """What the model families that are installed declare, by family, found by their entry points."""
    from importlib.metadata import distributions  # not before somebody asks

    # Not `entry_points`, which takes one distribution of a name: where dia2 runs in a checkout, that is what an earlier
    # installation left there.
    entries: dict[str, EntryPoint] = {}
    for distribution in distributions():
        for entry in distribution.entry_points.select(group=GROUP):
            entries.setdefault(entry.name, entry)
    found = {}
    for name in sorted(entries, key=_in_order):
        try:
            found[name] = entries[name].load()
        except Exception as error:  # noqa: BLE001  # whoever wrote it, the other families are not to suffer
            logger.warning(
                "the model family %s is left out: %s cannot be imported (%s)", name, entries[name].value, error
            )
    return found


def select(spec: PointFilter, codebooks: int = MAX_CODEBOOKS, model: str | None = None) -> frozenset[str]:
    """Names of the points that a filter matches; activations are none of them, see `dia2.common.reading`.

    Args:
        spec: a name or glob (`logits.*`), several of them (a list, or one string with commas), or a predicate.
        codebooks: K; `logits.dep.{k}` and `draw.dep.{k}` stand for k = 1 … K-1. Of Dia as many channels, from 0.
        model: only points of this family's runs are found, possibly none; `None`: of all families.

    Raises:
        UsageError: something in `spec` matches no point of any model.
    """
    handed = [point for point in listed() if point.activation is None]
    points = [replace(point, name=name) for point in handed for name in numbered(point.name, codebooks)]
    own = {point.name for point in points if model is None or model in point.models}
    if callable(spec):
        found = frozenset(point.name for point in points if spec(point))
        if not found:
            raise UsageError("The hook filter matches no point; `dia2 trace hooks` lists them.")
        return found & own
    patterns = spec.split(",") if isinstance(spec, str) else list(spec)
    names: set[str] = set()
    for pattern in (str(pattern).strip() for pattern in patterns):
        matched = {point.name for point in points if fnmatchcase(point.name, pattern)}
        if not matched and pattern.startswith("act."):
            raise UsageError(
                f"{pattern[:60]} is computed by a replay, not handed to observers: trace.replay(tts, calls, points=…)."
            )
        if not matched:
            raise UsageError(f"No hook point is called {pattern[:60]!r}; `dia2 trace hooks` lists them.")
        names |= matched
    if not names:
        raise UsageError("The hook filter is empty; `dia2 trace hooks` lists the points.")
    return frozenset(names & own)


def numbered(name: str, codebooks: int) -> list[str]:
    """The points that a name of the table stands for: with each k or c where it has one, else itself."""
    if "{k}" in name:
        return [name.replace("{k}", str(k)) for k in range(1, codebooks)]
    if "{c}" in name:
        return [name.replace("{c}", str(c)) for c in range(codebooks)]
    return [name]


@dataclass(frozen=True)
class CallInfo:
    """Which call of the transformer: everything that names a moment names the call."""

    call: int  # from 0, over warm-up and main loop
    phase: Literal["warmup", "main"]  # of Dia: the prefill, or the loop
    step: int  # frame index; the last step of a prefix is called twice
    position: int  # rotary position
    slot: int  # of the key/value cache


@dataclass
class Span:
    """One run of a phase."""

    __repr__ = brief_repr

    name: str
    inputs: dict[str, object]  # arguments by parameter name
    began: float  # on the clock of time.perf_counter
    ended: bool = False
    seconds: float = 0.0  # known at the end
    result: object = None
    error: BaseException | None = None
    notes: dict[str, object] = field(default_factory=dict)  # an observer's own, from begin to end


class Observer(Protocol):
    """Who looks at a run. An exception from any method ends the run."""

    points: frozenset[str]  # the names it wants, see `select`; anything else is neither kept nor computed

    def begin(self, span: Span, /) -> None:
        """A phase begins."""

    def end(self, span: Span, /) -> None:
        """A phase has ended, well or not."""

    def frames(self, frames: Any, /) -> None:
        """Take finished calls, in order; tensors are valid until this returns.

        While frames are made they come at most 0.2 s late, on a GPU 0.4 s.

        What they are is the family's: `dia2.runtime.observed.Frames` from Dia2, `dia.capture.Steps` from Dia.
        """


_observer: ContextVar[Observer | None] = ContextVar("dia2_observer", default=None)


def current_observer() -> Observer | None:
    """Who observes runs started here and now."""
    return _observer.get()


@contextmanager
def observing(observer: Observer | None) -> Iterator[None]:
    """Show `observer` whatever runs in this block, beside whoever observes already."""
    others = _observer.get()
    if observer is None or observer is others:
        yield
        return
    token = _observer.set(observer if others is None else _Both(others, observer))
    try:
        yield
    finally:
        _observer.reset(token)


@contextmanager
def unobserved() -> Iterator[None]:
    """A block that no observer sees: what is done in it is no part of any run."""
    token = _observer.set(None)
    try:
        yield
    finally:
        _observer.reset(token)


class _Both:
    def __init__(self, first: Observer, second: Observer) -> None:
        self._members = (first, second)
        self.points = first.points | second.points

    def begin(self, span: Span, /) -> None:
        for member in self._members:
            if span.name in member.points:
                member.begin(span)

    def end(self, span: Span, /) -> None:
        for member in self._members:
            if span.name in member.points:
                member.end(span)

    def frames(self, frames: Any, /) -> None:
        for member in self._members:
            if not member.points <= PHASES:
                member.frames(frames)


Params = ParamSpec("Params")
Result = TypeVar("Result")


def phase(name: str) -> Callable[[Callable[Params, Result]], Callable[Params, Result]]:
    """Decorate a function as a phase: an observer, where there is one, sees it begin and end.

    Of a generator function the phase is the generator's whole run, and its result what that returns.
    """

    def decorate(function: Callable[Params, Result]) -> Callable[Params, Result]:
        paused = inspect.isgeneratorfunction(function)

        @wraps(function)
        def observed(*args: Params.args, **kwargs: Params.kwargs) -> Result:
            observer = _observer.get()
            if observer is None or name not in observer.points:
                return function(*args, **kwargs)
            bound = inspect.signature(function).bind(*args, **kwargs)
            bound.apply_defaults()
            if paused:
                run: Any = _seen_through(observer, name, bound.arguments, function(*args, **kwargs))
                return run  # type: ignore[no-any-return]  # a generator, as `function` gives one
            with _seen(observer, name, bound.arguments) as span:
                result = function(*args, **kwargs)
                span.result = result
            return result

        observed.phase = name  # type: ignore[attr-defined]  # by which the trace table finds its rows' phases
        FUNCTIONS[name] = observed
        return observed

    return decorate


@contextmanager
def _seen(observer: Observer, name: str, inputs: dict[str, Any]) -> Iterator[Span]:
    """A block that is one run of a phase."""
    span = Span(name, inputs, time.perf_counter())
    observer.begin(span)
    try:
        yield span
    except BaseException as error:
        span.error = error
        raise
    finally:
        span.seconds, span.ended = time.perf_counter() - span.began, True
        observer.end(span)


def report(observer: Observer | None, name: str, inputs: dict[str, Any], result: Any) -> None:
    """Tell an observer of a phase that was done piece by piece, once it is."""
    if observer is not None and name in observer.points:
        with _seen(observer, name, inputs) as span:
            span.result = result


def _seen_through(observer: Observer, name: str, inputs: dict[str, Any], run: Any) -> Generator[Any, None, Any]:
    """`run`, a generator, as a phase."""
    with _seen(observer, name, inputs) as span:
        span.result = yield from run
    return span.result


__getattr__ = names(
    __name__, {name: f"dia2.runtime.observed:{name}" for name in ("Frames", "FrameTimes", "MachineRow")}
)
