"""Settings of guidance and sampling under which a run seldom speaks well."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, cast

from dia2.inspect.schema.finding import Finding, FindingKind
from dia2.inspect.trace.findings import Case, Detector
from dia2.runtime.edits import ChangeSampling

if TYPE_CHECKING:
    from dia2.adapter.trace import Dia2Trace
    from dia2.generation import GenerationConfig

NARROW_TEMPERATURE = 0.2
NARROW_TOP_K = 3
WIDE_TEMPERATURE = 1.5

GUIDANCE = FindingKind(
    "guidance-off",
    "note",
    "Calls of the main loop are made with cfg 1.",
    "By its own ear nano has 3.9 points more words heard with cfg 3 than with cfg 1; it may be meant, for speed.",
    "give cfg_scale=2",
)
NARROW = FindingKind(
    "sampling-narrow",
    "note",
    f"Codes are drawn at a temperature of {NARROW_TEMPERATURE:g} or less, or from {NARROW_TOP_K} candidates or fewer.",
    "Where the likeliest code is always taken, codecs' language models fall into silence, drones and loops; 0.8 and 50 "
    "are the defaults.",
    "give temp_audio=0.8 and topk_audio=50",
)
WIDE = FindingKind(
    "sampling-wide",
    "bad",
    f"Codes are drawn at a temperature of {WIDE_TEMPERATURE:g} or more.",
    "At 1.5 a candidate whose chance is a thousandth of the best one's gets a hundredth of it; 0.8 is the default, and "
    "nobody recommends more than 1.2.",
    "give temp_audio=0.8",
)


def _stretches(trace: Dia2Trace, wrong: Callable[[GenerationConfig], bool]) -> Iterator[tuple[int, int]]:
    """First and last call of each stretch of the main loop whose settings are wrong."""
    first, end = trace.warmup_calls, len(trace)
    edits = [edit.call for edit in trace.run.edits if isinstance(edit, ChangeSampling)]
    changes = sorted({first, *(call for call in edits if first < call < end)})
    begun: int | None = None
    for call in changes:
        if wrong(trace.config_at(call)):
            begun = call if begun is None else begun
        elif begun is not None:
            yield begun, call - 1
            begun = None
    if begun is not None:
        yield begun, end - 1


def _is_narrow(config: GenerationConfig) -> bool:
    return config.audio.temperature <= NARROW_TEMPERATURE or 0 < config.audio.top_k <= NARROW_TOP_K


def _look(case: Case) -> Iterator[Finding]:
    trace = cast("Dia2Trace", case.trace)
    if trace.warmup_calls >= len(trace):
        return
    for first, last in _stretches(trace, lambda config: config.cfg_scale == 1):
        yield GUIDANCE.found(f"Guidance is off (cfg 1) in calls {first} … {last}.", first, last)
    for first, last in _stretches(trace, _is_narrow):
        yield _told(NARROW, trace, "from very few candidates", first, last)
    for first, last in _stretches(trace, lambda config: config.audio.temperature >= WIDE_TEMPERATURE):
        yield _told(WIDE, trace, "almost at random", first, last)


def _told(kind: FindingKind, trace: Dia2Trace, how: str, first: int, last: int) -> Finding:
    audio = trace.config_at(first).audio
    by = f"temperature {audio.temperature:g}, top-k {audio.top_k}"
    return kind.found(f"Codes are drawn {how} ({by}) in calls {first} … {last}.", first, last)


DETECTORS = (Detector((GUIDANCE, NARROW, WIDE), _look),)
