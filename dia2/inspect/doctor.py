"""The doctor for a bad voice clone: what really became of each prefix word, and what is wrong with the recordings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from dia2.brief import brief_repr
from dia2.inspect.manifest import SpokenWord
from dia2.inspect.trace import Trace
from dia2.runtime.voice_clone import SPEAKER_1_OFFSET
from dia2.wording import counted

Kind = Literal["pushed", "swallowed", "slipped", "leaked", "unreached", "silence", "clipping", "drift"]

ADVICE: dict[Kind, str] = {
    "pushed": "check texts and times of the words before it: from one word to the next there must be a frame for each "
    "token of the first, and one more",
    "swallowed": "leave a pause before that word, at least one frame for each token still pending: for a second "
    "speaker's first word, append silence to the first recording",
    "slipped": "mend the swallowed boundary before it",
    "leaked": "mend the swallowed boundaries before it, or leave the last words out of the word list and the recording",
    "unreached": "check the word's times: they reach past the end of the recording",
    "silence": "trim the recording, or check its word times",
    "clipping": "record again with less gain",
    "drift": "check the word times, or let Whisper transcribe again",
}
SILENT = 10 ** (-50 / 20)  # RMS below −50 dB of full scale is no speech
FULL = 0.999  # a peak from here on is clipped
CLIPPED = 0.02  # share of clipped frames from which on it is heard
LONG_SILENCE = 1.0  # seconds at the end of a recording that the model takes for a pause to keep
MOST_DRIFT = 1.5  # seconds between words and sound that are looked for
PUSHED_FRAMES = 6  # half a second later than its time: from here on a word is told; one or two frames are usual
DRIFT_FRAMES = 2  # from here on a shift is told
DRIFT_GAIN = 0.15  # correlation that a shift must add to be believed


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
        rms, peak = prefix.rms[first : first + frames], prefix.peak[first : first + frames]
        mine = [word for word in words if word.speaker == speaker and word.start is not None]
        first += frames
        if not frames:
            continue
        loud = rms >= SILENT
        if not loud.any():
            yield Finding("silence", f"The recording of speaker {speaker} is silent (below −50 dB).")
            continue
        share = float((peak >= FULL).mean())
        if share >= CLIPPED:
            yield Finding("clipping", f"The recording of speaker {speaker} is clipped in {share:.0%} of its frames.")
        tail = frames - 1 - int(np.flatnonzero(loud)[-1])
        if tail / rate >= LONG_SILENCE:
            message = f"The recording of speaker {speaker} ends with {tail / rate:.1f} s of silence: trim it."
            yield Finding("silence", message)
        shift = _drift(loud, mine, rate)
        if shift:
            late = "after" if shift > 0 else "before"
            message = f"The words of speaker {speaker} seem to stand {abs(shift) / rate:.2f} s {late} their sound."
            yield Finding("drift", message)
        for word in mine:
            yield from _silent_word(word, loud, rate)


def _silent_word(word: PrefixWord, loud: np.ndarray, rate: float) -> Iterator[Finding]:
    assert word.start is not None, "only words with times come here"
    assert word.end is not None, "which have both"
    part = loud[int(word.start * rate) : max(int(word.start * rate) + 1, int(np.ceil(word.end * rate)))]
    if not part.any():
        message = f"There is no sound where “{word.text}” should be ({word.start:.2f} … {word.end:.2f} s)."
        yield Finding("silence", message, None, word.index)


def _drift(loud: np.ndarray, words: list[PrefixWord], rate: float) -> int:
    """Frames by which the words stand after the sound they belong to; 0 where no shift is clearly better."""
    said = np.zeros(len(loud))
    for word in words:
        assert word.start is not None, "only words with times come here"
        assert word.end is not None, "which have both"
        said[int(word.start * rate) : int(np.ceil(word.end * rate))] = 1
    sound = loud.astype(float)
    if said.std() == 0 or sound.std() == 0:
        return 0  # all words or none, all sound or none: nothing to line up
    most = min(int(MOST_DRIFT * rate), len(loud) // 3)
    scores = {shift: _agreement(said, sound, shift) for shift in range(-most, most + 1)}
    best = max(scores, key=lambda shift: (scores[shift], -abs(shift)))
    return best if abs(best) >= DRIFT_FRAMES and scores[best] - scores[0] >= DRIFT_GAIN else 0


def _agreement(said: np.ndarray, sound: np.ndarray, shift: int) -> float:
    """Correlation of words and sound when the words are moved `shift` frames earlier."""
    a, b = (said[shift:], sound[: len(sound) - shift]) if shift >= 0 else (said[:shift], sound[-shift:])
    if a.std() == 0 or b.std() == 0:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])
