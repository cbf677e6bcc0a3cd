"""`dia2 trace watch`: a run while it is recorded, by this thread, another one, or another process."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from dia2.cli import main
from dia2.common.errors import TraceError
from dia2.inspect import load, record
from dia2.inspect.record import recorder
from dia2.inspect.store.layout import MANIFEST
from dia2.inspect.store.lock import FolderLock, is_held
from dia2.inspect.store.writer import TraceWriter
from dia2.inspect.views.console import watch
from dia2.inspect.views.console.watching import Watched
from dia2.runtime import capture as buffers

from ..support.reference import Case, engine
from ..support.traces import copied, recorded_dia, recorded_quickly, replace, with_manifest
from .test_console_trace import HOSTILE, hostile

SCRIPT = "[S1] Hi you. [S2] No."


def lines_of(path: Path, width: int = 200, *, terminal: bool = False, **options: object) -> list[str]:
    file = io.StringIO()
    console = Console(file=file, width=width, force_terminal=terminal, color_system=None)
    watch(path, console, **options)  # type: ignore[arg-type]  # those of `watch`
    return file.getvalue().splitlines()


def never(_: float) -> None:
    raise AssertionError("it waits")


def test_a_run_that_is_over_is_told_at_once() -> None:
    assert lines_of(recorded_quickly(), wait=never) == [
        "run.dia2trace  complete: 70 calls · 8 of 8 words taken, 2.96 s of frames"
    ]


def test_a_run_of_dia_is_told_too() -> None:
    assert lines_of(recorded_dia(), wait=never) == [f"run.dia2trace  complete: {len(load(recorded_dia()))} calls"]


def growing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seen: Callable[[Path], None], shards: int = 10
) -> tuple[Path, int]:
    """Record a run, and look at it after every shard."""
    monkeypatch.setattr(recorder, "SHARD_CALLS", shards)
    monkeypatch.setattr(buffers, "LATEST", 0.0)
    path, shard, calls = tmp_path / "run.dia2trace", TraceWriter.shard, []

    def write(self: TraceWriter, columns: dict[str, object]) -> None:
        shard(self, columns)  # type: ignore[arg-type]  # as they came
        calls.append(0)
        seen(path)

    monkeypatch.setattr(TraceWriter, "shard", write)
    with record(path):
        seen(path)  # an empty folder, held
        engine("tiny3").generate(SCRIPT, Case("tiny3", "prefix2").config(seed=1))
    return path, len(calls)


def test_it_says_what_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    watched: list[Watched] = []

    def seen(path: Path) -> None:
        from dia2.inspect.views.console.page import Page
        from dia2.inspect.views.console.watching import _joined

        watched[:] = watched or [Watched(path)]
        look = watched[0].look()
        assert look is not None
        assert not look.over
        told.append(Page(Console(file=io.StringIO(), width=200)).text(_joined(look)).plain)

    growing(tmp_path, monkeypatch, seen)
    assert "".join(f"{line}\n" for line in told) == GROWING
    look = watched[0].look()
    assert look is not None
    assert (look.state, look.over, look.facts["calls"]) == ("complete", True, 70)


def test_the_end_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From another thread, over the whole life of a run."""
    path, found, ready = tmp_path / "run.dia2trace", [], threading.Event()

    def follow() -> None:
        ready.wait(30)
        found.extend(lines_of(path, every=0.01))

    thread = threading.Thread(target=follow)
    thread.start()

    def seen(_: Path) -> None:
        ready.set()
        time.sleep(0.1)

    growing(tmp_path, monkeypatch, seen, shards=20)
    thread.join(30)
    assert found[0] == "run.dia2trace  waiting for the run to begin"
    assert found[-1] == "run.dia2trace  complete: 70 calls · 8 of 8 words taken, 2.96 s of frames"
    running = [line for line in found if line.startswith("run.dia2trace  running: 25 Main generation loop")]
    assert len(running) >= 2
    assert all(before != after for before, after in pairwise(found)), "a line for a change only"


def test_a_terminal_is_drawn_over_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = lines_of(recorded_quickly(), 40, terminal=True, wait=never)
    text = "\n".join(shown)
    assert "run.dia2trace  complete" in text
    assert "  calls  70 calls" in text
    assert "  made   8 of 8 words taken, 2.96 s of …" in text
    assert "\x1b[?25l" in text, "the cursor is hidden meanwhile"
    assert text.rstrip().endswith("\x1b[?25h"), "and comes back"


def test_a_terminal_is_left_alone_while_nothing_changes(tmp_path: Path) -> None:
    lock, file = FolderLock(tmp_path), io.StringIO()
    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 9:
            lock.release()

    with pytest.raises(TraceError):  # it is empty, and nobody writes there any more
        watch(tmp_path, Console(file=file, width=120, force_terminal=True), wait=wait)
    assert file.getvalue().count("waiting for the run to begin") == 2, "once, and once when it ends"


@pytest.mark.parametrize("width", [20, 40, 200])
def test_no_line_is_wider_than_the_terminal(width: int, tmp_path: Path) -> None:
    path = with_manifest(recorded_quickly(), tmp_path, status="running", calls=0, result=None, audio=None)
    shown = lines_of(path, width, terminal=True, wait=never)
    assert len(shown) > 6
    assert all(cell_len(re.sub(r"\x1b\[[?0-9]*[a-zA-Z]", "", line)) <= width for line in shown)


def test_a_killed_run_is_over(tmp_path: Path) -> None:
    path = with_manifest(recorded_quickly(), tmp_path, status="running", calls=0, result=None, audio=None)
    facts = watch(path, None, wait=never)
    assert facts == {"path": str(path), "state": "partial: the run was killed", "complete": False, "calls": 70}
    assert lines_of(path, wait=never) == [
        "run.dia2trace  partial: the run was killed: 70 calls · 8 of 8 words taken, 2.96 s of frames"
    ]


def test_a_run_that_is_about_to_replace_another_is_waited_for(tmp_path: Path) -> None:
    """Until it begins, the old trace stays; what it says is not of this run."""
    path, waited = copied(tmp_path / "run.dia2trace", recorded_quickly), []
    lock = FolderLock(path)

    def wait(_: float) -> None:
        waited.append(0)
        if len(waited) == 3:
            lock.release()

    assert watch(path, None, wait=wait)["state"] == "complete"
    assert len(waited) == 3


def test_a_trace_that_is_half_there_is_given_time(tmp_path: Path) -> None:
    path, looks = copied(tmp_path / "run.dia2trace", recorded_quickly), []
    manifest = (path / MANIFEST).read_bytes()
    replace(path / MANIFEST, manifest[:50])
    lock = FolderLock(path)

    def mend(_: float) -> None:
        looks.append(0)
        if len(looks) == 5:
            replace(path / MANIFEST, manifest)
            lock.release()

    assert watch(path, None, wait=mend)["complete"]
    replace(path / MANIFEST, manifest[:50])
    with pytest.raises(TraceError, match="damaged"):  # nobody writes it
        watch(path, None, wait=never)
    held = FolderLock(path)
    waited: list[float] = []
    with pytest.raises(TraceError, match="damaged"):  # it stays as it is
        watch(path, None, wait=waited.append)
    held.release()
    assert len(waited) == 20


@pytest.mark.parametrize("name", ["nothing", "empty", "file", "x" * 5_000, "a\0b"])
def test_where_no_run_is_or_will_be_there_is_an_error(name: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(TraceError, match=r"no trace|not a trace"):
        watch(tmp_path / name, None, wait=never)


def test_no_text_of_a_trace_steers_the_terminal(tmp_path: Path) -> None:
    path = hostile(tmp_path)
    for terminal in (False, True):
        text = "\n".join(lines_of(path, 300, terminal=terminal, wait=never))
        for attack in ("\x1b[31m", "\x07", "\x9b", "\u202e", "\u200f", "\r"):
            assert attack in HOSTILE
            assert attack not in text or (attack == "\r" and terminal)


def test_whether_somebody_writes(tmp_path: Path) -> None:
    assert is_held(tmp_path) is False
    lock = FolderLock(tmp_path)
    assert is_held(tmp_path) is True
    assert is_held(tmp_path) is True, "it was not taken away by asking"
    lock.release()
    assert is_held(tmp_path) is False
    FolderLock(tmp_path).release()  # asking has left nothing
    assert is_held(tmp_path / "nothing") is False


def test_where_the_system_knows_no_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that goes on is watched all the same; a kill is not seen."""
    monkeypatch.setattr("dia2.inspect.views.console.watching.is_held", lambda _: None)
    assert watch(recorded_quickly(), None, wait=never)["complete"]
    path = with_manifest(recorded_quickly(), tmp_path, status="running", calls=0, result=None, audio=None)
    look = Watched(path).look()
    assert look is not None
    assert (look.state, look.over) == ("running", False)


# On the command line


def test_json_is_one_document_in_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trace", "watch", str(recorded_quickly()), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts == {"path": str(recorded_quickly()), "state": "complete", "complete": True, "calls": 70}


def test_an_error_is_a_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["trace", "watch", str(tmp_path / "no")]) == 1
    told = f"dia2: error: There is no trace {tmp_path}/no: give the folder that --trace wrote.\n"
    assert capsys.readouterr() == ("", told)


def watching(path: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "dia2", "trace", "watch", str(path)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ))


def test_another_process_is_watched_until_it_ends_or_is_killed(tmp_path: Path) -> None:
    """And each line comes when it is told, though nobody reads it on a terminal."""
    path = tmp_path / "run.dia2trace"
    lock = FolderLock(tmp_path)  # any folder: only that locks work here is asked
    lock.release()
    source = recorded_quickly()
    path.mkdir()
    writer = FolderLock(path)
    process = watching(path)
    assert process.stdout is not None
    assert process.stdout.readline() == "run.dia2trace  waiting for the run to begin\n"
    raw = json.loads((source / MANIFEST).read_text(encoding="utf-8"))
    for file in sorted(source.iterdir()):
        if file.name != MANIFEST:
            shutil.copy(file, path)
    running = raw | {"status": "running", "calls": 0, "result": None, "audio": None}
    (path / MANIFEST).write_text(json.dumps(running), encoding="utf-8")
    assert process.stdout.readline().startswith("run.dia2trace  running: 70 calls · call 69 · main loop")
    writer.release()
    assert process.wait(30) == 0
    assert process.communicate() == (
        "run.dia2trace  partial: the run was killed: 70 calls · 8 of 8 words taken, 2.96 s of frames\n",
        "",
    )


def test_ctrl_c_ends_the_watching_and_not_the_run(tmp_path: Path) -> None:
    writer = FolderLock(tmp_path)
    process = watching(tmp_path)
    assert process.stdout is not None
    assert process.stdout.readline().endswith("waiting for the run to begin\n")
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    assert process.communicate() == ("", "dia2: note: interrupted\n")
    assert is_held(tmp_path) is True
    writer.release()


# Expected

GROWING = """\
run.dia2trace  waiting for the run to begin
run.dia2trace  running: 24 Warm-up with prefix · 33 calls · call 32 · warm-up · step 32, in “Good” · 4 of 8 words taken, 0.00 s of frames
run.dia2trace  running: 25 Main generation loop · 43 calls · call 42 · main loop · step 41, in “Hi” · 6 of 8 words taken, 0.80 s of frames
run.dia2trace  running: 25 Main generation loop · 53 calls · call 52 · main loop · step 51, in “you.” · 7 of 8 words taken, 1.60 s of frames
run.dia2trace  running: 25 Main generation loop · 63 calls · call 62 · main loop · step 61, in “No.” · 8 of 8 words taken, 2.40 s of frames
run.dia2trace  running: 70 calls · call 69 · main loop · step 68, in “No.” · 8 of 8 words taken, 2.96 s of frames
"""  # noqa: E501
