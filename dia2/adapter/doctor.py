"""The doctor for a bad voice clone: what really became of each prefix word, and what is wrong with the recordings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from dia2.adapter.finding import Finding, PrefixWord
from dia2.adapter.manifest import SpokenWord
from dia2.adapter.sound_findings import sound_findings
from dia2.adapter.trace import Dia2Trace
from dia2.common.brief import brief_repr
from dia2.common.wording import counted
from dia2.runtime.voice_clone import SPEAKER_1_OFFSET

PUSHED_FRAMES = 6  # half a second later than its time: from here on a word is told; one or two frames are usual


@dataclass(frozen=True)
class Diagnosis:
    """What the doctor says."""

    __repr__ = brief_repr

    words: list[PrefixWord]
    findings: list[Finding]
    frames: int  # of the prefix; 0: there is none
    measured: bool  # the recordings' loudness is known


def diagnose(trace: Dia2Trace) -> Diagnosis:
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


def _words(trace: Dia2Trace) -> list[PrefixWord]:
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


def _pushed(trace: Dia2Trace, words: list[PrefixWord]) -> Iterator[Finding]:
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


def _boundaries(trace: Dia2Trace, words: list[PrefixWord]) -> Iterator[Finding]:
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
            yield Finding("leaked", f"“{word.text}” was never taken: the run ended first.", None, word.index)
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


def _sound(trace: Dia2Trace, words: list[PrefixWord]) -> Iterator[Finding]:
    """What the recordings sound like, speaker by speaker."""
    prefix, first = trace.prefix, 0
    assert prefix is not None, "asked for with a prefix only"
    for speaker, frames in enumerate(trace.run.voice_frames, 1):
        part = slice(first, first + frames)
        first += frames
        mine = [word for word in words if word.speaker == speaker and word.start is not None]
        if frames:
            yield from sound_findings(prefix.rms[part], prefix.clipped[part], mine, speaker, trace.model.frame_rate)
