"""Subtitles from word times: SubRip (.srt) and WebVTT (.vtt)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dia2.errors import UsageError
from dia2.files import write_atomically
from dia2.generation import GenerationResult

FORMATS = (".srt", ".vtt")
_LONGEST = 84  # characters of a cue: two lines of 42, the usual width
_PAUSE = 1.5  # seconds; a longer silence ends a cue, and a cue stays no longer than this after its last word begins
_SHORTEST = 0.5  # seconds
_SENTENCE_END = (".", "?", "!", "…")


@dataclass(frozen=True)
class Cue:
    """One subtitle."""

    start: float  # seconds
    end: float
    text: str
    speaker: int  # 1 or 2


def check_subtitle_path(path: str | Path) -> None:
    """Raise UsageError unless the file name says which format it is to have."""
    if Path(path).suffix.lower() not in FORMATS:
        raise UsageError(f"Subtitles {path} must end in .srt or .vtt, which says their format.")


def make_cues(result: GenerationResult) -> list[Cue]:
    """Group words into cues: a new one with each speaker, sentence, pause, or when two lines are full."""
    groups: list[tuple[int, list[tuple[str, float]]]] = []  # speaker, and (word, start) of each
    for (text, start), speaker in zip(result.timestamps, result.speakers, strict=True):
        if groups:
            talking, words = groups[-1]
            length = sum(len(word) + 1 for word, _ in words) + len(text)
            ended = words[-1][0].endswith(_SENTENCE_END) or start - words[-1][1] > _PAUSE or length > _LONGEST
        if not groups or ended or talking != speaker:
            groups.append((speaker, []))
        groups[-1][1].append((text, start))
    if not groups:
        return []
    cues = []
    ends = [words[0][1] for _, words in groups[1:]] + [result.duration]
    for (speaker, words), end in zip(groups, ends, strict=True):
        start, last = words[0][1], words[-1][1]
        text = " ".join(" ".join(word.split()) for word, _ in words)  # a prefix's word may hold line breaks
        end = min(end, last + _PAUSE)
        # With the context used up, words can begin after the last whole frame of audio.
        cues.append(Cue(start, end if end > start else start + _SHORTEST, text, speaker))
    return cues


def format_subtitles(cues: Iterable[Cue], suffix: str) -> str:
    """The text of a subtitle file; `suffix` is ".srt" or ".vtt"."""
    vtt = suffix.lower() == ".vtt"
    blocks = ["WEBVTT\n"] if vtt else []
    for number, cue in enumerate(cues, 1):
        times = f"{_clock(cue.start, vtt)} --> {_clock(cue.end, vtt)}"
        if vtt:
            text = cue.text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
            blocks.append(f"{times}\n<v Speaker {cue.speaker}>{text}\n")
        else:
            blocks.append(f"{number}\n{times}\n{cue.text.replace('-->', '→')}\n")  # an arrow would read as a time line
    return "\n".join(blocks)


def write_subtitles(path: str | Path, result: GenerationResult) -> None:
    """Write a result's subtitles in the format that the file name says.

    Raises:
        UsageError: it ends neither in .srt nor in .vtt.
        Dia2Error: the file cannot be written.
    """
    check_subtitle_path(path)
    write_atomically(path, format_subtitles(make_cues(result), Path(path).suffix).encode())


def _clock(seconds: float, vtt: bool) -> str:
    total = round(seconds * 1000)
    clock = f"{total // 3_600_000:02d}:{total // 60_000 % 60:02d}:{total // 1000 % 60:02d}"
    return f"{clock}{'.' if vtt else ','}{total % 1000:03d}"
