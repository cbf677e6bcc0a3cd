"""`dia2 trace prefix`: what became of a voice clone's prefix, word by word, and what is wrong with it."""

from __future__ import annotations

import math
from dataclasses import asdict

from rich.console import Console

from dia2.adapter.doctor import Diagnosis, diagnose
from dia2.adapter.finding import PrefixWord
from dia2.adapter.trace import Dia2Trace
from dia2.common.wording import counted
from dia2.inspect.views.console.page import DIM, LABEL, MARK, SPEAKER, Column, Facts, Page, number, plain

_BARS = "▁▂▃▄▅▆▇█"  # from −60 dB to full scale
_WORD = 16  # columns of the longest word shown whole


def prefix_facts(trace: Dia2Trace) -> Facts:
    """What `dia2.adapter.doctor` finds."""
    found = diagnose(trace)
    return {
        "path": str(trace.path),
        "frames": found.frames,
        "voice_frames": trace.run.voice_frames,
        "frame_rate": trace.model.frame_rate,
        "measured": found.measured,
        "words": [asdict(word) | {"slip": word.slip} for word in found.words],
        "findings": [asdict(finding) | {"advice": finding.advice} for finding in found.findings],
    }


def print_prefix(trace: Dia2Trace, console: Console) -> None:
    """Each prefix word with its times and steps, a strip of the recordings, and the findings."""
    page, found = Page(console), diagnose(trace)
    if not found.frames:
        page.line(f"{trace.path} has no prefix: no voice was cloned.")
        return
    rate = trace.model.frame_rate
    parts = [f"speaker {i} {counted(n, 'frame')}" for i, n in enumerate(trace.run.voice_frames, 1)]
    page.line(f"prefix of {counted(found.frames, 'frame')} ({found.frames / rate:.2f} s): {', '.join(parts)}")
    page.line()
    _words(page, found)
    page.title("frame by frame")
    _strip(page, trace, found)
    page.title(f"findings: {len(found.findings) or 'none'}")
    if not found.findings:
        page.paragraph("Every word was taken where its times place it.", indent=2)
    for finding in found.findings:
        where = "" if finding.call is None else f", call {finding.call}"
        page.line("  ", (f"! {finding.kind}", MARK), (where, DIM))
        page.paragraph(finding.message, indent=4)
        page.paragraph(plain(f"→ {finding.advice}", DIM), indent=4)
    if not found.measured:
        page.line()
        page.paragraph(
            "The sound of the recordings was not measured (a .voice file has no waveform), so silence, clipping and "
            "drift are not judged.",
            indent=2,
        )


def _words(page: Page, found: Diagnosis) -> None:
    flags: dict[int, list[str]] = {}
    for finding in found.findings:
        if finding.word is not None:
            flags.setdefault(finding.word, []).append(finding.kind)
    columns = [Column(3, "right"), Column(2), Column(_WORD), Column(13, "right"), Column(5, "right")]
    columns += [Column(7, "right"), Column(6, "right"), Column(page.width - 69 + 1)]
    heads = ("#", "", "word", "seconds", "asked", "taken", "slip", "")
    page.row([plain(head, LABEL) for head in heads], columns)
    for word in found.words:
        times = f"{number(word.start)} … {number(word.end)}"
        slip = "–" if word.slip is None else f"{word.slip:+d}" if word.slip else "0"
        marks = ", ".join(flags.get(word.index, []))
        page.row(
            [
                plain(word.index),
                plain(f"S{word.speaker}", SPEAKER.get(word.speaker, "")),
                plain(word.text),
                plain(times),
                plain(word.step),
                plain(_taken(word)),
                plain(slip),
                plain(f"! {marks}" if marks else "", MARK),
            ],
            columns,
        )
    page.paragraph("asked, taken: steps; slip: frames late; * taken after the prefix, in the main loop", indent=2)


def _taken(word: PrefixWord) -> str:
    if word.taken_step is None:
        return "never"
    return f"{word.taken_step}{'' if word.in_warmup else ' *'}"


def _strip(page: Page, trace: Dia2Trace, found: Diagnosis) -> None:
    """Sound, words, boundaries asked for and taken, a character a frame."""
    prefix = trace.prefix
    assert prefix is not None, "there are frames"
    frames, room = found.frames, page.width - 10
    sound = "".join(_bar(float(rms)) for rms in prefix.rms)
    sound = "".join("!" if tops > 0 else bar for bar, tops in zip(sound, prefix.clipped, strict=True))
    asked = {word.step for word in found.words}
    taken = {word.taken_step for word in found.words if word.in_warmup}
    lanes = {
        "sound": sound,
        "words": _spoken(trace, found),
        "asked": "".join("^" if step in asked else "·" for step in range(frames)),
        "taken": "".join("^" if step in taken else "x" if step in asked else "·" for step in range(frames)),
    }
    for first in range(0, frames, room):
        last = min(first + room, frames)
        page.line((f"{'frame':<8}", LABEL), "  ", _ruler(first, last))
        for name, lane in lanes.items():
            page.line((f"{name:<8}", LABEL), "  ", lane[first:last])
        page.line()
    page.paragraph(
        "sound: −60 dB to full scale, ! clipped, ? unknown; words: last digit of the word's number; asked, taken: ^ a "
        "word begins, x one was asked for and none taken",
        indent=2,
    )


def _bar(rms: float) -> str:
    if not math.isfinite(rms):
        return "?"
    level = 1 + 20 * math.log10(max(rms, 1e-6)) / 60
    return _BARS[min(len(_BARS) - 1, max(0, int(level * len(_BARS))))] if level > 0 else " "


def _spoken(trace: Dia2Trace, found: Diagnosis) -> str:
    """Where the words' own times put them: word 0, 1, 2 … of the list, by last digit."""
    lane = ["·"] * found.frames
    rate, offset = trace.model.frame_rate, {1: 0, 2: trace.run.voice_frames[0] if trace.run.voice_frames else 0}
    for word in found.words:
        if word.start is None or word.end is None:
            continue
        begin = offset[word.speaker] + int(word.start * rate)
        for frame in range(begin, min(found.frames, max(begin + 1, offset[word.speaker] + math.ceil(word.end * rate)))):
            lane[frame] = str(word.index % 10)
    return "".join(lane)


def _ruler(first: int, last: int) -> str:
    """Frame numbers at every tenth."""
    marks = [" "] * (last - first + 8)
    for frame in range(first, last):
        if frame % 10 == 0:
            marks[frame - first : frame - first + len(str(frame))] = str(frame)
    return "".join(marks).rstrip()
