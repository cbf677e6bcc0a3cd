"""Settings of guidance and sampling under which a run seldom speaks well."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from dia2.inspect.schema.finding import Finding, FindingKind
from dia2.inspect.trace.stretches import in_a_row

NARROW_TEMPERATURE = 0.2
NARROW_TOP_K = 3
WIDE = 1.875  # times the family's usual temperature

GUIDANCE_OFF = FindingKind(
    "guidance-off",
    "note",
    "Calls are made without guidance: with cfg 1 where that leaves the conditional branch alone, or 0.",
    "By its own ear nano has 3.9 points more words heard with cfg 3 than with cfg 1; it may be meant, for speed.",
    "give the usual cfg_scale",
)
SAMPLING_NARROW = FindingKind(
    "sampling-narrow",
    "note",
    f"Codes are drawn at a temperature of {NARROW_TEMPERATURE:g} or less, or from {NARROW_TOP_K} candidates or fewer.",
    "Where the likeliest code is always taken, codecs' language models fall into silence, drones and loops.",
    "give the usual temperature and top-k",
)
SAMPLING_WIDE = FindingKind(
    "sampling-wide",
    "bad",
    f"Codes are drawn at a temperature of {WIDE:g} times the usual one or more: where that is 0.8, from 1.5 on.",
    "At 1.5 a candidate whose chance is a thousandth of the best one's gets a hundredth of it; nobody recommends "
    "as much.",
    "give the usual temperature",
)
KINDS = (GUIDANCE_OFF, SAMPLING_NARROW, SAMPLING_WIDE)


@dataclass(frozen=True)
class Drawing:
    """How some calls in a row draw."""

    first: int  # call
    last: int
    guidance: str  # as people write it: cfg 1
    guided: bool
    temperature: float
    candidates: int  # that are drawn from; 0: all
    sampling: str  # as people write it: temperature 0.8, top-k 50


@dataclass(frozen=True)
class Usual:
    """What a family draws with, if nobody says otherwise."""

    temperature: float
    guide: str  # what to do about guidance
    draw: str  # about too few candidates
    cool: str  # about too high a temperature


def drawn_badly(drawings: Sequence[Drawing], usual: Usual) -> Iterator[Finding]:
    """What is wrong with them; those that follow each other and are alike are one finding.

    Args:
        drawings: in the order of their calls.
        usual: of the family.
    """
    for some in _together(drawings, lambda one: not one.guided):
        text = f"Guidance is off ({some[0].guidance}) in calls {some[0].first} … {some[-1].last}."
        yield GUIDANCE_OFF.found(text, some[0].first, some[-1].last, fix=usual.guide)
    for kind, how, wrong, fix in (
        (SAMPLING_NARROW, "from very few candidates", _is_narrow, usual.draw),
        (SAMPLING_WIDE, "almost at random", lambda one: one.temperature >= WIDE * usual.temperature, usual.cool),
    ):
        for some in _together(drawings, wrong):
            text = f"Codes are drawn {how} ({some[0].sampling}) in calls {some[0].first} … {some[-1].last}."
            yield kind.found(text, some[0].first, some[-1].last, fix=fix)


def _is_narrow(one: Drawing) -> bool:
    return one.temperature <= NARROW_TEMPERATURE or 0 < one.candidates <= NARROW_TOP_K


def _together(drawings: Sequence[Drawing], wrong: Callable[[Drawing], bool]) -> list[list[Drawing]]:
    return in_a_row([one for one in drawings if wrong(one)], lambda one, other: one.last + 1 == other.first)
