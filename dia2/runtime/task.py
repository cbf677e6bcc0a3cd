"""A request that can be carried out, at once or piece by piece: from text to sound."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import NamedTuple

from dia2.audio.grid import write_wav
from dia2.generation import GenerationConfig, GenerationInterrupted, GenerationResult
from dia2.runtime.context import RuntimeContext
from dia2.runtime.live_text import LiveText
from dia2.runtime.request import Request
from dia2.runtime.script_parser import parse_script, require_words
from dia2.runtime.speaking import speaking
from dia2.runtime.streaming import Stream, StreamChunk
from dia2.runtime.turns import Rows, Turns, Wait
from dia2.runtime.voice_clone import build_prefix_plan


class Task(NamedTuple):
    """What is to be done for a request that was found good."""

    request: Request
    text: str  # of the script
    config: GenerationConfig  # whose prefix was judged
    runtime: RuntimeContext


def performed(task: Task, rows: Rows | None) -> Turns[GenerationResult]:
    """One script, from text to result; inside `runtime.computing()`. `rows`: of the batch, if it is part of one."""
    request, text, config, runtime = task
    started = time.perf_counter()
    plan = build_prefix_plan(runtime, config.prefix)
    after_prefix = plan is not None
    entries = parse_script([text], runtime.encode, runtime.constants, runtime.frame_rate, after_prefix=after_prefix)
    require_words(entries)
    result = yield from speaking(
        runtime, config, plan, entries, request.progress, edits=request.edits, started=started, rows=rows
    )
    if request.output_wav is not None and len(result.waveform):
        write_wav(request.output_wav, result.waveform, result.sample_rate)
    if result.stop_reason == "interrupted":
        raise GenerationInterrupted(result)
    return result


def streamed(task: Task, rows: Rows) -> Generator[Wait | Stream | StreamChunk, None, None]:
    """One script of a batch as a stream: first the stream itself, which knows its seed and how it ended."""
    request, text, config, runtime = task
    pieces = request.script if isinstance(request.script, LiveText) else [text]
    stream = Stream(runtime, pieces, config, progress=request.progress, edits=request.edits, rows=rows)
    yield stream
    yield from stream.turns()
