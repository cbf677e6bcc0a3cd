"""Files of word times: subtitles, SubRip (.srt) and WebVTT (.vtt), and words for programs and prefixes (.json)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dia2.common.errors import UsageError
from dia2.common.files import write_atomically
from dia2.common.terminal.summary import word_rows
from dia2.generation import WORDS_FORMAT, GenerationResult, PlacedWord

FORMATS = (".srt", ".vtt")
_LONGEST = 84  # characters of a cue: two lines of 42, the usual width
_MOST = 1000  # with its markup
_PAUSE = 1.5  # seconds; a longer silence ends a cue, and a cue stays no longer than this after its last word begins
_SHORTEST = 0.5  # seconds
_MOMENT = 0.002  # seconds; a shorter cue might begin and end in one millisecond
_SENTENCE_END = (".", "?", "!", "…")

# What players obey in SubRip's text: HTML's tags, some with WebVTT's classes; styles of SubStation Alpha and MicroDVD.
_NAMES = "a b big c center code del div em font i ins lang mark p q rt ruby s small span strike strong sub sup tt u v"
_ATTRIBUTE = r"""\s+[\w:-]+\s*=\s*(?:"[^"<>]*"|'[^'<>]*'|[^\s"'<>]+)"""
_TAG = re.compile(rf"</?(?:{_NAMES.replace(' ', '|')})(?:\.[\w.-]+)?(?:{_ATTRIBUTE})*\s*/?>", re.IGNORECASE)
_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
_LIKE_TAG = re.compile(r"<(/?[a-z][^<>]*)>", re.IGNORECASE)
_STYLE = re.compile(r"\{\\[^{}]*\}|\{[cdfhopsy]:[^{}]*\}|\{[a-z]:[^{}\s]*\}", re.IGNORECASE)
_LIKE_STYLE = re.compile(r"\{([a-z]:[^{}]*)\}", re.IGNORECASE)
_BEGUN_STYLE = re.compile(r"\{(?=\\|[a-z]:)", re.IGNORECASE)


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
    """Those of a result."""
    return cues_of(result.words, result.duration)


def cues_of(said_words: Iterable[PlacedWord], duration: float) -> list[Cue]:
    """Group words into cues: a new one with each speaker, sentence, pause, or when two lines are full.

    Args:
        said_words: in their order.
        duration: of the sound, in seconds.
    """
    groups: list[tuple[int, list[tuple[str, float]]]] = []  # speaker, and (word, start) of each
    for said in said_words:
        if groups:
            talking, words = groups[-1]
            full = _is_full(" ".join(word for word, _ in words) + " " + said.text)
            ended = full or _ends_sentence(words[-1][0]) or said.seconds - words[-1][1] > _PAUSE
        if not groups or ended or talking != said.speaker:
            groups.append((said.speaker, []))
        groups[-1][1].append((said.text, said.seconds))
    if not groups:
        return []
    cues = []
    ends = [words[0][1] for _, words in groups[1:]] + [duration]
    for (speaker, words), end in zip(groups, ends, strict=True):
        start, last = words[0][1], words[-1][1]
        text = " ".join(" ".join(word.split()) for word, _ in words)  # a prefix's word may hold line breaks
        end = min(end, last + _PAUSE)
        # With the context used up, words can begin after the last whole frame of audio.
        cues.append(Cue(start, end if end - start >= _MOMENT else start + _SHORTEST, text, speaker))
    return cues


def _is_full(text: str) -> bool:
    """Too long for a cue; markup, which may go on in the next word, does not count."""
    return len(text) > _LONGEST and (len(text) > _MOST or len(without_markup(text)) > _LONGEST)


def _ends_sentence(word: str) -> bool:
    return without_markup(word).endswith(_SENTENCE_END)


def without_markup(text: str) -> str:
    r"""A cue's text for SubRip, which has no escape: without what a player would obey instead of showing it.

    Tags (`<i>`, `</font>`, `<font color="red">`) and styles (`{\an8}`, `{y:i}`) go, in capital letters too. What a
    player would only hide (`<laughs>`), what looks like markup but has words in it (`a<b and c>d`, `{a: one}`), and a
    style without an end get other brackets, and keep their words.
    """
    before = None
    while text != before:  # what is left may be markup again: <<i>b>
        before = text
        text = _STYLE.sub("", _TAG.sub("", _BREAK.sub(" ", text)))
    text = _LIKE_TAG.sub(r"‹\1›", text)
    text = _BEGUN_STYLE.sub("(", _LIKE_STYLE.sub(r"(\1)", text))
    return " ".join(text.replace("-->", "→").split())  # an arrow would read as a time line


def format_subtitles(cues: Iterable[Cue], suffix: str) -> str:
    """The text of a subtitle file; `suffix` is ".srt" or ".vtt"."""
    return _format_vtt(cues) if suffix.lower() == ".vtt" else _format_srt(cues)


def _format_srt(cues: Iterable[Cue]) -> str:
    shown = [(cue, text) for cue in cues if (text := without_markup(cue.text))]
    return "\n".join(f"{i}\n{_times(cue, ',')}\n{text}\n" for i, (cue, text) in enumerate(shown, 1))


def _format_vtt(cues: Iterable[Cue]) -> str:
    blocks = ["WEBVTT\n"]
    for cue in cues:
        text = cue.text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        if text.strip():
            blocks.append(f"{_times(cue, '.')}\n<v Speaker {cue.speaker}>{text}\n")
    return "\n".join(blocks)


def write_subtitles(path: str | Path, result: GenerationResult) -> None:
    """Write a result's subtitles in the format that the file name says.

    Raises:
        UsageError: it ends neither in .srt nor in .vtt.
        Dia2Error: the file cannot be written.
    """
    check_subtitle_path(path)
    write_atomically(path, format_subtitles(make_cues(result), Path(path).suffix).encode())


def _times(cue: Cue, point: str) -> str:
    return f"{_clock(cue.start, point)} --> {_clock(cue.end, point)}"


def _clock(seconds: float, point: str) -> str:
    total = round(seconds * 1000)
    return f"{total // 3_600_000:02d}:{total // 60_000 % 60:02d}:{total // 1000 % 60:02d}{point}{total % 1000:03d}"


def words_json(result: GenerationResult) -> str:
    """A words file, which people, programs and `--prefix-words-1/2` read."""
    return json.dumps({"format": WORDS_FORMAT, "words": word_rows(result)}, ensure_ascii=False, indent=1) + "\n"
