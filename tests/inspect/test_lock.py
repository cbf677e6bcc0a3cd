"""Two runs that record to one folder at a time: the second is refused, and the first one's trace is whole."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dia2.common.errors import Dia2Error, UsageError
from dia2.inspect import Dia2Trace, follow, record
from dia2.inspect.store.layout import SUFFIX
from dia2.inspect.store.lock import FolderLock

from ..support.dia import toy
from ..support.reference import engine

SCRIPT = "[S1] Hi."
BUSY = "is being recorded by another run"
RECORD = """
import sys, time
from dia2.inspect import record
with record(sys.argv[1]):
    print("here", flush=True)
    time.sleep(600)
"""
LOCK = """
import fcntl, os, sys, time
fcntl.flock(os.open(sys.argv[1], os.O_RDONLY), fcntl.LOCK_EX)
print("here", flush=True)
time.sleep(600)
"""  # the same without the seconds that importing torch takes


@contextmanager
def elsewhere(program: str, path: Path) -> Iterator[None]:
    """Another process does that to `path`; it is killed in the end."""
    command = [sys.executable, "-c", program, str(path)]
    with subprocess.Popen(command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "here\n"
            yield
        finally:
            holder.kill()


@pytest.mark.parametrize("program", [LOCK, pytest.param(RECORD, marks=pytest.mark.slow)], ids=["lock", "record"])
def test_a_trace_that_another_process_writes_is_left_alone_until_that_is_killed(tmp_path: Path, program: str) -> None:
    path = tmp_path / "run.dia2trace"
    with record(path):
        pass
    with elsewhere(program, path):
        before = (path / "manifest.json").read_bytes()
        with pytest.raises(UsageError, match=BUSY):
            engine("tiny4").generate(SCRIPT, seed=1, trace=path)
        assert (path / "manifest.json").read_bytes() == before
        assert not Dia2Trace.load(path).complete  # it can be read meanwhile
    engine("tiny4").generate(SCRIPT, seed=1, trace=path)
    assert Dia2Trace.load(path).complete


def test_every_way_to_record_is_refused_inside_a_recording_which_ends_whole(tmp_path: Path) -> None:
    tts, folder = engine("tiny4"), tmp_path / "sweep"
    folder.mkdir()
    path = folder / f"seed1-cfg1-temperature0.8{SUFFIX}"
    tts.generate(SCRIPT, seed=1, trace=tmp_path / "other")
    with record(path):
        tts.generate(SCRIPT, seed=2)
        for again in (
            lambda: tts.generate(SCRIPT, seed=1, trace=path),
            lambda: toy().speak(SCRIPT, max_tokens=30, seed=1, trace=path),
            lambda: record(path).__enter__(),
            lambda: follow(path).__enter__(),
            lambda: Dia2Trace.load(tmp_path / "other").fork(tts, 3, path=path),
            lambda: Dia2Trace.load(tmp_path / "other").redact(path, text=True),
        ):
            with pytest.raises(UsageError, match=BUSY):
                again()
    lab = Dia2Trace.load(tmp_path / "other").lab(tts, folder)
    with record(folder / f"fork-01{SUFFIX}"):
        lab.fork()
        assert BUSY in lab.told.value
        tts.generate(SCRIPT, seed=3)
    assert Dia2Trace.load(path).complete
    assert Dia2Trace.load(path).run.seed == 2
    assert Dia2Trace.load(folder / f"fork-01{SUFFIX}").run.seed == 3


def test_of_two_threads_one_records_and_one_is_refused(tmp_path: Path) -> None:
    path, ready, done = tmp_path / "run.dia2trace", threading.Event(), threading.Event()
    refused: list[Dia2Error] = []

    def second() -> None:
        ready.wait(60)
        try:
            with record(path):
                pass
        except Dia2Error as error:
            refused.append(error)
        done.set()

    thread = threading.Thread(target=second)
    thread.start()
    with record(path):
        ready.set()
        assert done.wait(60)
        engine("tiny4").generate(SCRIPT, seed=1)
    thread.join()
    assert len(refused) == 1
    assert Dia2Trace.load(path).complete


def test_a_recording_that_ended_leaves_no_lock_and_no_file_of_one(tmp_path: Path) -> None:
    path = tmp_path / "run.dia2trace"
    for error in (None, RuntimeError, KeyboardInterrupt):
        try:
            with record(path):
                if error is not None:
                    raise error
                inside = {file.name for file in path.iterdir()}
        except (RuntimeError, KeyboardInterrupt):
            pass
    assert inside == set()  # no run has begun
    FolderLock(path).release()


def test_a_trace_that_cannot_be_begun_leaves_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.dia2trace"

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", full)
        with pytest.raises(Dia2Error, match="No space left"), record(path):
            pass
    FolderLock(path).release()
    (path / "mine.txt").touch()
    with pytest.raises(UsageError, match="is not a trace"), record(path):
        pass
    FolderLock(path).release()


def test_a_lock_goes_with_its_object_and_is_not_kept_by_a_forked_child(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    with pytest.raises(UsageError, match=BUSY):
        FolderLock(tmp_path)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(write)
        os.read(read, 1)
        os._exit(0)
    os.close(read)
    lock.release()
    lock.release()
    FolderLock(tmp_path).release()
    os.close(write)
    os.waitpid(child, 0)


def test_a_file_system_without_locks_is_recorded_to_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("fcntl.flock", unknown)
    engine("tiny4").generate(SCRIPT, seed=1, trace=tmp_path / "run.dia2trace")
    assert Dia2Trace.load(tmp_path / "run.dia2trace").complete
