"""Whatever ends a run, the trace keeps the calls up to its last shard, says that it is partial, and loads."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest

from dia2 import GenerationResult
from dia2.common.errors import TraceError, UsageError
from dia2.common.progress import Progress
from dia2.generation import GenerationInterrupted
from dia2.inspect import Dia2Trace, record
from dia2.inspect.record import recorder
from dia2.inspect.store.layout import MANIFEST, PHASES_FILE, shard_name
from dia2.inspect.trace.tables import calls_table
from dia2.inspect.views.explorer.view import view_of
from dia2.runtime import capture as buffers
from dia2.runtime.edits import ReplaceToken
from dia2.runtime.observed import Frames

from ..support.disk import files_up_to
from ..support.reference import Case, engine
from ..support.traces import with_manifest

SCRIPT = "[S1] Hello there, friend. [S2] Yes."
SEED = 3


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every frame is handed over at once, and every fourth ends a shard."""
    monkeypatch.setattr(recorder, "SHARD_CALLS", 4)
    monkeypatch.setattr(buffers, "LATEST", 0.0)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Dia2Trace:
    """The run that nothing happens to."""
    path = tmp_path_factory.mktemp("reference") / "run.dia2trace"
    speak(path)
    return Dia2Trace(path)


def speak(path: Path, **options: Any) -> GenerationResult:
    return engine("tiny4").generate(SCRIPT, seed=SEED, trace=path, **options)


def check_beginning(trace: Dia2Trace, whole: Dia2Trace) -> None:
    """All calls of a trace are the first of the whole run, and no shard was left out."""
    count = len(trace)
    if trace.manifest.run is not None:
        assert trace.column("call").tolist() == list(range(count))
        for name in ("step_tokens", "actions", "codes"):
            assert np.array_equal(getattr(trace, name), getattr(whole, name)[:count])
    on_disk = sorted(file.name for file in trace.path.glob("frames-*.safetensors"))
    assert on_disk == [shard_name(index) for index in range(len(on_disk))]
    assert count == sum(shard_calls(trace.path / name) for name in on_disk)
    assert [frame.call for frame in trace.frames] == list(range(count))


def shard_calls(file: Path) -> int:
    content = file.read_bytes()
    length = int.from_bytes(content[:8], "little")
    rows: int = json.loads(content[8 : 8 + length])["call"]["shape"][0]
    return rows


# SIGKILL


def killed(folder: Path, kills: int) -> Iterator[Path]:
    """Traces of runs that a SIGKILL ended, and last the one of a run that it did not."""
    command = [sys.executable, "-m", "tests.support.nursery", str(folder), str(kills), SCRIPT, str(SEED)]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=1500, check=False)
    assert done.returncode == 0, done.stderr
    for index in range(kills):
        yield folder / f"{index}.dia2trace"
    yield folder / "whole.dia2trace"


@pytest.mark.parametrize("kills", [3, pytest.param(100, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])])
def test_a_killed_run_leaves_a_trace_that_loads(tmp_path: Path, kills: int) -> None:
    *paths, last = killed(tmp_path, kills)
    whole = Dia2Trace.load(last)
    assert whole.complete
    moments: Counter[str] = Counter()
    shards = []
    for path in paths:
        if not (path / MANIFEST).exists():
            with pytest.raises(TraceError, match=r"There is no trace|is not a trace"):
                Dia2Trace.load(path)
            moments["before the manifest"] += 1
            continue
        trace = Dia2Trace.load(path)
        ended = trace.manifest.status != "running"
        assert trace.complete == ended
        assert trace.state.startswith("partial: the run was killed") != ended
        check_beginning(trace, whole)
        shards.append(len(list(path.glob("frames-*"))))
        moments["ended" if ended else "some shards" if shards[-1] else "no shard"] += 1
    assert len(set(shards)) >= min(kills // 3, 10), f"the kills fell on few moments: {moments}, shards {sorted(shards)}"
    assert moments["some shards"] >= kills // 3, moments
    assert moments["no shard"] + moments["before the manifest"] >= 1, moments
    if kills == 100:
        assert moments["ended"] >= 1, moments


# Exceptions


@pytest.mark.parametrize("frame", [0, 1, 11])
def test_an_exception_in_the_model_leaves_every_finished_call(
    tmp_path: Path, reference: Dia2Trace, monkeypatch: pytest.MonkeyPatch, frame: int
) -> None:
    depformer = engine("tiny4").runtime.model.depformer
    real, calls = depformer.forward_stage, []

    def fail(*args: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) == frame * depformer.stages + 1:
            raise RuntimeError("the model\nhas failed")
        return real(*args, **options)

    monkeypatch.setattr(depformer, "forward_stage", fail)
    with pytest.raises(RuntimeError, match="has failed"):
        speak(tmp_path / "run")
    trace = Dia2Trace.load(tmp_path / "run")
    assert trace.state == "partial: RuntimeError: the model"
    assert len(trace) == trace.manifest.calls == frame
    check_beginning(trace, reference)


def test_ctrl_c_leaves_every_finished_frame_and_the_audio_so_far(tmp_path: Path, reference: Dia2Trace) -> None:
    def interrupt(progress: Progress) -> None:
        if progress.frames == 15:
            raise KeyboardInterrupt

    with pytest.raises(GenerationInterrupted) as caught:
        speak(tmp_path / "run", progress=interrupt)
    trace, result = Dia2Trace.load(tmp_path / "run"), caught.value.result
    assert (trace.manifest.status, trace.state) == ("interrupted", "partial: interrupted by the user")
    assert len(trace) == trace.manifest.calls == result.frames == 15
    assert trace.audio is not None
    assert len(trace.audio[0]) == len(result.waveform) > 0
    assert np.array_equal(trace.aligned, result.audio_tokens[0].numpy())
    check_beginning(trace, reference)


def test_ctrl_c_in_the_machine_leaves_the_frames_before(
    tmp_path: Path, reference: Dia2Trace, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = engine("tiny4").runtime.machine
    real = type(machine).step

    def step(self: Any, number: int, *args: Any, **options: Any) -> Any:
        if number == 9:
            raise KeyboardInterrupt
        return real(self, number, *args, **options)

    monkeypatch.setattr(type(machine), "step", step)
    with pytest.raises(GenerationInterrupted) as caught:
        speak(tmp_path / "run")
    trace = Dia2Trace.load(tmp_path / "run")
    assert trace.manifest.status == "interrupted"
    assert len(trace) == trace.manifest.calls == caught.value.result.frames == 9
    check_beginning(trace, reference)


@pytest.mark.parametrize("part", [0, *(pytest.param(part, marks=pytest.mark.slow) for part in range(1, 6))])
def test_ctrl_c_in_any_line_of_the_recorder_loses_no_call(tmp_path: Path, reference: Dia2Trace, part: int) -> None:
    for line in range(1 + part * 11, 66 + part * 11, 13):
        path = tmp_path / str(line)
        with pytest.raises(KeyboardInterrupt), interrupted_in_line(line):
            speak(path)
        trace = Dia2Trace.load(path)
        assert not trace.complete
        assert len(trace) == trace.manifest.calls
        assert len(trace) > 15, "the interrupt came after sixteen calls"
        check_beginning(trace, reference)


class interrupted_in_line:  # noqa: N801  # reads as what it does
    """Ctrl-C in the n-th line that the recorder and its writer run from the 17th call on."""

    FILES = ("record/recorder.py", "store/writer.py", "dia2/common/files.py")

    def __init__(self, line: int) -> None:
        self._left = line

    def __enter__(self) -> None:
        self._before = sys.gettrace()
        sys.settrace(self._call)

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)

    def _call(self, frame: FrameType, event: str, _: object) -> Any:
        if frame.f_code.co_name == "frames" and isinstance(frame.f_locals.get("self"), recorder.Recorder):
            frames = frame.f_locals["frames"]
            assert isinstance(frames, Frames)
            self._armed = frames.calls[0].call >= 16
        return self._line if frame.f_code.co_filename.endswith(self.FILES) else None

    _armed = False

    def _line(self, frame: FrameType, event: str, _: object) -> Any:
        if self._armed and event == "line":
            self._left -= 1
            if self._left == 0:
                raise KeyboardInterrupt
        return self._line


# A full disk


def full_after(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `os.fsync`, the last step of every atomic write, fail once so many bytes went through it."""
    real, written = os.fsync, [0]

    def fsync(descriptor: int) -> None:
        written[0] += os.fstat(descriptor).st_size
        if written[0] > size:
            raise OSError(28, "No space left on device")
        real(descriptor)

    monkeypatch.setattr("os.fsync", fsync)


@pytest.mark.parametrize("size", [20_000, 40_000, 60_000])
def test_a_full_disk_ends_the_trace_and_not_the_run(
    tmp_path: Path,
    reference: Dia2Trace,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    size: int,
) -> None:
    full_after(size, monkeypatch)
    with caplog.at_level(logging.WARNING, logger="dia2"):
        result = speak(tmp_path / "run")
    assert result.frames == len(reference)
    assert reference.audio is not None
    assert len(result.waveform) == len(reference.audio[0])
    warnings = [message for message in caplog.messages if "The run goes on." in message]
    trace = Dia2Trace.load(tmp_path / "run")
    assert len(warnings) == 1
    assert f"the trace ends at call {len(trace)}:" in warnings[0]
    assert not trace.complete
    assert 0 < len(trace) < len(reference)
    check_beginning(trace, reference)


def test_a_disk_with_room_again_leaves_no_half_line_in_the_middle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with record(tmp_path / "run") as recording:
        recording._sink.begin()
        phases: Any = recording._sink.writer._phases
        lines = []

        class HalfFull:
            def write(self, line: bytes) -> int:
                lines.append(line)
                count: int = phases.write(line[:20] if len(lines) == 5 else line)
                return count

            def close(self) -> None:
                phases.close()

        monkeypatch.setattr(recording._sink.writer, "_phases", HalfFull())
        result = engine("tiny4").generate(SCRIPT, seed=SEED)
    assert len(result.waveform)
    assert "the disk is full" in caplog.text
    trace = Dia2Trace.load(tmp_path / "run")
    assert len(trace.phases) >= 2
    assert "could not be written" in trace.state


def test_files_that_may_not_grow_end_the_trace_and_not_the_run(
    tmp_path: Path, reference: Dia2Trace, caplog: pytest.LogCaptureFixture
) -> None:
    """Here the system itself refuses."""
    with caplog.at_level(logging.WARNING, logger="dia2"), files_up_to(4000):
        result = speak(tmp_path / "run")
    assert reference.audio is not None
    assert len(result.waveform) == len(reference.audio[0])
    assert caplog.text.count("The run goes on.") == 1
    trace = Dia2Trace.load(tmp_path / "run")
    assert not trace.complete
    check_beginning(trace, reference)
    assert max(file.stat().st_size for file in (tmp_path / "run").iterdir()) <= 4000


# Streams


def test_a_stream_left_half_way_is_partial(tmp_path: Path, reference: Dia2Trace) -> None:
    with record(tmp_path / "run"):
        stream = engine("tiny4").stream(SCRIPT, seed=SEED)
        for _ in range(5):
            next(stream)
        stream.close()
    trace = Dia2Trace.load(tmp_path / "run")
    assert trace.state == "partial: the run was left before its end"
    assert len(trace) == trace.manifest.calls >= 5
    check_beginning(trace, reference)


def test_a_stream_that_outlives_its_recorder_goes_on(tmp_path: Path, reference: Dia2Trace) -> None:
    with record(tmp_path / "run"):
        stream = engine("tiny4").stream(SCRIPT, seed=SEED)
        next(stream)
    before = {file.name: file.stat().st_mtime_ns for file in (tmp_path / "run").iterdir()}
    rest = sum(len(chunk.waveform) for chunk in stream)
    assert rest > 0
    assert {file.name: file.stat().st_mtime_ns for file in (tmp_path / "run").iterdir()} == before
    trace = Dia2Trace.load(tmp_path / "run")
    assert not trace.complete
    check_beginning(trace, reference)


def test_a_stream_read_to_its_end_is_complete(tmp_path: Path, reference: Dia2Trace) -> None:
    with record(tmp_path / "run"):
        samples = sum(len(chunk.waveform) for chunk in engine("tiny4").stream(SCRIPT, seed=SEED))
    trace = Dia2Trace.load(tmp_path / "run")
    assert trace.complete
    assert samples > 0
    assert len(trace) == len(reference)
    check_beginning(trace, reference)


@pytest.mark.slow
def test_streamed_text_that_came_after_the_beginning_is_in_a_trace_that_was_cut_short(tmp_path: Path) -> None:
    """What a kill leaves: the manifest of a running recording has the entries that its calls took."""
    pieces = [f"{word} " for word in (SCRIPT * 3).split()]
    seen = []
    with record(tmp_path / "run"):
        for _ in engine("tiny4").stream(iter(pieces), seed=SEED):
            trace = Dia2Trace.load(tmp_path / "run")
            seen.append((len(trace), len(trace.run.entries), int(trace.column("consumed").sum())))
    assert seen[-1][1] > seen[0][1], "the text came while the run went on"
    assert all(taken <= entries for _, entries, taken in seen)
    assert len({calls for calls, _, _ in seen}) > 5


# What is there already


def test_a_trace_is_replaced_by_the_next(tmp_path: Path, reference: Dia2Trace) -> None:
    engine("tiny4").generate(
        "[S1] Something else that is longer, so that there are more shards.", seed=1, trace=tmp_path / "run"
    )
    assert len(Dia2Trace.load(tmp_path / "run")) > len(reference)
    speak(tmp_path / "run")
    trace = Dia2Trace.load(tmp_path / "run")
    assert trace.complete
    assert len(trace) == len(reference)
    check_beginning(trace, reference)


@pytest.mark.parametrize("names", [("notes.txt",), (MANIFEST, "notes.txt"), (PHASES_FILE, "audio.flac"), (".git/",)])
def test_a_folder_with_other_files_is_not_touched(tmp_path: Path, names: tuple[str, ...]) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    for name in names:
        if name.endswith("/"):
            (folder / name).mkdir()
        else:
            (folder / name).write_text("mine")
    with pytest.raises(UsageError, match="is not a trace"):
        speak(folder)
    assert sorted(file.name for file in folder.iterdir()) == sorted(name.rstrip("/") for name in names)
    assert all(file.is_dir() or file.read_text() == "mine" for file in folder.iterdir())


def test_a_file_and_a_link_are_not_replaced_by_a_trace(tmp_path: Path, reference: Dia2Trace) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(reference.path)
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for name in ("file", "link", "dangling"):
        with pytest.raises(UsageError, match="is not a trace"):
            speak(tmp_path / name)
    assert (tmp_path / "file").read_text() == "mine"
    assert Dia2Trace.load(reference.path).complete


@pytest.mark.parametrize("name", ["missing/run", "file/run", "x" * 300, "a\0b"])
def test_a_trace_that_cannot_be_created_is_refused_before_the_run(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError):
        speak(tmp_path / name)


def test_a_second_run_in_one_recording_is_refused_and_the_first_one_kept(tmp_path: Path, reference: Dia2Trace) -> None:
    with record(tmp_path / "run"):
        engine("tiny4").generate(SCRIPT, seed=SEED)
        with pytest.raises(UsageError, match="a trace of its own"):
            engine("tiny4").generate("[S1] No.", seed=1)
    trace = Dia2Trace.load(tmp_path / "run")
    assert trace.complete
    assert trace.manifest.script == SCRIPT
    assert [word.text for word in trace.words] == [word.text for word in reference.words]
    check_beginning(trace, reference)


# Runs that are refused

REFUSED: dict[str, dict[str, Any]] = {
    "script": {"script": "[S3] Hello."},
    "no words": {"script": "[S1]"},
    "setting": {"cfg_scale": -1},
    "no such setting": {"warmth": 3},
    "missing recording": {"prefix_speaker_1": "nowhere.wav"},
    "word times": {"prefix_speaker_1": Case("tiny4", "prefix1").folder / "spk1.wav", "prefix_words_1": []},
    "edit": {"edits": [ReplaceToken(0, token=1, codebook=99)]},
    "output": {"output_wav": "a.mp3"},
}


@pytest.mark.parametrize("options", REFUSED.values(), ids=REFUSED)
def test_a_run_that_is_refused_leaves_no_trace_and_the_older_one(tmp_path: Path, options: dict[str, Any]) -> None:
    script = options.get("script", SCRIPT)
    given = {name: value for name, value in options.items() if name != "script"}
    with pytest.raises(UsageError):
        engine("tiny4").generate(script, seed=SEED, trace=tmp_path / "new", **given)
    assert list(tmp_path.iterdir()) == []
    older = tmp_path / "older"
    older.mkdir()
    (older / MANIFEST).write_text("mine")
    with pytest.raises(UsageError), record(older):
        engine("tiny4").generate(script, seed=SEED, **given)
    assert [file.read_text() for file in older.iterdir()] == ["mine"]


def test_ctrl_c_before_the_run_begins_leaves_the_older_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def pressed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    (tmp_path / MANIFEST).write_text("mine")
    monkeypatch.setattr("dia2.runtime.task.build_prefix_plan", pressed)  # as while Whisper listens
    with pytest.raises(KeyboardInterrupt):
        speak(tmp_path)
    assert (tmp_path / MANIFEST).read_text() == "mine"


def test_a_fault_before_the_run_begins_leaves_the_phases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("surprise")

    monkeypatch.setattr("dia2.runtime.task.build_prefix_plan", broken)
    with pytest.raises(ZeroDivisionError):
        speak(tmp_path / "run")
    trace = Dia2Trace.load(tmp_path / "run")
    assert trace.state == "partial: ZeroDivisionError: surprise"
    assert [run.name for run in trace.phases][:2] == ["config.merge", "script.normalize"]


# Times without a result


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(Case("tiny8", "prefix2"), marks=pytest.mark.slow),
        pytest.param(Case("tiny8", "prefix2_include"), marks=pytest.mark.slow),
        Case("tiny4", "prefix2_include"),
        pytest.param(Case("tiny8", "plain_cfg1"), marks=pytest.mark.slow),
        Case("tiny3", "prefix2"),
        Case("tiny3", "plain_cfg1"),
    ],
    ids=str,
)
def test_words_of_a_killed_run_stand_where_they_would_have_stood(tmp_path: Path, case: Case) -> None:
    """What was recorded tells how much the run would have cut off its front."""
    engine(case.checkpoint).generate(case.expected["script"], case.config(seed=SEED), trace=tmp_path / "whole")
    whole = Dia2Trace.load(tmp_path / "whole")
    assert whole.manifest.result.crop is not None
    assert whole.heard == [word for word in whole.words if word.seconds is not None]
    shards = len(list(whole.path.glob("frames-*")))
    for kept in (shards, shards * 2 // 3, whole.warmup_calls // 4 + 1):
        (tmp_path / str(kept)).mkdir()
        path = with_manifest(whole.path, tmp_path / str(kept), status="running", calls=0, result=None, audio=None)
        for index in range(kept, shards):
            (path / shard_name(index)).unlink()
        killed = Dia2Trace.load(path)
        assert (killed.complete, killed.heard) == (False, None)
        assert len(killed) or not kept
        for word, there in zip(killed.words, whole.words, strict=True):
            if word.call is not None:
                assert word == there
        taken = [row["audio_seconds"] for row in calls_table(killed).to_pylist() if row["word"] is not None]
        assert taken == [row["audio_seconds"] for row in calls_table(whole).to_pylist() if row["word"]][: len(taken)]
        assert killed.aligned.shape[1] <= whole.aligned.shape[1]
        assert view_of(killed).header["clock"]["zero"] == killed.crop + 2
    redacted = killed.redact(tmp_path / "redacted", voice=True, text=True)
    assert redacted.crop == killed.crop
