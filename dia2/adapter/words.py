"""The words of a recorded run: which call took each, and when it sounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from dia2.common.errors import TraceError
from dia2.inspect.schema.word import TraceWord
from dia2.inspect.trace.find import bare
from dia2.runtime.sounding import asked_at, sounds_at

if TYPE_CHECKING:
    from dia2.adapter.trace import Dia2Trace
    from dia2.inspect.trace.recordings import PrefixRecording


def words_of(trace: Dia2Trace) -> list[TraceWord]:
    """Every word of prefix and script."""
    run, rate, crop = trace.run, trace.model.frame_rate, trace.crop
    taken = np.flatnonzero(trace.column("consumed")).tolist()
    recorded = trace.prefix_starts
    words: list[TraceWord] = []
    for i, entry in enumerate(run.entries):
        if not entry.tokens:
            continue
        call = taken[i] if i < len(taken) else None
        step = None if call is None else int(trace.steps[call])
        heard = step is not None and step >= crop and (i >= run.prefix_words or run.config.includes_prefix)
        seconds = sounds_at(step, crop, rate) if heard and step is not None else None
        if seconds is not None and call is not None and i < len(recorded) and call < trace.warmup_calls:
            seconds = recorded[i]  # said by the recording, whatever became of its boundary
        prefix = i < run.prefix_words
        words.append(TraceWord(len(words), entry.text, entry.speaker, prefix, entry.tokens, call, step, seconds))
    return words


def prefix_starts(trace: Dia2Trace) -> list[float]:
    """Seconds at which the prefix, its recordings joined, says each of its words; empty if nothing tells."""
    run, rate = trace.run, trace.model.frame_rate
    if len(run.spoken) == run.prefix_words:
        before = (0.0, *(frames / rate for frames in run.voice_frames[:1]))
        return [word.start + before[min(word.speaker, len(before)) - 1] for word in run.spoken]
    try:
        prefix = trace.prefix
    except TraceError:  # taken out, or lost
        return []
    asked = zip([] if prefix is None else prefix.new_word_steps.tolist(), run.entries, strict=False)
    return [asked_at(step, entry.speaker, rate) for step, entry in asked]


def recorded_words(trace: Dia2Trace, recording: PrefixRecording) -> list[TraceWord]:
    """The words of one recording, with the second of it at which each is said."""
    starts, offset = trace.prefix_starts, recording.first / trace.model.frame_rate
    spoken = [i for i, entry in enumerate(trace.run.entries) if entry.tokens]
    mine = [word for word in trace.words if word.prefix and word.speaker == recording.speaker]
    told = [(word, spoken[word.index]) for word in mine]
    return [replace(word, seconds=max(0.0, starts[i] - offset)) for word, i in told if i < len(starts)]


def calls_of(words: Sequence[TraceWord], text: str) -> list[int]:
    """Calls at which a word of that text was taken, with or without its punctuation, in any case."""
    exact, wanted = text.casefold(), bare(text)
    found = (word for word in words if exact == word.text.casefold() or (wanted and wanted == bare(word.text)))
    return [word.call for word in found if word.call is not None]
