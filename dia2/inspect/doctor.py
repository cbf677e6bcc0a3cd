"""The doctor for a bad voice clone: what really became of each prefix word, and what is wrong with the recordings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from dia2.brief import brief_repr
from dia2.inspect.manifest import SpokenWord
from dia2.inspect.prefix_sound import Levels, Shift, begun, covered, find_shift, measure, wordless
from dia2.inspect.trace import Trace
from dia2.runtime.voice_clone import SPEAKER_1_OFFSET
from dia2.wording import counted

Kind = Literal[
    "pushed",
    "swallowed",
    "slipped",
    "leaked",
    "unreached",
    "silence",
    "quiet",
    "noise",
    "clipping",
    "drift",
    "wordless",
]

ADVICE: dict[Kind, str] = {
    "pushed": "check texts and times of the words before it: from one word to the next there must be a frame for each "
    "token of the first, and one more",
    "swallowed": "leave a pause before that word, at least one frame for each token still pending: for a second "
    "speaker's first word, append silence to the first recording",
    "slipped": "mend the swallowed boundary before it",
    "leaked": "mend the swallowed boundaries before it, or leave the last words out of the word list and the recording",
    "unreached": "check the word's times: they reach past the end of the recording",
    "silence": "trim the recording, or check its word times",
    "quiet": "record louder, or amplify it to a level of about −20 dB",
    "noise": "record in a quieter place, or nearer to the microphone",
    "clipping": "record again with less gain",
    "drift": "check the word times, or let Whisper transcribe again",
    "wordless": "add the words that are spoken there, or cut them out of the recording",
}
QUIET = -40.0  # dB; speech below is called quiet
NOISY = 15.0  # dB from the speech down to the quietest moments; a recording with less is called noisy
CLEAR = 25.0  # likewise; in a recording with less, noise may hide a soft word
FAR = 2  # frames around each word; what is farther from all is no speech
STEADY = 6.0  # dB that noise between the words may stand above the quietest moments
FLAT_TOPS = 5  # hundredths of a second with flat tops from which on a recording is clipped
LONG_SILENCE = 1.0  # seconds at the end of a recording that the model takes for a pause to keep
MOST_DRIFT = 1.5  # seconds between words and sound that are looked for
PUSHED_FRAMES = 6  # half a second later than its time: from here on a word is told; one or two frames are usual
DRIFT_FRAMES = 3  # from here on a shift is told; transcripts of clean recordings stand one or two aside
WORDLESS = 0.7  # seconds of speech in one place that have no word, from which on they are told
WORDLESS_SHARE = 0.12  # or as many here and there, if they are this share of all speech


@dataclass(frozen=True)
class PrefixWord:
    """One word of a prefix."""

    __repr__ = brief_repr

    index: int
    text: str
    speaker: int
    start: float | None  # seconds in its speaker's recording; none where the times are not known
    end: float | None
    step: int  # its new-word step: where the warm-up asks the machine to begin it
    taken_step: int | None  # where the machine really took it; none: never
    taken_call: int | None
    in_warmup: bool  # it was taken in the warm-up, where it belongs

    @property
    def slip(self) -> int | None:
        """Frames by which it came late."""
        return None if self.taken_step is None else self.taken_step - self.step


@dataclass(frozen=True)
class Finding:
    """Something that is wrong."""

    __repr__ = brief_repr

    kind: Kind
    message: str
    call: int | None = None  # where to look
    word: int | None = None  # index of the word it is about

    @property
    def advice(self) -> str:
        """What to do about it."""
        return ADVICE[self.kind]


@dataclass(frozen=True)
class Diagnosis:
    """What the doctor says."""

    __repr__ = brief_repr

    words: list[PrefixWord]
    findings: list[Finding]
    frames: int  # of the prefix; 0: there is none
    measured: bool  # the recordings' loudness is known


def diagnose(trace: Trace) -> Diagnosis:
    """Look at the prefix of a trace.

    Raises:
        TraceError: the prefix was redacted.
    """
    prefix = trace.prefix
    if prefix is None:
        return Diagnosis([], [], 0, measured=False)
    words = _words(trace)
    measured = bool(np.isfinite(prefix.rms).all())
    findings = [*_pushed(trace, words), *_boundaries(trace, words)]
    if measured:
        findings += [*_sound(trace, words)]
    return Diagnosis(words, findings, trace.run.prefix_frames, measured)


def _words(trace: Trace) -> list[PrefixWord]:
    run, prefix = trace.run, trace.prefix
    assert prefix is not None, "asked for with a prefix only"
    taken = np.flatnonzero(trace.column("consumed")).tolist()
    spoken: list[SpokenWord | None] = (
        [*run.spoken] if len(run.spoken) == run.prefix_words else [None] * run.prefix_words
    )
    words = []
    for i, (entry, said) in enumerate(zip(run.entries[: run.prefix_words], spoken, strict=True)):
        call = taken[i] if i < len(taken) else None
        words.append(
            PrefixWord(
                index=i,
                text=entry.text,
                speaker=entry.speaker,
                start=said.start if said else None,
                end=said.end if said else None,
                step=int(prefix.new_word_steps[i]),
                taken_step=None if call is None else int(trace.steps[call]),
                taken_call=call,
                in_warmup=call is not None and call < trace.warmup_calls,
            )
        )
    return words


def _pushed(trace: Trace, words: list[PrefixWord]) -> Iterator[Finding]:
    """Words that are asked for later than their times say, since those before them have so many tokens."""
    rate, before = trace.model.frame_rate, 0
    for word in words:
        if word.start is None:
            return
        first = SPEAKER_1_OFFSET if word.speaker == 1 else trace.run.voice_frames[0]
        late = word.step - (max(1, round(word.start * rate)) - 1 + first)
        if late >= PUSHED_FRAMES > before:  # those after it are pushed by it
            message = (
                f"“{word.text}” is asked for at step {word.step}, {late} frames ({late / rate:.2f} s) after its time: "
                "the words before it have more tokens than there are frames."
            )
            yield Finding("pushed", message, None, word.index)
        before = late


def _boundaries(trace: Trace, words: list[PrefixWord]) -> Iterator[Finding]:
    """What the machine did with the boundaries that the warm-up asked for."""
    rate = trace.model.frame_rate
    consumed, warmup = trace.column("consumed"), trace.warmup_calls
    for word in words:
        if word.step >= trace.run.prefix_frames:
            message = (
                f"“{word.text}” would begin at step {word.step}, after the prefix's last frame: it was never asked for."
            )
            yield Finding("unreached", message, None, word.index)
        elif 0 <= word.step < warmup and not consumed[word.step]:
            row = trace.machine_at(word.step - 1)
            before = next((w for w in reversed(words) if w.taken_call is not None and w.taken_call < word.step), None)
            whose = f" of “{before.text}”" if before else ""
            waiting = len(row.pending)
            message = (
                f"The boundary of “{word.text}” at step {word.step} was swallowed: {waiting} "
                f"{'token' if waiting == 1 else 'tokens'}{whose} {'was' if waiting == 1 else 'were'} still pending."
            )
            yield Finding("swallowed", message, word.step, word.index)
    for word in words:
        if word.taken_step is None:
            yield Finding("leaked", f"“{word.text}” was never taken: the run ended before.", None, word.index)
        elif not word.in_warmup:
            message = (
                f"“{word.text}” leaks into the generation: the machine took it at call {word.taken_call}, "
                "in the main loop, so the model is asked to speak it."
            )
            yield Finding("leaked", message, word.taken_call, word.index)
        elif word.slip:
            message = (
                f"“{word.text}” slipped: taken at step {word.taken_step}, {counted(word.slip, 'frame')} "
                f"({word.slip / rate:.2f} s) late."
            )
            yield Finding("slipped", message, word.taken_call, word.index)


def _sound(trace: Trace, words: list[PrefixWord]) -> Iterator[Finding]:
    """What the recordings sound like, speaker by speaker."""
    prefix, rate, first = trace.prefix, trace.model.frame_rate, 0
    assert prefix is not None, "asked for with a prefix only"
    for speaker, frames in enumerate(trace.run.voice_frames, 1):
        part = slice(first, first + frames)
        first += frames
        mine = [word for word in words if word.speaker == speaker and word.start is not None]
        if not frames:
            continue
        if not prefix.peak[part].any():
            yield Finding("silence", f"The recording of speaker {speaker} is silent.")
            continue
        levels = measure(prefix.rms[part])
        yield from _levels(levels, prefix.clipped[part], speaker, rate)
        if mine:
            yield from _against_words(levels, mine, speaker, rate)


def _levels(levels: Levels, clipped: np.ndarray, speaker: int, rate: float) -> Iterator[Finding]:
    """What is wrong with a recording whatever it says."""
    whose = f"The recording of speaker {speaker}"
    if levels.speech < QUIET:
        yield Finding("quiet", f"{whose} is quiet: its speech has a level of {decibels(levels.speech)}.")
    if clipped.sum() >= FLAT_TOPS:  # NaN, where it is not known, is not
        share, at = float((clipped > 0).mean()), int((clipped > 0).argmax()) / rate
        yield Finding("clipping", f"{whose} is clipped in {share:.0%} of its frames, from {at:.2f} s on.")
    tail = len(levels.sounding) - 1 - int(np.flatnonzero(levels.sounding)[-1])
    if tail / rate >= LONG_SILENCE:
        yield Finding("silence", f"{whose} ends with {tail / rate:.1f} s of silence: trim it.")


def _against_words(levels: Levels, words: list[PrefixWord], speaker: int, rate: float) -> Iterator[Finding]:
    """What is wrong between a recording and its words."""
    times = np.array([[word.start, word.end] for word in words]) * rate  # [W, 2]
    times = begun(levels, times)
    between = levels.decibels[~covered(times, len(levels.sounding), FAR)]
    above = levels.speech - levels.floor
    if above < NOISY and len(between) and np.median(between) <= levels.floor + STEADY:
        message = f"its speech stands only {above:.0f} dB above the noise, which has {decibels(levels.floor)}."
        yield Finding("noise", f"The recording of speaker {speaker} is noisy: {message}")
    lacking = list(_wordless(levels, times, speaker, rate))
    shift, moved = find_shift(levels, times, DRIFT_FRAMES, int(MOST_DRIFT * rate)), range(0)
    if shift is not None and not any(_wordless(levels, shift.applied(times), speaker, rate)):
        lacking, moved = [], range(shift.first, shift.last + 1)
        side = "after" if shift.frames > 0 else "before"
        message = f"{_which(words, shift)}he words of speaker {speaker} seem to stand {abs(shift.frames) / rate:.2f} s"
        yield Finding("drift", f"{message} {side} their sound.")
    yield from lacking  # where words are missing, those that are there look shifted too
    for i, word in enumerate(words):
        if i not in moved and above >= CLEAR:
            yield from _silent_word(word, levels.hushed, rate)


def _which(words: list[PrefixWord], shift: Shift) -> str:
    """The beginning of a sentence, up to the letter that words go on with."""
    first, last = words[shift.first], words[shift.last]
    late, early = shift.first > 1, shift.last < len(words) - 2  # a word at either end tells little
    if late and early:
        return f"Between “{first.text}” ({first.start:.2f} s) and “{last.text}” ({last.start:.2f} s) t"
    if late:
        return f"From “{first.text}” ({first.start:.2f} s) on t"
    return f"Up to “{last.text}” ({last.start:.2f} s) t" if early else "T"


def _wordless(levels: Levels, times: np.ndarray, speaker: int, rate: float) -> Iterator[Finding]:
    """Speech that is in no word: much of it at one place, or a little at many."""
    bare, gaps = wordless(levels, times)
    long = [(first, last) for first, last in gaps if bare[first:last].sum() / rate >= WORDLESS]
    whose = f"of speaker {speaker}'s recording"
    for first, last in long:
        if first < times[:, 0].min():
            where = "At the start"
        else:
            where = "At the end" if last > times[:, 1].max() else "In the middle"
        message = f"there is speech that is not in the word list: {first / rate:.2f} … {last / rate:.2f} s."
        yield Finding("wordless", f"{where} {whose} {message}")
    share = float(bare.sum() / levels.sounding.sum())
    if not long and bare.sum() / rate >= WORDLESS and share >= WORDLESS_SHARE:
        message = f"{share:.0%} of the speech in speaker {speaker}'s recording is not in the word list, here and there."
        yield Finding("wordless", message)


def _silent_word(word: PrefixWord, hushed: np.ndarray, rate: float) -> Iterator[Finding]:
    assert word.start is not None, "only words with times come here"
    assert word.end is not None, "which have both"
    beside = FAR if word.end - word.start < 1 / rate else 0  # what takes no time has none of its own
    first, last = int(word.start * rate), max(int(word.start * rate) + 1, int(np.ceil(word.end * rate)))
    if hushed[max(0, first - beside) : last + beside].all():
        message = f"There is no sound where “{word.text}” should be ({word.start:.2f} … {word.end:.2f} s)."
        yield Finding("silence", message, None, word.index)


def decibels(level: float) -> str:
    """A level as people write it."""
    return f"−{abs(level):.0f} dB" if level < 0 else f"{level:.0f} dB"
