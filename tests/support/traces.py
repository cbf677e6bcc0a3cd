"""Traces to break: one recorded run, copies of it, and everything that can be asked of a trace."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import sys
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from types import FrameType

import torch

from dia import capture as dia_taps
from dia.adapter.trace import DiaTrace
from dia2 import Dia2
from dia2.adapter.trace import Dia2Trace
from dia2.common.errors import Dia2Error, TraceError, UsageError
from dia2.inspect import load, record
from dia2.inspect.record import recorder
from dia2.inspect.store.layout import MANIFEST
from dia2.inspect.views.explorer.pack import pack
from dia2.inspect.views.explorer.picture import picture
from dia2.inspect.views.explorer.view import view_of
from dia2.runtime import capture as buffers
from dia2.runtime.edits import ChangeSampling, Edit, ForceAction, ReplaceToken

from .dia import toy
from .reference import Case, engine, local_files

SECONDS = 10.0  # for everything that can be asked of one trace; a whole one needs 0.1
MEMORY = 1 << 30  # bytes beside what the process has already
_STEERING = ("Cc", "Cf", "Cs", "Zl", "Zp")  # what a message must not send to a terminal


def with_manifest(trace: Path, folder: Path, **changes: object) -> Path:
    """A copy of `trace` in `folder` with other values in its manifest."""
    path = folder / "run.dia2trace"
    shutil.copytree(trace, path)
    manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    (path / MANIFEST).write_text(json.dumps(manifest | changes), encoding="utf-8")
    return path


@cache
def recorded() -> Path:
    """A run of two voices at level `full`, in several shards; recorded once a process, never to be changed."""
    case, kept = Case("tiny8", "prefix2"), (recorder.SHARD_CALLS, buffers.LATEST)
    config = json.loads((case.folder / "config.json").read_text(encoding="utf-8"))
    config["runtime"]["max_context_steps"] = 14  # as short as a run of several shards can be
    folder = Path(mkdtemp(prefix="dia2-test-"))
    path = folder / "run.dia2trace"
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    tts = Dia2.from_local(**local_files("tiny8") | {"config_path": str(folder / "config.json")}, device="cpu")
    edits: list[Edit] = [
        ForceAction(36, "new_word"),
        ReplaceToken(37, 5, codebook=2),
        ChangeSampling(39, cfg_scale=3.0),
    ]
    recorder.SHARD_CALLS, buffers.LATEST = 5, 0.0  # every frame is handed over at once: the same shards on any machine
    try:
        with record(path, level="full"):
            tts.generate("[S1] Hi you. [S2] No.", case.config(seed=1), edits=edits)
    finally:
        recorder.SHARD_CALLS, buffers.LATEST = kept
    return path


@cache
def recorded_dia() -> Path:
    """Two scripts of the Dia toy at level `full`, prefill and several shards; recorded once a process, as above."""
    kept = recorder.SHARD_CALLS, dia_taps.LATEST
    path = Path(mkdtemp(prefix="dia2-test-")) / "run.dia2trace"
    prompts = torch.arange(7 * toy().config.data.channels).view(7, -1) % 64
    recorder.SHARD_CALLS, dia_taps.LATEST = 9, 0.0
    try:
        with record(path, level="full"):
            toy().speak(
                ["[S1] Hello. [S2] You?", "[S2] Oh."], audio_prompt=[prompts, prompts[:3]], max_tokens=40, seed=3
            )
    finally:
        recorder.SHARD_CALLS, dia_taps.LATEST = kept
    return path


@cache
def recorded_quickly() -> Path:
    """A run of two voices on the quickest checkpoint, which `engine("tiny3")` made; never to be changed."""
    case, path = Case("tiny3", "prefix2"), Path(mkdtemp(prefix="dia2-test-")) / "run.dia2trace"
    engine("tiny3").generate("[S1] Hi you. [S2] No.", case.config(seed=1), trace=path)
    return path


def copied(to: Path, source: Callable[[], Path] = recorded) -> Path:
    """A copy of a recorded trace; its files are links to the same content, so they are replaced, never written to."""
    to.mkdir()
    for file in source().iterdir():
        os.link(file, to / file.name)
    return to


def replace(file: Path, content: bytes) -> None:
    """Put other content in the place of a copy's file."""
    file.unlink(missing_ok=True)
    file.write_bytes(content)


class HangError(BaseException):
    """Not to be caught by what is tested."""


@contextmanager
def bounded(seconds: float = SECONDS) -> Iterator[None]:
    """Let what runs in here take so much time and memory and no more; both limits are as before afterwards."""

    def hang(_: int, __: FrameType | None) -> None:
        raise HangError(f"more than {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, hang)
    remaining, interval = signal.setitimer(signal.ITIMER_REAL, seconds)
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    if sys.platform == "linux":
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if remaining:
            signal.setitimer(signal.ITIMER_REAL, remaining, interval)


def outcome(path: Path) -> str:
    """`loaded` or `refused`, the only two things that may become of a trace, however it was made.

    Loaded: whatever is asked of it gives an answer or a `TraceError`, too.

    Raises:
        AssertionError: anything else happened.
    """
    try:
        with bounded():
            try:
                trace = load(path)
            except TraceError as error:
                check_message(error)
                return "refused"
            assert isinstance(trace, Dia2Trace | DiaTrace), "of whichever family"
            for question in questions(trace):
                try:
                    question()
                except TraceError as error:
                    check_message(error)
    except (HangError, Exception) as error:  # whatever it is, it is no TraceError
        raise AssertionError(f"{type(error).__name__}: {error}"[:500]) from error
    return "loaded"


def check_message(error: Dia2Error) -> None:
    """One line, of a length that can be read, without a character that steers a terminal."""
    message = str(error)
    assert 10 < len(message) < 1000, f"a message of {len(message)} characters"
    assert not any(unicodedata.category(char) in _STEERING for char in message), repr(message)


def questions(trace: Dia2Trace | DiaTrace) -> Iterator[Callable[[], object]]:
    """Everything that can be asked."""
    return dia_questions(trace) if isinstance(trace, DiaTrace) else dia2_questions(trace)


def dia_questions(trace: DiaTrace) -> Iterator[Callable[[], object]]:
    """Of a run of Dia."""
    yield lambda: (len(trace), repr(trace), trace.state, trace.complete, trace.result)
    yield trace.rows
    yield lambda: trace.notes
    yield lambda: [trace.measures(script) for script in (0, 1)]
    for name in ("run", "model", "tokens", "written", "drawn", "countdown", "seconds", "kv_lengths", "encoder_output"):
        yield lambda name=name: getattr(trace, name)  # type: ignore[misc]  # mypy does not know such a lambda
    for script in (0, 1, 5, 127):
        for method in (trace.grid, trace.codes, trace.audio, trace.ended_at):
            yield lambda method=method, script=script: method(script)  # type: ignore[misc]  # likewise
        yield lambda script=script: trace.find("countdown", script=script)  # type: ignore[misc]  # likewise
    for name in ("drawn.0", "tokens.8", "written.63", "phase", "seconds"):
        yield lambda name=name: trace.find(name)  # type: ignore[misc]  # likewise
    for call in (0, len(trace) - 1, len(trace)):
        yield lambda call=call: (trace.draws(call), trace.draws(call, 1), trace.logits(call))  # type: ignore[misc]  # likewise
    yield lambda: [pack(view_of(trace, script=script)) for script in (0, 1)]
    yield lambda: [picture(trace, script=script) for script in (0, 1)]
    yield lambda: trace.diff(load(recorded_dia()))
    yield lambda: replayed(trace)


def replayed(trace: DiaTrace) -> None:
    """Replay, which also refuses a trace that is not the toy's."""
    try:
        trace.replay(toy(), range(0, len(trace), 8), attention=True)
    except UsageError as error:
        check_message(error)


def dia2_questions(trace: Dia2Trace) -> Iterator[Callable[[], object]]:
    """Of a run of Dia2."""
    yield lambda: (len(trace), repr(trace), trace.state, trace.complete)
    yield lambda: trace.rows()
    yield lambda: trace.notes
    yield trace.measures
    yield lambda: (ear := trace.ear) and (ear.deaf, ear.shifts, ear.windows)
    for name in (
        "run",
        "model",
        "warmup_calls",
        "steps",
        "actions",
        "main",
        "second",
        "codes",
        "step_tokens",
        "kv_lengths",
        "times",
        "prefix",
        "raw_grid",
        "grid",
        "aligned",
        "words",
        "audio",
    ):
        yield lambda name=name: getattr(trace, name)  # type: ignore[misc]  # mypy does not know such a lambda
    for name in ("action", "step", "end_step", "padding_budget", "main", "codes.0", "codes.63", "pending"):
        yield lambda name=name: trace.find(name)  # type: ignore[misc]  # likewise
    yield lambda: trace.find("action", 1, after=3, before=60)
    yield lambda: trace.find("codes.1", lambda code: code > 3)
    yield lambda: [trace.find(word=word.text) for word in trace.words[:5]]
    yield lambda: [recording.samples for recording in trace.recordings]
    yield lambda: trace.config_at(len(trace))
    yield lambda: list(trace.frames)
    yield lambda: (trace.frames[-3:], trace.frame(len(trace)))
    yield lambda: [trace.logits(call) for call in range(len(trace))]
    yield lambda: [trace.draws(call) for call in (0, len(trace) - 1)]
    yield lambda: trace.draws(len(trace))
    yield lambda: view_of(trace)
    yield lambda: [picture(trace, call=call) for call in (0, len(trace))]
