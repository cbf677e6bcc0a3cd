"""A copy of a trace that can be shared: without the voice, without the text, or without both.

What stays, and what it can tell, is listed in docs/trace-format.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from dia2.adapter.layout import EAR_FILE, LAYOUT, PREFIX_FILE
from dia2.adapter.trace import Dia2Trace
from dia2.common.errors import UsageError
from dia2.inspect.store.layout import AUDIO_FILE, FORMAT, VERSION
from dia2.inspect.store.manifest import read_raw_manifest
from dia2.inspect.store.phases import PhaseRun
from dia2.inspect.store.shards import Arrays
from dia2.inspect.store.writer import TraceWriter
from dia2.runtime.edits import Edit, ReplaceToken, edit_to_json
from dia2.runtime.state_machine import TokenIds

REDACTED = "redacted"  # stands for every text that was taken out


def redact(trace: Dia2Trace, path: str | Path, *, voice: bool = False, text: bool = False) -> Dia2Trace:
    """Write a copy of `trace` to `path` and open it. The trace itself stays as it is.

    Args:
        trace: may be partial, or a redacted copy itself; what it lacks, the copy lacks too.
        path: a folder to create; a trace that is there is replaced.
        voice: take out audio, prefix, its recordings, audio tokens, draws and logits of codebooks, and what the ear
            heard: all that sound can be made or guessed from.
        text: take out script, words, text tokens, file names and the texts of phases. The sound, if it stays, still
            says the words.

    Raises:
        UsageError: neither is to be taken out, `path` is the trace itself, or it cannot be written.
        TraceError: the trace is damaged.
        Dia2Error: the disk is full.
    """
    if not (voice or text):
        raise UsageError("There is nothing to redact: give voice=True, text=True or both.")
    trace.refuse_itself(path, "a redacted copy")
    voice, text = voice or "voice" in trace.manifest.redacted, text or "text" in trace.manifest.redacted
    manifest = _manifest(trace, voice, text)
    prefix, sound, ear = (None, None, None) if voice else (_prefix(trace), _sound(trace), _ear(trace))
    recordings = [] if voice else [(each.whole_numbers, each.rate, each.file) for each in trace.recordings]
    writer = TraceWriter(path)
    if trace.manifest.run is not None and trace.model.audio_vocabulary <= 2**15:
        writer.small = LAYOUT.small
    writer.begin()
    try:
        begun: dict[str, Any] = {"status": "running", "audio": None, "recordings": []}
        writer.manifest(manifest | begun)  # if this ends early, so does the copy
        for event in _events(trace.phases, text):
            writer.phase(event)
        for index, shard in enumerate(trace._shards):
            writer.shards = index
            writer.shard(_columns(shard.read(shard.columns), trace, voice, text))
        if prefix is not None:
            writer.tensors(PREFIX_FILE, prefix)
        for recording in recordings:
            writer.audio(*recording)
        if ear is not None:
            writer.tensors(EAR_FILE, ear)
        if sound is not None:
            writer.audio(*sound)
        writer.manifest(manifest)
    finally:
        writer.close()
    return Dia2Trace(Path(path))


def _prefix(trace: Dia2Trace) -> dict[str, np.ndarray] | None:
    prefix = None if trace.manifest.run is None else trace.prefix
    return None if prefix is None else dict(vars(prefix))


def _ear(trace: Dia2Trace) -> dict[str, np.ndarray] | None:
    """It tells when words are said, as the manifest does, and none of them."""
    ear = None if trace.manifest.run is None else trace.ear
    return None if ear is None else ear.tensors()


def _sound(trace: Dia2Trace) -> tuple[np.ndarray, int] | None:
    """(waveform [N] int16, sample rate): as whole numbers the copy is lossless."""
    if trace.audio is None:  # which checks the file
        return None
    samples, rate = soundfile.read(trace.path / AUDIO_FILE, dtype="int16")
    return samples, int(rate)


def _manifest(trace: Dia2Trace, voice: bool, text: bool) -> dict[str, Any]:
    """Built anew from what is known, so that nothing unknown comes along."""
    known, raw = trace.manifest, read_raw_manifest(trace.path)
    result: dict[str, Any] | None = None
    if raw.get("result") is not None:
        result = {name: value for name, value in asdict(known.result).items() if value is not None}
        if known.result.timestamps is not None:
            result["timestamps"] = [[_hide(w, text), at, who] for w, at, who in known.result.timestamps]
    return {
        "format": FORMAT,
        "version": VERSION,
        "family": trace.family,
        "status": known.status,
        "error": _hide(known.error, text),
        "started": known.started,
        "versions": known.versions,
        "level": known.level,
        "hooks": known.hooks,
        "draws": _draws_left(trace, voice),
        "never_fired": known.never_fired,
        "budget": {"bytes": raw["budget"].get("bytes"), "tokens_only_from_call": known.tokens_only_from},
        "calls": known.calls,
        "script": _hide(known.script, text),
        "run": None if known.run is None else _run(trace, raw["run"]["config"], voice, text),
        "result": result,
        "audio": AUDIO_FILE if known.audio and not voice else None,
        "recordings": [] if voice else [asdict(recording) for recording in known.recordings],
        "redacted": [name for name, wanted in (("voice", voice), ("text", text)) if wanted],
    }


def _run(trace: Dia2Trace, raw_config: dict[str, Any], voice: bool, text: bool) -> dict[str, Any]:
    run = trace.run
    entries = [
        [_hide(e.text, text), [-1] * len(e.tokens) if text else e.tokens, e.padding, e.speaker] for e in run.entries
    ]
    return asdict(run) | {
        "config": _config(trace, raw_config, text),
        "edits": [edit_to_json(edit) for edit in run.edits if not _tells(edit, voice, text)],
        "spoken": [asdict(word) | {"text": _hide(word.text, text)} for word in run.spoken],
        "entries": entries,
    }


def _config(trace: Dia2Trace, raw: dict[str, Any], text: bool) -> dict[str, Any]:
    """The config as it was written; reading it does not keep how the run was compiled, nor Whisper's name."""
    config = asdict(trace.run.config)
    config.pop("seed")  # the run's stands beside it
    config |= {name: raw.get(name) is True for name in ("use_cuda_graph", "use_torch_compile", "use_triton")}
    prefix = config.pop("prefix")
    if prefix is not None:
        whisper = raw["prefix"].get("whisper")
        prefix["whisper"] = whisper if isinstance(whisper, str) else None
        prefix = {name: _hide(value, text) if isinstance(value, str) else value for name, value in prefix.items()}
    return config | {"prefix": prefix}


def _tells(edit: Edit, voice: bool, text: bool) -> bool:
    """An edit that names a token which must not be known."""
    return isinstance(edit, ReplaceToken) and (voice if edit.stream is None else text)


def _hide(value: str | None, hidden: bool) -> str | None:
    return REDACTED if value and hidden else value


def _draws_left(trace: Dia2Trace, voice: bool) -> list[str]:
    return [name for name in trace.manifest.draws if name == "action" or not voice]


def _columns(arrays: Arrays, trace: Dia2Trace, voice: bool, text: bool) -> Arrays:
    """A shard's columns without what is taken out."""
    if voice:
        left = [trace.manifest.draws.index(name) for name in _draws_left(trace, voice)]
        gone = {"logits.cb0", "logits.dep"}
        arrays = {
            name: array[:, left] if name.startswith("draw.") else array
            for name, array in arrays.items()
            if name not in gone and (left or not name.startswith("draw."))
        }
        arrays |= {name: np.full_like(arrays[name], -1) for name in ("audio", "codes")}
    if text:
        ids = trace.model.tokens
        arrays |= {name: _specials_only(arrays[name], ids) for name in ("text", "emitted")}
        arrays |= {name: np.full_like(arrays[name], -1) for name in ("pending", "lookahead")}
        warmup = arrays["phase"] == 0  # where the action is the text token that was given
        arrays["action"] = np.where(warmup, _specials_only(arrays["action"], ids), arrays["action"])
    return arrays


def _specials_only(tokens: np.ndarray, ids: TokenIds) -> np.ndarray:
    return np.where(np.isin(tokens, (ids.pad, ids.new_word, ids.bos, ids.zero)), tokens, -1).astype(tokens.dtype)


def _events(phases: list[PhaseRun], text: bool) -> Iterator[dict[str, Any]]:
    """The lines of phases.jsonl in the order in which they were written: a phase ends before its parent does."""
    running: list[PhaseRun] = []
    for run in phases:
        while running and running[-1].id != run.parent:
            yield from _end(running.pop(), text)
        running.append(run)
        said = {"trigger": _hide(run.trigger, text), "before": _hide(run.before, text)}
        yield {"event": "begin", "id": run.id, "phase": run.name, "at": run.at, "parent": run.parent} | said
    while running:
        yield from _end(running.pop(), text)


def _end(run: PhaseRun, text: bool) -> Iterator[dict[str, Any]]:
    if run.seconds is None:
        return
    event = {"event": "end", "id": run.id, "seconds": run.seconds}
    if run.error is None:
        event |= {"mutations": _hide(run.mutations, text), "outputs": _hide(run.outputs, text)}
    yield event | {"error": _hide(run.error, text)}
