"""Words that Whisper hears otherwise than the script has them, or twice; only where it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, cast

from dia2.adapter.findings.made import made_sound, made_words
from dia2.common.errors import UsageError
from dia2.inspect.schema.finding import Finding, FindingKind
from dia2.inspect.trace.find import bare
from dia2.inspect.trace.findings import Case, Detector
from dia2.inspect.trace.loops import LOOP

if TYPE_CHECKING:
    import numpy as np

    from dia2.adapter.findings.made import MadeWord
    from dia2.adapter.trace import Dia2Trace
    from dia2.runtime.words import Word

_FEWEST_AGAIN = 2  # words that are said again
_MOST_AGAIN = 12
_SPOKEN = 0.08  # seconds that a word takes which is said; Whisper itself repeats words in no time

MISHEARD = FindingKind(
    "word-misheard",
    "note",
    "Whisper, listening to the audio, hears another word, or none, where the script has this one.",
    "Whisper errs, too: of nano's words, a robot's, it mishears a third, so it is a note.",
    "listen to it; take another seed",
)


def compare(asked: Sequence[MadeWord], heard: Sequence[Word]) -> Iterator[tuple[Sequence[MadeWord], str]]:
    """Words that were heard otherwise, with what was heard in their place; one by one, if as many were."""
    wanted, got = [bare(word.text) for word in asked], [bare(word.text) for word in heard]
    for kind, a, b, c, d in SequenceMatcher(None, wanted, got, autojunk=False).get_opcodes():
        if kind == "equal" or "".join(wanted[a:b]) == "".join(got[c:d]) or b == a:
            continue
        if b - a == d - c:
            yield from ((asked[i : i + 1], heard[c + i - a].text) for i in range(a, b))
        else:
            yield asked[a:b], " ".join(word.text for word in heard[c:d])


def again(asked: Sequence[str], heard: Sequence[Word]) -> Iterator[tuple[Sequence[Word], Sequence[Word]]]:
    """Words that were heard twice in a row and asked for once: the first time, and the second.

    Args:
        asked: bare words of the script.
        heard: words of the audio.
    """
    said = [bare(word.text) for word in heard]
    at = 0
    while at < len(said):
        for count in range(_MOST_AGAIN, _FEWEST_AGAIN - 1, -1):
            first, second = said[at : at + count], said[at + count : at + 2 * count]
            words = heard[at + count : at + 2 * count]
            spoken = all(word.end - word.start >= _SPOKEN for word in words)
            if first == second and spoken and not _within([*first, *first], asked):
                yield heard[at : at + count], words
                at += count - 1
                break
        at += 1


def _within(part: Sequence[str], whole: Sequence[str]) -> bool:
    return any(list(whole[i : i + len(part)]) == part for i in range(len(whole) - len(part) + 1))


def heard_words(samples: np.ndarray, rate: int, whisper: str) -> list[Word]:
    """What Whisper hears in samples [N] at `rate` Hz, but for sounds that are no words.

    Raises:
        UsageError: Whisper is not installed, or there is none of that name.
        Dia2Error: its checkpoint cannot be downloaded or read.
    """
    import torch

    from dia2.runtime.audio_io import resample
    from dia2.runtime.words import WHISPER_RATE, hear_words

    at_16_khz = resample(torch.from_numpy(samples), rate, WHISPER_RATE)
    heard = hear_words(at_16_khz, whisper, torch.device("cpu"), "the run")
    return [word for word in heard if bare(word.text)]  # else “♪ ♪ ♪ ♪” would be words said twice


def _look(case: Case) -> Iterator[Finding]:
    trace = cast("Dia2Trace", case.trace)
    if not case.hear:
        return
    if "text" in trace.redacted or trace.audio is None:
        lacks = "no sound to listen to" if trace.audio is None else "no script to compare what is heard with"
        raise UsageError(f"{trace.path} has {lacks}: ask for its findings without hear.")
    heard = heard_words(*trace.audio, case.whisper)
    spoken = [word for word in made_words(trace) if word.text and bare(word.text)]
    for words, instead in compare(spoken, heard):
        said = " ".join(word.text for word in words)
        what = f"“{instead}”" if instead else "nothing"
        text = f"Whisper hears {what} where the script has “{said}”."
        yield MISHEARD.found(text, words[0].call, words[-1].until, speaker=words[0].speaker or None)
    sound = made_sound(trace)
    if sound is None:
        return
    for first, second in again([bare(word.text) for word in spoken], heard):
        calls = [sound.call_at(int(time * sound.rate)) for time in (second[0].start, second[-1].end)]
        text = f"Whisper hears “{' '.join(word.text for word in first)}” twice, which the script has once."
        yield LOOP.found(text, calls[0], max(calls), fix="listen to it; take another seed")


DETECTORS = (Detector((LOOP, MISHEARD), _look, listens=True),)
