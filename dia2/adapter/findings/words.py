"""What became of the boundaries that a prefix's words ask for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, cast

from dia2.adapter.prefix_words import PrefixWord, prefix_words
from dia2.common.wording import counted
from dia2.inspect.schema.finding import Finding, FindingKind
from dia2.inspect.trace.findings import Case, Detector
from dia2.inspect.trace.stretches import in_a_row
from dia2.runtime.sounding import SPEAKER_1_OFFSET

if TYPE_CHECKING:
    from dia2.adapter.trace import Dia2Trace

PUSHED_FRAMES = 6  # half a second later than its time: from here on a word is told; one or two frames are usual

_BY_THE_MACHINE = "The machine's own rule decides it, so there is no threshold."
PUSHED = FindingKind(
    "word-pushed",
    "bad",
    f"A prefix word is asked for {PUSHED_FRAMES} frames or more after its time; told of the first of those in a row.",
    "Words whose tokens need more frames than there are push the next ones by a frame or two in any recording.",
    "check texts and times of the words before it: from one word to the next there must be a frame for each token of "
    "the first, and one more",
)
UNREACHED = FindingKind(
    "word-unreached",
    "bad",
    "A prefix word would begin after the prefix's last frame, so it is never asked for.",
    _BY_THE_MACHINE,
    "check the word's times: they reach past the end of the recording",
)
SWALLOWED = FindingKind(
    "word-swallowed",
    "bad",
    "The warm-up asks for a prefix word while tokens of the word before are pending: the boundary is lost.",
    _BY_THE_MACHINE,
    "leave a pause before that word, at least one frame for each token still pending: for a second speaker's first "
    "word, append silence to the first recording",
)
SLIPPED = FindingKind(
    "word-slipped",
    "bad",
    "A prefix word is taken at the boundary of a later one.",
    _BY_THE_MACHINE,
    "fix the swallowed boundary before it",
)
LEAKED = FindingKind(
    "word-leaked",
    "bad",
    "A prefix word is taken in the main loop, so that the model is asked to speak it, or never.",
    _BY_THE_MACHINE,
    "fix the swallowed boundaries before it, or leave the last words out of the word list and the recording",
)


def word_findings(trace: Dia2Trace, words: Sequence[PrefixWord]) -> Iterator[Finding]:
    """All of them."""
    yield from _pushed(trace, words)
    yield from _boundaries(trace, words)


def _found(kind: FindingKind, text: str, words: Sequence[PrefixWord], call: int, until: int | None = None) -> Finding:
    return kind.found(text, call, until, speaker=words[0].speaker, words=[word.index for word in words])


def _in_a_row(words: Sequence[PrefixWord]) -> list[list[PrefixWord]]:
    """Words of one speaker that follow each other; each list is one finding."""
    return in_a_row(words, lambda one, other: (one.index + 1, one.speaker) == (other.index, other.speaker))


def _quoted(words: Sequence[PrefixWord]) -> str:
    if len(words) == 1:
        return f"“{words[0].text}”"
    return f"The {len(words)} words “{words[0].text}” … “{words[-1].text}”"


def _pushed(trace: Dia2Trace, words: Sequence[PrefixWord]) -> Iterator[Finding]:
    """Words that are asked for later than their times say, since those before them have so many tokens."""
    rate, before = trace.model.frame_rate, 0
    for word in words:
        if word.start is None:
            return
        first = SPEAKER_1_OFFSET if word.speaker == 1 else trace.run.voice_frames[0]
        late = word.step - (max(1, round(word.start * rate)) - 1 + first)
        if late >= PUSHED_FRAMES > before:  # those after it are pushed by it
            text = (
                f"“{word.text}” is asked for at step {word.step}, {late} frames ({late / rate:.2f} s) after its time: "
                "the words before it have more tokens than there are frames."
            )
            yield _found(PUSHED, text, [word], word.place)
        before = late


def _boundaries(trace: Dia2Trace, words: Sequence[PrefixWord]) -> Iterator[Finding]:
    """What the machine did with the boundaries that the warm-up asked for."""
    consumed, warmup = trace.column("consumed"), trace.warmup_calls
    unreached = [word for word in words if word.step >= trace.run.prefix_frames]
    for stretch in _in_a_row(unreached):
        one = len(stretch) == 1
        text = (
            f"{_quoted(stretch)} would begin at step {stretch[0].step}{'' if one else ' and later'}, after the "
            f"prefix's last frame: {'it was' if one else 'they were'} never asked for."
        )
        yield _found(UNREACHED, text, stretch, max(0, warmup - 1))
    for word in words:
        if word not in unreached and 0 <= word.step < warmup and not consumed[word.step]:
            row = trace.machine_at(word.step - 1)
            before = next((w for w in reversed(words) if w.taken_call is not None and w.taken_call < word.step), None)
            whose = f" of “{before.text}”" if before else ""
            waiting = len(row.pending)
            text = (
                f"The boundary of “{word.text}” at step {word.step} was swallowed: {waiting} "
                f"{'token' if waiting == 1 else 'tokens'}{whose} {'was' if waiting == 1 else 'were'} still pending."
            )
            yield _found(SWALLOWED, text, [word], word.step)
    yield from _late(trace, words)


def _late(trace: Dia2Trace, words: Sequence[PrefixWord]) -> Iterator[Finding]:
    """Words that the machine took late, in the main loop, or never."""
    last, rate = max(0, len(trace.steps) - 1), trace.model.frame_rate
    for word in words:
        if word.slip and word.in_warmup:
            text = (
                f"“{word.text}” slipped: taken at step {word.taken_step}, {counted(word.slip, 'frame')} "
                f"({word.slip / rate:.2f} s) late."
            )
            yield _found(SLIPPED, text, [word], word.place)
    for stretch in _in_a_row([word for word in words if word.taken_step is None]):
        was = "was" if len(stretch) == 1 else "were"
        yield _found(LEAKED, f"{_quoted(stretch)} {was} never taken: the run ended first.", stretch, last)
    for stretch in _in_a_row([word for word in words if word.taken_step is not None and not word.in_warmup]):
        first, end = stretch[0].place, stretch[-1].place
        if len(stretch) == 1:
            what = f"leaks into the generation: the machine took it at call {first}, in the main loop, so the model is"
            text = f"{_quoted(stretch)} {what} asked to speak it."
        else:
            what = f"leak into the generation: the machine took them at calls {first} … {end}, in the main loop, so the"
            text = f"{_quoted(stretch)} {what} model is asked to speak them."
        yield _found(LEAKED, text, stretch, first, end)


def _look(case: Case) -> Iterator[Finding]:
    trace = cast("Dia2Trace", case.trace)
    if "voice" not in trace.redacted:  # else what became of its words cannot be told
        yield from word_findings(trace, prefix_words(trace))


DETECTORS = (Detector((PUSHED, UNREACHED, SWALLOWED, SLIPPED, LEAKED), _look),)
