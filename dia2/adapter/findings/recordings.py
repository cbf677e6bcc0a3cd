"""What is wrong with a prefix recording by itself, and with its words beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pkgutil import resolve_name
from typing import TYPE_CHECKING, cast

import numpy as np

from dia2.adapter.findings.shift import SHIFT, Shifted, by_ear, by_loudness, by_spelling, shift_finding
from dia2.adapter.prefix_sound import covered, wordless
from dia2.adapter.prefix_words import PrefixWord, prefix_words
from dia2.inspect.schema.finding import Finding, FindingKind
from dia2.inspect.trace.findings import Case, Detector
from dia2.inspect.trace.levels import SILENCE, SILENT_SECONDS, Levels, measure
from dia2.inspect.trace.stretches import in_a_row

if TYPE_CHECKING:
    from dia2.adapter.ear.curves import EarCurves
    from dia2.adapter.trace import Dia2Trace

SHORT_SECONDS = 2.0  # of speech; a recording with less is called short
QUIET_LEVEL = -40.0  # dB; speech below is called quiet
NOISE_DISTANCE = 15.0  # dB from the speech down to the quietest moments; a recording with less is called noisy
BREATHLESS = 12.0  # likewise, where no frame is far from all words: the quietest moments may be speech there
CLEAR = 25.0  # likewise; in a recording with less, noise may hide a soft word
FAR = 2  # frames around each word; what is farther from all is no speech
STEADY = 6.0  # dB that noise between the words may stand above the quietest moments
SILENT_LETTERS = 5  # that words without sound have, all in a row; transcripts put a single “the” into a pause
FLAT_TOPS = 5  # hundredths of a second with flat tops from which on a recording is clipped
UNLABELLED_SECONDS = 0.7  # of speech in one place that have no word, from which on they are told
UNLABELLED_SHARE = 0.12  # or as many here and there, if they are this share of all speech

_CLEAN = (
    "The limit lies where twenty clean recordings with Whisper's words bring nothing: two voices of flite and "
    "espeak-ng, at two rates, with a little noise."
)
SHORT = FindingKind(
    "prefix-short",
    "note",
    f"A recording has less than {SHORT_SECONDS:g} s of speech.",
    "A voice is told by its vowels, and two seconds hold some eight syllables; five to ten seconds are usual.",
    "give a longer recording: five to ten seconds",
)
QUIET = FindingKind(
    "prefix-quiet",
    "bad",
    f"The speech of a recording, the 80th percentile of its loud frames, lies below {QUIET_LEVEL:g} dB of full scale.",
    "Recordings of people lie between −30 and −15 dB; the model never heard speech 20 dB below.",
    "record louder, or amplify it to a level of about −20 dB",
)
CLIPPED = FindingKind(
    "prefix-clipped",
    "bad",
    f"{FLAT_TOPS} hundredths of a second or more hold samples in a row at one flat top.",
    "Single peaks at full scale are what normalising makes; a flat top is what clipping makes, at any level.",
    "record again with less gain",
)
NOISE = FindingKind(
    "prefix-noise",
    "bad",
    f"Speech stands less than {NOISE_DISTANCE:g} dB above the quietest moments, and between the words there is steady "
    f"sound; less than {BREATHLESS:g} dB where {SHORT_SECONDS:g} s of speech leave no moment between words.",
    "Of 143 clean recordings, with noise 27 dB below them and less, the least was 18.9 dB. " + _CLEAN,
    "record in a quieter place, or nearer to the microphone",
)
UNLABELLED = FindingKind(
    "prefix-unlabelled-speech",
    "bad",
    f"{UNLABELLED_SECONDS:g} s of speech in one place are in no word, or as many in several that are "
    f"{UNLABELLED_SHARE:.0%} of all speech.",
    _CLEAN,
    "add the words that are spoken there, or cut them out of the recording",
)
WORDS_ONLY = FindingKind(
    "prefix-words-without-speech",
    "bad",
    f"Where words of {SILENT_LETTERS} letters or more should sound, a recording whose pauses lie {CLEAR:g} dB below "
    "its speech has nothing but pause in the frames that are theirs alone; or all of it is silent.",
    "Whisper puts a single “the” or “a” into a pause beside it, in 3 of 44 clean recordings. " + _CLEAN,
    "trim the recording, or check its word times",
)


def sound_findings(
    rms: np.ndarray,
    clipped: np.ndarray,
    words: Sequence[PrefixWord],
    speaker: int,
    rate: float,
    first: int = 0,
    shifts: Sequence[Shifted] | None = None,
    *,
    legible: bool = True,
) -> Iterator[Finding]:
    """Look at one speaker's recording.

    Args:
        rms: [frames] of the recording, see `Loudness`.
        clipped: [frames] likewise.
        words: that it is said to have, with their times.
        speaker: whose it is.
        rate: frames a second.
        first: call of the warm-up that reads its first frame.
        shifts: of the words, by ear or by their spelling; `None`: neither can tell, so loudness does.
        legible: the words' texts are theirs; of a redacted trace nothing is told by how long they are.
    """
    last = first + len(rms) - 1
    if not rms.any():
        kind = WORDS_ONLY if words else QUIET
        yield kind.found(f"The recording of speaker {speaker} is silent.", first, last, speaker=speaker)
        return
    levels = measure(rms)
    yield from _levels(levels, clipped, speaker, rate, first)
    if words:
        yield from _against_words(levels, words, speaker, rate, first, shifts, legible=legible)


def _levels(levels: Levels, clipped: np.ndarray, speaker: int, rate: float, first: int) -> Iterator[Finding]:
    """What is wrong with a recording whatever it says."""
    whose, last = f"The recording of speaker {speaker}", first + len(levels.sounding) - 1
    seconds = float(levels.sounding.sum()) / rate
    if seconds < SHORT_SECONDS:
        text = f"{whose} is short: it has {seconds:.1f} s of speech."
        yield SHORT.found(text, first, last, speaker=speaker)
    if levels.speech < QUIET_LEVEL:
        text = f"{whose} is quiet: its speech has a level of {decibels(levels.speech)}."
        yield QUIET.found(text, first, last, speaker=speaker)
    if clipped.sum() >= FLAT_TOPS:  # NaN, where it is not known, is not
        tops = np.flatnonzero(clipped > 0)
        text = f"{whose} is clipped in {len(tops) / len(clipped):.0%} of its frames, from {tops[0] / rate:.2f} s on."
        yield CLIPPED.found(text, first + int(tops[0]), first + int(tops[-1]), speaker=speaker)
    end = int(np.flatnonzero(levels.sounding)[-1])
    tail = len(levels.sounding) - 1 - end
    if tail / rate >= SILENT_SECONDS:
        text = f"{whose} ends with {tail / rate:.1f} s of silence."
        yield SILENCE.found(text, first + end + 1, last, speaker=speaker, fix="trim the recording")


def _against_words(
    levels: Levels,
    words: Sequence[PrefixWord],
    speaker: int,
    rate: float,
    first: int,
    shifts: Sequence[Shifted] | None,
    *,
    legible: bool,
) -> Iterator[Finding]:
    """What is wrong between a recording and its words."""
    times = np.array([[word.start, word.end] for word in words]) * rate  # [W, 2]
    between = levels.decibels[~covered(times, len(levels.sounding), FAR)]
    above = levels.speech - levels.floor
    if len(between):
        steady = bool(np.median(between) <= levels.floor + STEADY)
    else:
        steady = above < BREATHLESS and levels.sounding.sum() >= SHORT_SECONDS * rate
    if above < NOISE_DISTANCE and steady:
        how = f"its speech is only {above:.0f} dB above the noise, which has {decibels(levels.floor)}."
        text = f"The recording of speaker {speaker} is noisy: {how}"
        yield NOISE.found(text, first, first + len(levels.sounding) - 1, speaker=speaker)
    lacking = list(_wordless(levels, times, speaker, rate, first))
    told = by_loudness(levels, times, rate) if shifts is None else shifts
    moved: set[int] = set()
    for shift in told:
        mends = not any(_wordless(levels, shift.applied(times, rate), speaker, rate, first))
        if mends or shift.heard:  # to others, missing words look like shifted ones
            lacking = [] if mends else lacking
            moved |= set(range(shift.first, shift.last + 1))
            yield shift_finding(words, shift)
    yield from lacking  # where words are missing, those that are there look shifted too
    if above >= CLEAR and legible:
        silent = [i for i, word in enumerate(words) if i not in moved and _is_silent(word, levels.hushed, rate)]
        yield from _silent_words([words[i] for i in silent], speaker, rate, first)


def _wordless(levels: Levels, times: np.ndarray, speaker: int, rate: float, start: int) -> Iterator[Finding]:
    """Speech that is in no word: much of it at one place, or a little at many."""
    bare, gaps = wordless(levels, times)
    long = [(first, last) for first, last in gaps if bare[first:last].sum() / rate >= UNLABELLED_SECONDS]
    whose = f"of speaker {speaker}'s recording"
    for first, last in long:
        if first < times[:, 0].min():
            where = "At the start"
        else:
            where = "At the end" if last > times[:, 1].max() else "In the middle"
        there = f"there is speech that is not in the word list: {first / rate:.2f} … {last / rate:.2f} s."
        yield UNLABELLED.found(f"{where} {whose} {there}", start + first, start + last - 1, speaker=speaker)
    share = float(bare.sum() / levels.sounding.sum())
    if not long and bare.sum() / rate >= UNLABELLED_SECONDS and share >= UNLABELLED_SHARE:
        text = f"{share:.0%} of the speech in speaker {speaker}'s recording is not in the word list, here and there."
        where_bare = np.flatnonzero(bare)
        yield UNLABELLED.found(text, start + int(where_bare[0]), start + int(where_bare[-1]), speaker=speaker)


def _frames_of(word: PrefixWord, rate: float) -> tuple[int, int]:
    """The first frame of a word's time and the one after its last."""
    assert word.start is not None, "only words with times come here"
    assert word.end is not None, "which have both"
    first = int(word.start * rate)
    return first, max(first + 1, int(np.ceil(word.end * rate)))


def _is_silent(word: PrefixWord, hushed: np.ndarray, rate: float) -> bool:
    first, last = _frames_of(word, rate)
    assert word.start is not None, "see `_frames_of`"
    assert word.end is not None, "likewise"
    within = slice(int(np.ceil(word.start * rate)), int(word.end * rate))  # frames that it shares with no other
    if within.stop - within.start >= 2:
        return bool(hushed[within].all())
    beside = FAR if word.end - word.start < 1 / rate else 0  # what takes no time has none of its own
    return bool(hushed[max(0, first - beside) : last + beside].all())


def _silent_words(words: Sequence[PrefixWord], speaker: int, rate: float, start: int) -> Iterator[Finding]:
    """Words in a row without sound are one finding."""
    for silent in in_a_row(words, lambda one, other: other.index == one.index + 1):
        if sum(char.isalnum() for word in silent for char in word.text) < SILENT_LETTERS:
            continue
        one, other = silent[0], silent[-1]
        which = f"“{one.text}”" if one is other else f"“{one.text}” … “{other.text}” ({len(silent)} words)"
        text = f"There is no sound where {which} should be ({one.start:.2f} … {other.end:.2f} s)."
        calls = start + _frames_of(one, rate)[0], start + _frames_of(other, rate)[1] - 1
        yield WORDS_ONLY.found(text, *calls, speaker=speaker, words=[word.index for word in silent])


def decibels(level: float) -> str:
    """A level as people write it."""
    return f"−{abs(level):.0f} dB" if level < 0 else f"{level:.0f} dB"


def recording_findings(
    trace: Dia2Trace, words: Sequence[PrefixWord], ear: EarCurves | None = None
) -> Iterator[Finding]:
    """What all recordings of a trace's prefix sound like, speaker by speaker.

    Of a recording whose loudness is not known, only the ear or spelling tells.

    Args:
        trace: with a prefix.
        words: of it.
        ear: what the checkpoint heard; `None`: spelling or loudness tells.
    """
    prefix, first, rate = trace.prefix, 0, trace.model.frame_rate
    if prefix is None:
        return
    legible = "text" not in trace.redacted
    for speaker, frames in enumerate(trace.run.voice_frames, 1):
        part = slice(first, first + frames)
        mine = [word for word in words if word.speaker == speaker and word.start is not None]
        if frames:
            shifts = None if ear is None else by_ear(ear, speaker, mine)
            if shifts is None and speaker in trace.letters:
                shifts = by_spelling(trace.letters[speaker], rate)
            rms, clipped = prefix.rms[part], prefix.clipped[part]
            if np.isfinite(rms).all():
                yield from sound_findings(rms, clipped, mine, speaker, rate, first, shifts, legible=legible)
            else:
                yield from (shift_finding(mine, shift) for shift in shifts or ())
        first += frames


def _look(case: Case) -> Iterator[Finding]:
    trace = cast("Dia2Trace", case.trace)
    if "voice" not in trace.redacted:
        ear = trace.ear
        if ear is None and case.tts is not None and trace.prefix is not None:
            ear = resolve_name("dia2.adapter.ear.of:ear_of")(trace, case.tts)  # brings the runtime
        yield from recording_findings(trace, prefix_words(trace), ear)


KINDS = (SHORT, QUIET, CLIPPED, NOISE, UNLABELLED, WORDS_ONLY, SHIFT, SILENCE)
DETECTORS = (Detector(KINDS, _look),)
