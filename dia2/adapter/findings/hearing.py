"""Words that Whisper hears otherwise than the script has them; only where it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, cast

from dia2.adapter.findings.made import made_words
from dia2.inspect.schema.finding import Finding, FindingKind
from dia2.inspect.trace.find import bare
from dia2.inspect.trace.findings import Case, Detector

if TYPE_CHECKING:
    from dia2.adapter.findings.made import MadeWord
    from dia2.adapter.trace import Dia2Trace
    from dia2.runtime.words import Word

MISHEARD = FindingKind(
    "word-misheard",
    "note",
    "Whisper, listening to the audio, hears another word, or none, where the script has this one.",
    "Whisper errs, too: of nano's words, a robot's, it mishears a third, so it is a note.",
    "listen to it; take another seed",
)


def compare(asked: Sequence[MadeWord], heard: Sequence[Word]) -> Iterator[tuple[Sequence[MadeWord], str]]:
    """Words that were asked for and heard otherwise, with what was heard in their place."""
    wanted, got = [bare(word.text) for word in asked], [bare(word.text) for word in heard]
    for kind, a, b, c, d in SequenceMatcher(None, wanted, got, autojunk=False).get_opcodes():
        if kind != "equal" and "".join(wanted[a:b]) != "".join(got[c:d]) and b > a:
            yield asked[a:b], " ".join(word.text for word in heard[c:d])


def _look(case: Case) -> Iterator[Finding]:
    trace = cast("Dia2Trace", case.trace)
    if not case.hear or "text" in trace.redacted or trace.audio is None:
        return
    import torch

    from dia2.runtime.audio_io import resample
    from dia2.runtime.words import WHISPER_RATE, hear_words

    samples, rate = trace.audio
    sound = resample(torch.from_numpy(samples), rate, WHISPER_RATE)
    heard = hear_words(sound, case.whisper, torch.device("cpu"), "the run")
    spoken = [word for word in made_words(trace) if word.text and bare(word.text)]
    for words, instead in compare(spoken, heard):
        said = " ".join(word.text for word in words)
        what = f"“{instead}”" if instead else "nothing"
        text = f"Whisper hears {what} where the script has “{said}”."
        yield MISHEARD.found(text, words[0].call, words[-1].until, speaker=words[0].speaker or None)


DETECTORS = (Detector((MISHEARD,), _look),)
