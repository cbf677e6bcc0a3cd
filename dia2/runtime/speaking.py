"""One run, from entries to result."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from dia2.audio.grid import undelay_frames
from dia2.common.memory import begin_device_peak, in_words, peak_device_bytes, peak_host_bytes
from dia2.common.progress import ProgressCallback, doing
from dia2.generation import GenerationConfig, GenerationResult
from dia2.runtime.context import RuntimeContext
from dia2.runtime.edits import Edit
from dia2.runtime.generator import decode_audio, run_generation_loop
from dia2.runtime.interventions import Past
from dia2.runtime.session import open_session, place_words
from dia2.runtime.state_machine import Entry
from dia2.runtime.turns import Rows, Turns, await_room
from dia2.runtime.voice_clone import PrefixPlan

logger = logging.getLogger("dia2")


def speaking(
    runtime: RuntimeContext,
    config: GenerationConfig,
    plan: PrefixPlan | None,
    script: list[Entry],
    report: ProgressCallback | None = None,
    *,
    edits: Sequence[Edit] = (),
    past: Past | None = None,
    started: float | None = None,
    rows: Rows | None = None,
) -> Turns[GenerationResult]:
    """One run, from entries to result; belongs inside `runtime.computing()`. Alone, torch's peak of a GPU begins anew.

    Args:
        runtime: the checkpoint.
        config: sampling, guidance and seed.
        plan: the prefix, if there is one.
        script: entries of the text.
        report: called after every frame.
        edits: declared interventions.
        past: choices of an earlier run, to be made again (a fork).
        started: when the run began, by time.perf_counter; now if none.
        rows: of the batch that the run is part of; `None`: it is alone, and never pauses.

    Raises:
        UsageError: an edit does not fit the run.
    """
    started = time.perf_counter() if started is None else started
    if rows is None:
        begin_device_peak(runtime.device)
    if plan is not None:
        doing("warming up")
    yield from await_room(rows, plan.aligned_frames if plan is not None else 0)
    session = open_session(runtime, config, plan, script, edits=edits, past=past, rows=rows)
    state, gen = session.state, session.gen
    doing("speaking", log=False)
    speaking = time.perf_counter()

    try:
        loop = yield from run_generation_loop(
            runtime,
            config,
            state,
            gen,
            start_step=session.start_step,
            interventions=session.interventions,
            progress=None if report is None else lambda frames: report(session.progress(frames, runtime.frame_rate)),
        )
    finally:
        session.close()  # the loop's grid is a copy
    for edit in edits:
        if edit.call >= gen.calls:
            logger.warning("the edit “%s” was never reached: the run ended after call %d", edit, gen.calls - 1)
    aligned = undelay_frames(loop.grid[0], runtime.audio_delays)  # [K, T]
    crop = session.crop(loop.first_word_frame, aligned.shape[1])
    aligned = aligned[:, crop:]
    words = place_words(session, crop, runtime.frame_rate)
    reason = loop.stop_reason
    try:
        waveform = decode_audio(runtime, aligned)
    except KeyboardInterrupt:
        if reason == "interrupted":
            raise
        logger.warning("interrupted: decoding once more; Ctrl-C again drops the audio")
        reason, waveform = "interrupted", decode_audio(runtime, aligned)
    host, device = peak_host_bytes(), peak_device_bytes(runtime.device)
    for peak, what in ((host, "memory since this process began"), (device, f"{runtime.device} in this run")):
        if peak is not None:
            logger.info("at most %s of %s", in_words(peak), what)
    return GenerationResult(
        audio_tokens=aligned[None].cpu(),
        waveform=waveform,
        sample_rate=runtime.mimi.sample_rate,
        timestamps=[(word.text, word.timestamp) for word in words],
        speakers=[word.speaker for word in words],
        words=words,
        seed=session.seed,
        stop_reason=reason,
        unspoken=runtime.machine.words_queued(state),
        first_word_frame=loop.first_word_frame,
        crop=crop,
        frames=gen.last_step - session.start_step + 1,
        seconds=time.perf_counter() - started,
        speaking_seconds=time.perf_counter() - speaking,
        peak_host_bytes=host,
        peak_device_bytes=device,
        products=runtime.products,
    )
