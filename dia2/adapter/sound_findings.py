"""What is wrong with a prefix recording by itself, and with its words beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from dia2.adapter.finding import Finding, PrefixWord
from dia2.adapter.prefix_sound import Levels, Shift, covered, find_shift, measure, wordless

QUIET = -40.0  # dB; speech below is called quiet
NOISY = 15.0  # dB from the speech down to the quietest moments; a recording with less is called noisy
CLEAR = 25.0  # likewise; in a recording with less, noise may hide a soft word
FAR = 2  # frames around each word; what is farther from all is no speech
STEADY = 6.0  # dB that noise between the words may stand above the quietest moments
FLAT_TOPS = 5  # hundredths of a second with flat tops from which on a recording is clipped
LONG_SILENCE = 1.0  # seconds at the end of a recording that the model takes for a pause to keep
MOST_DRIFT = 1.5  # seconds between words and sound that are looked for
DRIFT_FRAMES = 3  # from here on a shift is told; transcripts of clean recordings stand one or two aside
WORDLESS = 0.7  # seconds of speech in one place that have no word, from which on they are told
WORDLESS_SHARE = 0.12  # or as many here and there, if they are this share of all speech


def sound_findings(
    rms: np.ndarray, clipped: np.ndarray, words: Sequence[PrefixWord], speaker: int, rate: float
) -> Iterator[Finding]:
    """Look at one speaker's recording.

    Args:
        rms: [frames] of the recording, see `Loudness`.
        clipped: [frames] likewise.
        words: that it is said to have, with their times.
        speaker: whose it is.
        rate: frames a second.
    """
    if not rms.any():
        yield Finding("silence", f"The recording of speaker {speaker} is silent.")
        return
    levels = measure(rms)
    yield from _levels(levels, clipped, speaker, rate)
    if words:
        yield from _against_words(levels, words, speaker, rate)


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


def _against_words(levels: Levels, words: Sequence[PrefixWord], speaker: int, rate: float) -> Iterator[Finding]:
    """What is wrong between a recording and its words."""
    times = np.array([[word.start, word.end] for word in words]) * rate  # [W, 2]
    between = levels.decibels[~covered(times, len(levels.sounding), FAR)]
    above = levels.speech - levels.floor
    if above < NOISY and len(between) and np.median(between) <= levels.floor + STEADY:
        message = f"its speech is only {above:.0f} dB above the noise, which has {decibels(levels.floor)}."
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


def _which(words: Sequence[PrefixWord], shift: Shift) -> str:
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
