"""The findings of a run: what its family's detectors tell, worst first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dia2.common.errors import TraceError, UsageError
from dia2.inspect.schema.finding import Finding, FindingKind, Verdict, verdict
from dia2.inspect.trace.unlikely import SURPRISE, least_likely, unlikely

if TYPE_CHECKING:
    from dia2.inspect.trace.trace import Trace


@dataclass(frozen=True)
class Case:
    """What detectors look at."""

    trace: Trace[Any]
    script: int = 0  # of a batch, from 0
    tts: Any = None  # an engine of the trace's checkpoint, for evidence that the model must give; `None`: without
    hear: bool = False  # listen to the sound with Whisper
    whisper: str = "base"  # which one


@dataclass(frozen=True)
class Detector:
    """One thing that is looked for."""

    kinds: tuple[FindingKind, ...]  # that it may find; in the list of all they stand from causes to effects
    look: Callable[[Case], Iterator[Finding]]
    listens: bool = False  # with Whisper, where that is asked for


EARLY_STOP = FindingKind(
    "early-stop",
    "bad",
    "The trace ends before the run would have: it was interrupted, killed or failed, or is still being written.",
    "Told by the manifest, so there is no threshold.",
    "run it again to its end; `dia2 trace watch` follows one that still runs",
)

SCRIPT_CUT = FindingKind(
    "script-cut",
    "bad",
    "The run reached the longest that it may speak before the script's end.",
    "Told by the run itself, so there is no threshold.",
    "split the script, shorten the prefix, or allow more where a limit was given",
)


def early_stop(case: Case) -> Iterator[Finding]:
    """A run that did not come to its end."""
    trace = case.trace
    if not trace.complete:
        why = trace.state.removeprefix("partial: ")
        yield EARLY_STOP.found(f"The trace ends before its run: {why}.", max(0, len(trace) - 1))


FIRST = Detector((EARLY_STOP,), early_stop)
LAST = Detector((SURPRISE,), lambda case: unlikely(case.trace, case.script))


def detectors_of(trace: Trace[Any]) -> Sequence[Detector]:
    """Those of the trace's family; every family has the ones that need no more than its columns."""
    own: Sequence[Detector] = () if trace.adapter.findings is None else trace.adapter.load("findings")
    return [FIRST, *own, LAST]


def findings(case: Case) -> list[Finding]:
    """All that is found, worst first: bad before notes, causes before effects, then by call.

    Raises:
        UsageError: `hear` was asked for, and the family's words cannot be compared with what is heard.
    """
    detectors = detectors_of(case.trace)
    if case.hear and not any(detector.listens for detector in detectors):
        raise UsageError(
            f"{case.trace.path} is a run of {case.trace.adapter.title}, whose words have no times to compare with what "
            "Whisper hears: ask for its findings without hear."
        )
    found: list[Finding] = []
    for detector in detectors:
        if case.trace.begun or detector.look is early_stop:
            found += detector.look(case)
    return worst_first(found, [kind for detector in detectors for kind in detector.kinds])


def worst_first(found: Iterable[Finding], kinds: Sequence[FindingKind]) -> list[Finding]:
    """What was found: bad before notes, then as its kind stands among `kinds`, then by call."""
    names = [kind.name for kind in kinds]
    return sorted(found, key=lambda one: (one.severity != "bad", names.index(one.kind), one.call))


def judged(trace: Trace[Any], script: int = 0) -> tuple[list[Finding], Verdict]:
    """The findings that need nothing but the trace, and what they come to.

    Where there are none, the least likely call is the one to look at. Of a damaged trace, of which other views may show
    what is whole, the damage is the verdict.
    """
    try:
        found = trace.findings(script=script)
        return found, verdict(found, None if found else least_likely(trace, script))
    except TraceError as error:
        return [], Verdict("bad", str(error), None)
