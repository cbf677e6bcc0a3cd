"""Fork: go on from any call of a trace, as it was or with edits.

Everything before the call is made again with the recorded choices, one frame at a time, so that the caches hold the
very same numbers; from the call on the run is free. Without edits the rest comes out exactly as recorded.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path

import torch

from dia2.adapter.checkpoint import check_checkpoint, check_trace
from dia2.adapter.ear.hear import Heard
from dia2.adapter.given_voice import GivenVoice
from dia2.adapter.loudness import Loudness
from dia2.adapter.recording import Dia2Recording
from dia2.adapter.trace import Dia2Trace
from dia2.common.checks import counted_from_0, short
from dia2.common.errors import TraceError, UsageError
from dia2.common.hooks import Level, PointFilter
from dia2.common.progress import ProgressCallback, shown
from dia2.engine import Dia2
from dia2.generation import GenerationInterrupted, GenerationResult
from dia2.inspect.record.recorder import Recorder, record
from dia2.runtime.activations import ActivationEdit, from_call
from dia2.runtime.context import RuntimeContext
from dia2.runtime.edits import Edit, ended
from dia2.runtime.interventions import Past
from dia2.runtime.packing import FORCED
from dia2.runtime.speaking import speaking
from dia2.runtime.turns import finish
from dia2.runtime.voice_clone import PrefixPlan


def fork(
    trace: Dia2Trace,
    tts: Dia2,
    call: int,
    *,
    edits: Sequence[Edit] = (),
    drop: Sequence[Edit] = (),
    seed: int | None = None,
    path: str | Path | None = None,
    level: Level = "topk",
    hooks: PointFilter | None = None,
    verbose: bool = False,
    progress: ProgressCallback | None = None,
) -> GenerationResult:
    """Generate again from `call` on.

    Args:
        trace: where from; edits that it has stay in force, but for those of `drop`.
        tts: the checkpoint that made it.
        call: the first call that is free; one of the warm-up frees the whole main loop.
        edits: of this call or later ones; one of activations that names no calls begins with this one.
        drop: edits of `trace.run.edits` that end before `call`.
        seed: draw from `call` on as a run with this seed would.
        path: where to record the new run; `None`: nowhere.
        level: of that recording.
        hooks: of that recording.
        verbose: show progress.
        progress: called after every frame.

    Raises:
        UsageError: another checkpoint, an edit before `call`, one to drop that the trace does not have or that cannot
            end, or `path` is the trace itself.
        TraceError: there is no such call, or the trace was redacted.
        GenerationInterrupted: Ctrl-C; holds the result so far.
    """
    check_trace(trace, "fork")
    trace.adapter.check_engine(tts, "fork")
    call = counted_from_0(call, "call")
    if not 0 <= call <= len(trace):
        raise TraceError(f"There is no call {short(call)} to fork from: {trace.path} has calls 0 … {len(trace) - 1}.")
    edits = [from_call(edit, call) if isinstance(edit, ActivationEdit) else edit for edit in edits]
    early = [edit for edit in edits if edit.call < call]
    if early:
        raise UsageError(f"The edit “{early[0]}” comes before the fork: fork from call {early[0].call} or earlier.")
    if path is not None:
        trace.refuse_itself(path, "what goes on from it")
    runtime, run = tts.runtime, trace.run
    check_checkpoint(trace, runtime)
    _check_products(trace, runtime)
    edits = [*_left(run.edits, drop, call), *edits]
    first = run.prefix_frames
    part = slice(first, max(first, call))
    config = replace(run.config, seed=run.seed if seed is None else seed)
    with shown(verbose, progress) as report, runtime.computing():
        past = Past(first, trace.actions[part].tolist(), torch.from_numpy(trace.codes[part].astype("int64")))
        arguments = runtime, config, prefix_plan(trace), run.entries[run.prefix_words :], report
        with nullcontext() if path is None else record(path, level=level, hooks=hooks) as recorder:
            if recorder is not None:
                _hand_on(trace, recorder)
            result = finish(speaking(*arguments, edits=edits, past=past))
    if result.stop_reason == "interrupted":
        raise GenerationInterrupted(result)
    return result


def _left(edits: Sequence[Edit], drop: Sequence[Edit], call: int) -> list[Edit]:
    """A run's edits where those of `drop` end before `call`."""
    for edit in drop:
        if edit not in edits:
            raise UsageError(f"There is no edit “{short(edit)}” to drop: trace.run.edits has those of the run.")
    left = (ended(edit, call) if edit in drop else edit for edit in edits)
    return [edit for edit in left if edit is not None]


def _check_products(trace: Dia2Trace, runtime: RuntimeContext) -> None:
    """Refuse to go on with int8 weights by another kernel, which rounds otherwise; other precisions part as they did.

    Raises:
        UsageError: says how to take the kernel of the trace.
    """
    then, now = trace.run.model.products, runtime.products
    if then is None or now is None or then == now:
        return
    raise UsageError(
        f"Trace {trace.path} multiplied by int8 weights with {then!r}, and this engine does so with {now!r}, which "
        f"rounds otherwise: set the environment variable {FORCED} to the trace's kernel before loading, or fork on the "
        "machine that recorded it."
    )


def _hand_on(trace: Dia2Trace, recorder: Recorder) -> None:
    """Tell the new trace what the old one knows of script and prefix."""
    run, prefix, voices, first = trace.run, trace.prefix, [], 0
    sounds = {recording.speaker: recording.whole_numbers for recording in trace.recordings}
    for speaker, frames in enumerate(run.voice_frames, 1):
        if prefix is not None:
            part = slice(first, first + frames)
            loudness = Loudness(*(torch.from_numpy(getattr(prefix, name)[part]) for name in Loudness._fields))
            voices.append(GivenVoice(loudness, sounds.get(speaker)))
        first += frames
    recording = recorder.recording("dia2")
    assert isinstance(recording, Dia2Recording), "of that family"
    heard = None if trace.ear is None else Heard(**trace.ear.tensors())
    recording.inherit(trace.manifest.script, [asdict(word) for word in run.spoken], voices, heard)


def prefix_plan(trace: Dia2Trace) -> PrefixPlan | None:
    """The prefix of a trace as a run goes on from it; `None` without one."""
    prefix = trace.prefix
    if prefix is None:
        return None
    entries = trace.run.entries[: trace.run.prefix_words]
    steps = [int(step) for step in prefix.new_word_steps]
    return PrefixPlan(entries, steps, torch.from_numpy(prefix.codes.astype("int64")), trace.prefix_starts or None)
