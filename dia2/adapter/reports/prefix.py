"""`dia2 trace prefix`: what became of a voice clone's prefix, word by word, and what is wrong with it."""

from __future__ import annotations

import math
from dataclasses import asdict

from dia2.adapter.doctor import Diagnosis, diagnose
from dia2.adapter.prefix_words import PrefixWord
from dia2.adapter.trace import Dia2Trace
from dia2.common.wording import counted, number
from dia2.inspect.schema.finding import Finding
from dia2.inspect.schema.report import Block, Cell, Column, Facts, Line, Paragraph, Report, Strip, Table, Title

_BARS = "▁▂▃▄▅▆▇█"  # from −60 dB to full scale
_KEY = (
    "sound: −60 dB to full scale, ! clipped, ? unknown; words: last digit of the word's number; asked, taken: ^ a "
    "word begins, x one was asked for and none taken"
)
_UNMEASURED = (
    "The sound of the recordings was not measured by the dia2 that recorded this, so silence, clipping and "
    "drift are not judged."
)


def report(trace: Dia2Trace) -> Report:
    """What `dia2.adapter.doctor` finds: each prefix word with its times and steps, a strip of the recordings."""
    found, rate, voices = diagnose(trace), trace.model.frame_rate, trace.run.voice_frames
    facts = {
        "path": str(trace.path),
        "frames": found.frames,
        "voice_frames": voices,
        "frame_rate": rate,
        "measured": found.measured,
        "words": [asdict(word) | {"slip": word.slip} for word in found.words],
        "findings": [_fact(finding) for finding in found.findings],
    }
    if not found.frames:
        return Report(facts, [Line(f"{trace.path} has no prefix: no voice was cloned.")])
    parts = ", ".join(f"speaker {i} {counted(n, 'frame')}" for i, n in enumerate(voices, 1))
    told = Line(f"prefix of {counted(found.frames, 'frame')} ({found.frames / rate:.2f} s): {parts}")
    shown = [told, Line(), *_words(found), Title("frame by frame"), _strip(trace, found), Paragraph(_KEY, indent=2)]
    return Report(facts, [*shown, *_findings(found)])


# What scripts that read `dia2 trace prefix --json` know the kinds by.
_FORMER = {
    "prefix-clipped": "clipping",
    "prefix-noise": "noise",
    "prefix-quiet": "quiet",
    "prefix-shift": "drift",
    "prefix-unlabelled-speech": "wordless",
    "prefix-words-without-speech": "silence",
    "silence-long": "silence",
}


def _former(finding: Finding) -> str:
    return _FORMER.get(finding.kind, finding.kind.partition("-")[2])


def _fact(finding: Finding) -> Facts:
    """As the doctor's own findings were told before: by former kind, with `message` and `advice`."""
    told = {
        "kind": _former(finding),
        "message": finding.text,
        "call": finding.call,
        "word": finding.words[0] if finding.words else None,
    }
    return told | {"advice": finding.fix, "finding": finding.to_json()}


def _words(found: Diagnosis) -> list[Block]:
    flags: dict[int, list[str]] = {}
    for finding in found.findings:
        for word in finding.words:
            flags.setdefault(word, []).append(_former(finding))

    def slip(word: PrefixWord) -> Cell:
        return "–" if word.slip is None else f"{word.slip:+d}" if word.slip else "0"

    def flag(word: PrefixWord) -> Cell:
        return f"! {', '.join(flags[word.index])}" if word.index in flags else "", "mark"

    table = Table.of(
        found.words,
        (Column("#", 3, "right"), lambda word: word.index),
        (Column(width=2), lambda word: (f"S{word.speaker}", "speaker1" if word.speaker == 1 else "speaker2")),
        (Column("word", 16), lambda word: word.text),
        (Column("seconds", 13, "right"), lambda word: f"{number(word.start)} … {number(word.end)}"),
        (Column("asked", 5, "right"), lambda word: word.step),
        (Column("taken", 7, "right"), _taken),
        (Column("slip", 6, "right"), slip),
        (Column(), flag),
        margin=2,
        heads="label",
    )
    told = "asked, taken: steps; slip: frames late; * taken after the prefix, in the main loop"
    return [table, Paragraph(told, indent=2)]


def _taken(word: PrefixWord) -> str:
    if word.taken_step is None:
        return "never"
    return f"{word.taken_step}{'' if word.in_warmup else ' *'}"


def _strip(trace: Dia2Trace, found: Diagnosis) -> Strip:
    """Sound, words, boundaries asked for and taken, a character a frame."""
    prefix = trace.prefix
    assert prefix is not None, "there are frames"
    asked = {word.step for word in found.words}
    taken = {word.taken_step for word in found.words if word.in_warmup}
    steps = range(found.frames)
    tracks = {
        "sound": "".join(
            "!" if tops > 0 else _bar(float(rms)) for rms, tops in zip(prefix.rms, prefix.clipped, strict=True)
        ),
        "words": _spoken(trace, found),
        "asked": "".join("^" if step in asked else "·" for step in steps),
        "taken": "".join("^" if step in taken else "x" if step in asked else "·" for step in steps),
    }
    return Strip("frame", tracks)


def _bar(rms: float) -> str:
    if not math.isfinite(rms):
        return "?"
    level = 1 + 20 * math.log10(max(rms, 1e-6)) / 60
    return _BARS[min(len(_BARS) - 1, max(0, int(level * len(_BARS))))] if level > 0 else " "


def _spoken(trace: Dia2Trace, found: Diagnosis) -> str:
    """Where the words' own times put them: word 0, 1, 2 … of the list, by last digit."""
    track = ["·"] * found.frames
    rate, offset = trace.model.frame_rate, {1: 0, 2: trace.run.voice_frames[0] if trace.run.voice_frames else 0}
    for word in found.words:
        if word.start is None or word.end is None:
            continue
        begin = offset[word.speaker] + int(word.start * rate)
        for frame in range(begin, min(found.frames, max(begin + 1, offset[word.speaker] + math.ceil(word.end * rate)))):
            track[frame] = str(word.index % 10)
    return "".join(track)


def _findings(found: Diagnosis) -> list[Block]:
    blocks: list[Block] = [Title(f"findings: {len(found.findings) or 'none'}")]
    if not found.findings:
        blocks.append(Paragraph("Every word was taken where its times place it.", indent=2))
    for finding in found.findings:
        where = f"call {finding.call}" if finding.until == finding.call else f"calls {finding.call} … {finding.until}"
        blocks.append(Line(["  ", (f"! {finding.kind}", "mark"), (f", {where}", "dim")]))
        blocks += [Paragraph(finding.text, indent=4), Paragraph((f"→ {finding.fix}", "dim"), indent=4)]
    return blocks if found.measured else [*blocks, Line(), Paragraph(_UNMEASURED, indent=2)]
