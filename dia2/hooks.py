"""Hook points: the places at which a run can be observed, and the seam through which the runtime is observed.

Three families. *Phases* begin and end once or a few times a run: every row of the trace table is one. *Values*
belong to one call of the transformer. *Times* are wall times of one call. Each point is of Dia2, of Dia, or of both.

The runtime knows an `Observer` and nothing of recorders or widgets. With nobody observing, a phase is a plain
call and the main loop makes no call and no allocation for this module's sake.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import wraps
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, Protocol, TypeVar

from dia2.brief import brief_repr
from dia2.errors import UsageError

if TYPE_CHECKING:  # which bring torch: the command line has hooks before it
    from torch import Tensor

    from dia2.generation import GenerationConfig

Family = Literal["phase", "value", "time"]
Model = Literal["dia2", "dia"]  # the two families of models that run under these hooks


@dataclass(frozen=True)
class HookPoint:
    """One place that can be observed."""

    name: str
    family: Family
    when: str
    value: str  # type, shape and meaning
    of: Literal["dia2", "dia", "both"] = "dia2"  # whose runs have it


def _phases(of: Model, *rows: tuple[str, str]) -> list[HookPoint]:
    return [HookPoint(name, "phase", "begin and end", text, of) for name, text in rows]


_CALL, _MAIN, _ONCE = "every call", "every call of the main loop", "once a run"

_TABLE = [
    *_phases(
        "dia2",
        ("cli.parse", "arguments of the command line → parsed flags"),
        ("engine.init", "where the checkpoint is → an engine that has loaded nothing"),
        ("script.load", "what --input names → the script"),
        ("config.validate", "sampling values of the command line, checked"),
        ("config.build", "sampling values of the command line → GenerationConfig"),
        ("config.overrides", "flags → overrides of generate()"),
        ("runtime.ensure", "engine → RuntimeContext, loaded or kept from before"),
        ("runtime.build", "files → RuntimeContext"),
        ("runtime.tokens", "config and tokenizer → TokenIds"),
        ("machine.init", "token ids and lookahead → StateMachine"),
        ("config.merge", "base config and overrides → GenerationConfig"),
        ("script.normalize", "script → one string"),
        ("prefix.plan", "recordings → PrefixPlan, or none"),
        ("prefix.voice", "one speaker's recording → codes and words"),
        ("prefix.transcribe", "samples → words with times, by Whisper"),
        ("prefix.encode", "samples → codes [K, frames]"),
        ("prefix.words", "words with times → entries and new-word steps"),
        ("prefix.combine", "entries, steps and codes of each speaker → PrefixPlan"),
        ("script.parse", "text → entries"),
        ("entries.combine", "prefix entries and script entries → all entries"),
        ("machine.padding", "initial padding → the machine"),
        ("machine.new_state", "entries → the machine's state before step 0"),
        ("state.build", "config, seed and prefix → GenerationState"),
        ("warmup", "the prefix through transformer and machine"),
        ("loop", "the main loop → delayed grid [B, K, columns]"),
        ("grid.undelay", "delayed grid [K, columns] → aligned codes [K, T]"),
        ("grid.crop", "first word's frame → frames cut off the front"),
        ("codec.decode", "aligned codes [K, T] → waveform [N]"),
        ("words.place", "what the machine took when → words with seconds"),
        ("wav.write", "waveform → file"),
    ),
    *_phases(
        "dia",
        ("dia.load", "files → config, model, codec"),
        ("dia.text", "scripts → bytes [B, S] and their mask"),
        ("dia.encoder", "bytes [2B, S] → encoder output [2B, S, width]"),
        ("dia.cross", "encoder output → keys and values of every layer's cross-attention"),
        ("dia.prompt", "recordings or codes → codes [T, C] of each script's prompt"),
        ("dia.delay", "codes [B, T, C] → delayed table [B, T, C]"),
        ("dia.state", "table of given rows, config and seed → the run's state before its first row"),
        ("dia.prefill", "the rows that all scripts are given, through the decoder in one pass"),
        ("dia.loop", "decoder steps → rows of the delayed grid"),
        ("dia.undelay", "delayed rows [B, T, C] → codes [B, T, C]"),
        ("dia.decode", "codes [T, C] → waveform [N], by DAC"),
        ("dia.write", "waveform → file"),
    ),
    HookPoint("encoder.tokens", "value", _ONCE, "[B, S] int64: bytes of the scripts, tags as 1 and 2", "dia"),
    HookPoint("encoder.output", "value", _ONCE, "[2B, S, width]: for each script unconditional first", "dia"),
    HookPoint("kv.cross.length", "value", _ONCE, "int: positions of the text that cross-attention looks at", "dia"),
    HookPoint("call", "value", _CALL, "CallInfo: which call this is", "both"),
    HookPoint("machine.before", "value", _CALL, "MachineRow: the state machine before the step"),
    HookPoint("machine.after", "value", _CALL, "MachineRow: the state machine after the step"),
    HookPoint(
        "step_tokens",
        "value",
        _CALL,
        "[B, 2 + K] int64: the frame as the transformer sees it; of Dia [B, C]: the row that the decoder reads",
        "both",
    ),
    HookPoint(
        "audio_buf.column",
        "value",
        _MAIN,
        "[K] int64: codes drawn, written to grid column step + 1; of Dia [B, C]: the row written",
        "both",
    ),
    HookPoint("eos.countdown", "value", _MAIN, "[B] int64: steps since a script's end began; -1 before", "dia"),
    HookPoint("kv.transformer.length", "value", _CALL, "int: filled slots of the transformer's cache after the call"),
    HookPoint("kv.depformer.length", "value", _CALL, "int: filled slots of the depformer's cache; 0 in warm-up"),
    HookPoint("kv.self.length", "value", _CALL, "int: filled slots of the decoder's self-attention cache", "dia"),
    HookPoint("logits.action", "value", _MAIN, "[B, actions] float32; row 0 conditional, row 1 unconditional"),
    HookPoint("logits.cb0", "value", _MAIN, "[B, audio vocabulary] float32, likewise"),
    HookPoint("logits.dep.{k}", "value", _MAIN, "[B, codes] float32 of codebook k = 1 … K-1, likewise"),
    HookPoint("draw.action", "value", _MAIN, "Draw: best candidates before and after guidance, choice, probability"),
    HookPoint("draw.cb0", "value", _MAIN, "Draw, likewise"),
    HookPoint("draw.dep.{k}", "value", _MAIN, "Draw of codebook k = 1 … K-1, likewise"),
    HookPoint("logits.channel.{c}", "value", _MAIN, "[2B, V] float32 of channel c, unconditional first", "dia"),
    HookPoint("draw.channel.{c}", "value", _MAIN, "[B] Draw of channel c, before the countdown forces any", "dia"),
    HookPoint("time.first", "time", _MAIN, "seconds until the action was known: transformer and the first two draws"),
    HookPoint("time.machine", "time", _MAIN, "seconds of the state machine"),
    HookPoint("time.second", "time", _MAIN, "seconds of the depformer (on a GPU: of handing it over)"),
    HookPoint("time.frame", "time", _MAIN, "seconds of the whole frame", "both"),
]

POINTS = {point.name: point for point in _TABLE}
PHASES = frozenset(point.name for point in _TABLE if point.family == "phase")
MAX_CODEBOOKS = 64  # or channels; more than any codec has; bounds what a filter is matched against

PointFilter = str | Iterable[str] | Callable[[HookPoint], bool]


def select(spec: PointFilter, codebooks: int = MAX_CODEBOOKS, model: Model | None = None) -> frozenset[str]:
    """Names of the points that a filter matches.

    Args:
        spec: a name or glob (`logits.*`), several of them (a list, or one string with commas), or a predicate.
        codebooks: K; `logits.dep.{k}` and `draw.dep.{k}` stand for k = 1 … K-1. Of Dia as many channels, from 0.
        model: only points of its runs are found, possibly none; none: all.

    Raises:
        UsageError: something in `spec` matches no point of any model.
    """
    points = [replace(point, name=name) for point in _TABLE for name in numbered(point.name, codebooks)]
    own = {point.name for point in points if model is None or point.of in (model, "both")}
    if callable(spec):
        found = frozenset(point.name for point in points if spec(point))
        if not found:
            raise UsageError("The hook filter matches no point; `dia2 trace hooks` lists them.")
        return found & own
    patterns = spec.split(",") if isinstance(spec, str) else list(spec)
    names: set[str] = set()
    for pattern in (str(pattern).strip() for pattern in patterns):
        matched = {point.name for point in points if fnmatchcase(point.name, pattern)}
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


@dataclass(frozen=True)
class MachineRow:
    """The state machine after one step."""

    __repr__ = brief_repr

    step: int
    action: int  # as drawn, before the machine's constraints; a text id in warm-up
    forced: bool  # warm-up: the action was given
    main: int  # text token emitted to the main stream
    second: int  # text token emitted to the second stream
    consumed: bool  # an entry was taken, breaks included
    padding_budget: int
    forced_padding: int
    entries_left: int
    pending: list[int]
    lookahead: list[int]
    end_step: int | None


@dataclass(frozen=True)
class FrameTimes:
    """Wall times of one frame of the main loop, in seconds."""

    began: float  # on the clock of time.perf_counter
    first: float
    machine: float
    second: float
    frame: float


@dataclass(frozen=True)
class Frames:
    """Some finished calls in a row, all of one phase of the run and with one config."""

    __repr__ = brief_repr

    config: GenerationConfig  # in force: edits can change guidance and sampling
    calls: list[CallInfo]  # n of them
    machine: list[MachineRow]  # after each call
    times: list[FrameTimes]  # empty in warm-up, which is one pass
    step_tokens: Tensor  # [n, B, 2 + K] int64
    codes: Tensor | None  # [n, K] int64, drawn by each call; none in warm-up
    logits: dict[str, Tensor]  # of those asked for: action [n, B, V], cb0 [n, B, V], dep [n, K-1, B, codes] float32


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

        They come as `Frames` from Dia2, and as `dia.taps.Steps` from Dia.
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
    """Decorate a function as a phase: an observer, where there is one, sees it begin and end."""
    assert name in PHASES, f"{name} is no phase"

    def decorate(function: Callable[Params, Result]) -> Callable[Params, Result]:
        @wraps(function)
        def observed(*args: Params.args, **kwargs: Params.kwargs) -> Result:
            observer = _observer.get()
            if observer is None or name not in observer.points:
                return function(*args, **kwargs)
            bound = inspect.signature(function).bind(*args, **kwargs)
            bound.apply_defaults()
            span = Span(name, bound.arguments, time.perf_counter())
            observer.begin(span)
            try:
                result = function(*args, **kwargs)
                span.result = result
                return result
            except BaseException as error:
                span.error = error
                raise
            finally:
                span.seconds, span.ended = time.perf_counter() - span.began, True
                observer.end(span)

        observed.phase = name  # type: ignore[attr-defined]  # by which the trace table finds its rows' phases
        return observed

    return decorate
