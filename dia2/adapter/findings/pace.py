"""Words that are said too fast, too long or not to their end, and pauses that nobody asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, cast

import numpy as np

from dia2.adapter.findings.made import MadeSound, MadeWord, made_sound, made_words
from dia2.inspect.schema.finding import Finding, FindingKind
from dia2.inspect.trace.findings import Case, Detector
from dia2.inspect.trace.levels import SILENCE, SILENT_SECONDS, ends_sounding, pauses
from dia2.inspect.trace.stretches import in_a_row
from dia2.inspect.trace.unlikely import surprise_of

if TYPE_CHECKING:
    from dia2.adapter.trace import Dia2Trace

_SILENT_LETTERS = 2  # that a word takes time for beside its own
_FRAMES_A_LETTER = 0.58  # of nano, at 12.5 frames a second; for a run with too few words to have a pace of its own
_FEWEST = 6  # words that tell a run's pace
_HURRY = 0.6  # of the usual time; what is said in less counts towards a rush
RUSHED_FRAMES = 2.4  # that words in a row lack of `_HURRY`
HELD_FRAMES = 5.0  # that a word sounds longer than usual
HELD_FINAL = 7.0  # likewise, where a pause may follow it
AGAINST_BITS = 10.0  # that the model's own odds stood against the action, over one word
_UNREADY_BITS = 7.0  # that a new word costs for which the model is not ready
_FEWEST_UNREADY = 2  # such words
_NEAR_WORDS = 3  # from one of them to the next, at most
_HELD_ANYWAY = 2.0  # frames longer than usual that count as held then
CUT_SHARE = 0.3  # of the usual time; a word that sounds for less is cut
_CUT_FRAMES = 2.0  # that it lacks at least

RUSHED = FindingKind(
    "word-rushed",
    "bad",
    f"Words in a row take {RUSHED_FRAMES:g} frames less than {_HURRY:.0%} of the time that the run usually gives to "
    f"words of their length; or {_FEWEST_UNREADY} new words near each other cost {_UNREADY_BITS:g} bits each.",
    "The pace is the run's own: the median of frames by letter + 2. In 48 clean runs the most was 1.2 frames, and no "
    "two new words of more than 5.2 bits were near each other.",
    "take another seed; where an edit or a fork forced new words, leave it out",
)
HELD = FindingKind(
    "word-held",
    "bad",
    f"A word sounds {HELD_FRAMES:g} frames longer than the run's pace gives it ({HELD_FINAL:g} before punctuation); or "
    f"it is kept {_HELD_ANYWAY:g} frames longer by pads that cost {AGAINST_BITS:g} bits.",
    "In 48 clean runs the longest were 4.1 and 5.8 frames over, and the most against the odds 5.6 bits.",
    "take another seed; where an edit or a fork forced pads, leave it out",
)
CUT = FindingKind(
    "word-cut",
    "bad",
    f"A word sounds for less than {CUT_SHARE:.0%} of its usual time; or the audio ends while it sounds.",
    "In 48 clean runs the least was a third; each ended with a pause of six frames or more.",
    "take another seed; at the end of the audio, add a break after the last word",
)


def _usual(word: MadeWord, pace: float) -> float:
    """Frames that a word of its length takes."""
    return pace * (_SILENT_LETTERS + word.letters)


def _pace(words: Sequence[MadeWord], rate: float) -> float:
    """Frames a letter, two more letters counted for each word."""
    inner = [word.frames / (_SILENT_LETTERS + word.letters) for word in words if word.text and not word.final]
    return float(np.median(inner)) if len(inner) >= _FEWEST else _FRAMES_A_LETTER * rate / 12.5


def _quoted(words: Sequence[MadeWord]) -> str:
    if len(words) <= 4:
        return f"“{' '.join(word.text for word in words)}”"
    return f"“{words[0].text} {words[1].text} … {words[-1].text}”"


def _rushed(words: Sequence[MadeWord], pace: float, rate: float) -> Iterator[Finding]:
    """The stretch of words in a row that gains most time, as long as there is one."""
    gains = [_HURRY * _usual(word, pace) - word.frames for word in words]
    while words:
        best, total, start, stretch = 0.0, 0.0, 0, range(0)
        for i, gain in enumerate(gains):
            if total <= 0 or not words[i].text:
                total, start = 0.0, i
            total += gain if words[i].text else -np.inf
            if total > best:
                best, stretch = total, range(start, i + 1)
        said = [words[i] for i in stretch]
        if not said:
            return
        ends = said[0].call, said[-1].until + 1
        if best < RUSHED_FRAMES:
            return
        took, usual = sum(word.frames for word in said) / rate, sum(_usual(word, pace) for word in said) / rate
        text = f"{_quoted(said)} had {took:.2f} s, where the run's pace gives {usual:.2f} s."
        yield RUSHED.found(text, *ends, speaker=said[0].speaker or None)
        for i in stretch:
            gains[i] = -1.0


def _not_ready(words: Sequence[MadeWord], bits: np.ndarray) -> Iterator[Finding]:
    """Words in a row after which the next ones came though the model was not ready for them."""
    early = [
        i for i, word in enumerate(words) if word.text and bits[min(word.until + 1, len(bits) - 1)] >= _UNREADY_BITS
    ]
    for near in in_a_row(early, lambda one, other: other - one <= _NEAR_WORDS):
        said = words[near[0] : near[-1] + 1]
        if len(near) >= _FEWEST_UNREADY:
            text = f"{_quoted(said)} had no time: {len(near)} words after them were taken against the model's own odds."
            yield RUSHED.found(text, said[0].call, said[-1].until + 1, speaker=said[0].speaker or None)


def _spoken_frames(word: MadeWord, sound: MadeSound, end: int) -> tuple[int, int]:
    """Frames from a word on up to its first pause of two frames, and how many sound up to the next word.

    Args:
        word: whose.
        sound: of the run.
        end: the frame at which the next word sounds.
    """
    first = max(0, sound.frame_at(word.call))
    sounding = sound.levels.sounding[first:end]
    pauses = np.flatnonzero(~sounding[:-1] & ~sounding[1:]) if len(sounding) > 1 else np.zeros(0, int)
    loud = np.flatnonzero(sounding[: int(pauses[0])] if len(pauses) else sounding)
    return (int(loud[-1]) + 1 if len(loud) else 0), int(sounding.sum())


def _sounding(words: Sequence[MadeWord], sound: MadeSound, pace: float) -> Iterator[Finding]:
    """Words that are held, and words that are cut."""
    spoken = [word for word in words if word.text]
    total = len(sound.levels.sounding)
    for i, word in enumerate(spoken):
        last = i + 1 == len(spoken)
        end = total if last else min(total, sound.frame_at(spoken[i + 1].call))
        if sound.frame_at(word.call) >= total:
            return  # the audio ended before
        held, loud = _spoken_frames(word, sound, end)
        usual = _usual(word, pace)
        seconds = held / sound.rate, usual / sound.rate
        who = word.speaker or None
        if held - usual >= (HELD_FINAL if word.final or last else HELD_FRAMES):
            text = f"“{word.text}” sounds for {seconds[0]:.2f} s, where the run's pace gives {seconds[1]:.2f} s."
            yield HELD.found(text, word.call, sound.call_at(max(0, sound.frame_at(word.call)) + held), speaker=who)
        elif not last and sound.frame_at(word.call) >= 0 and loud < CUT_SHARE * usual and usual - loud >= _CUT_FRAMES:
            text = f"“{word.text}” is cut: it sounds for {loud / sound.rate:.2f} s, where {seconds[1]:.2f} s are usual."
            yield CUT.found(text, word.call, word.until, speaker=who)


def _kept_waiting(words: Sequence[MadeWord], pace: float, bits: np.ndarray, rate: float) -> Iterator[Finding]:
    """Words that pads kept which the model did not want."""
    for word in words:
        against = float(np.nansum(bits[word.call + 1 : word.until + 1]))
        if word.text and against >= AGAINST_BITS and word.frames - _usual(word, pace) >= _HELD_ANYWAY:
            text = (
                f"“{word.text}” was kept for {word.frames / rate:.2f} s, where the run's pace gives "
                f"{_usual(word, pace) / rate:.2f} s and the model's own odds were against it."
            )
            yield HELD.found(text, word.call, word.until, speaker=word.speaker or None)


def _silences(words: Sequence[MadeWord], sound: MadeSound) -> Iterator[Finding]:
    """Pauses beyond what breaks ask for; the one at the end is the run's own way to end."""
    for first, last in pauses(sound.levels, sound.rate):
        asked = sum(word.padding for word in words if first - 2 <= sound.frame_at(word.call) < last)
        seconds = (last - first - asked) / sound.rate
        if seconds >= SILENT_SECONDS:
            calls = sound.call_at(first), sound.call_at(last - 1)
            before = next((word.text for word in reversed(words) if word.text and word.call < calls[0]), "")
            after = f" after “{before}”" if before else " at the start"
            beyond = f", {seconds:.1f} s more than its break asks for" if asked else ""
            yield SILENCE.found(f"Nothing sounds for {(last - first) / sound.rate:.1f} s{after}{beyond}.", *calls)


def _ends_sounding(words: Sequence[MadeWord], sound: MadeSound) -> Iterator[Finding]:
    if ends_sounding(sound.levels):
        spoken = [word for word in words if word.text]
        within = [word for word in spoken if sound.frame_at(word.call) < len(sound.levels.sounding)]
        word = within[-1] if within else None
        whose = f" of “{word.text}”" if word else ""
        last = sound.calls - 1
        call = word.call if word else last
        yield CUT.found(f"The audio ends in the sound{whose}.", call, last, speaker=(word and word.speaker) or None)


def _look(case: Case) -> Iterator[Finding]:
    trace = cast("Dia2Trace", case.trace)
    if trace.warmup_calls >= len(trace) or "text" in trace.redacted:
        return
    words, rate = made_words(trace), trace.model.frame_rate
    bits, names = surprise_of(trace)
    action = bits[:, names.index("action")] if "action" in names else np.full(len(trace), np.nan)
    pace = _pace(words, rate)
    rushed = list(_rushed(words, pace, rate))
    yield from rushed
    yield from (one for one in _not_ready(words, action) if not any(_overlap(one, other) for other in rushed))
    sound = made_sound(trace)
    heard: list[Finding] = []
    if sound is not None:
        silent = list(_silences(words, sound))
        heard = [one for one in _sounding(words, sound, pace) if not any(_overlap(one, other) for other in silent)]
        yield from [*silent, *heard, *_ends_sounding(words, sound)]
    yield from (one for one in _kept_waiting(words, pace, action, rate) if one.call not in {f.call for f in heard})


def _overlap(one: Finding, other: Finding) -> bool:
    return one.call <= other.until and other.call <= one.until


DETECTORS = (Detector((CUT, RUSHED, HELD, SILENCE), _look),)
