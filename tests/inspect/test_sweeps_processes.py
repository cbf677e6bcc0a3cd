"""Sweeps in processes: what becomes of them when one dies, their parent is killed, or Ctrl-C comes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dia2.inspect.sweeps import dataset
from dia2.inspect.sweeps.destination import Destination

from ..support.swept import rows_of, same_tables

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds processes in /proc"),
]

SEEDS = 10


def begin(folder: Path, seeds: int = SEEDS, on: str = "processes:2") -> tuple[subprocess.Popen[str], Path]:
    plan, to = folder / "plan.toml", folder / on.partition(":")[0]
    plan.write_text(f'[grid]\nscript = ["[S1] Yes."]\nseed = {list(range(seeds))}\n[run]\nrows = 1\n')
    command = [sys.executable, "-m", "dia2", "sweep", str(plan), "-o", str(to), "--on", on, "--json"]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, start_new_session=True), to


def until(running: subprocess.Popen[str], to: Path, files: int) -> None:
    while len(list(to.glob("runs/*/*.parquet"))) < files:
        assert running.poll() is None, running.communicate()
        time.sleep(0.02)


def workers(group: int) -> list[int]:
    """Processes of a group that hold an engine."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                words = (folder / "cmdline").read_bytes()
                if b"spawn_main" in words and os.getpgid(int(folder.name)) == group:
                    found.append(int(folder.name))
            except (FileNotFoundError, ProcessLookupError):  # it has ended
                continue
    return found


def gone(group: int) -> None:
    stop = time.monotonic() + 20
    while workers(group):
        assert time.monotonic() < stop, "processes are left behind"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def serial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    running, to = begin(tmp_path_factory.mktemp("serial"), on="batches")
    assert running.communicate()[1] == ""
    return to


def test_a_process_that_is_killed_costs_no_run(serial: Path, tmp_path: Path) -> None:
    running, to = begin(tmp_path)
    until(running, to, 1)
    os.kill(workers(running.pid)[0], signal.SIGKILL)
    out, err = running.communicate()
    assert json.loads(out)["made"] == SEEDS
    assert [line for line in err.splitlines() if not line.startswith("dia2: warning: a process died")] == []
    same_tables(to, serial)


def test_processes_end_with_a_parent_that_is_killed(serial: Path, tmp_path: Path) -> None:
    running, to = begin(tmp_path)
    until(running, to, 1)
    running.kill()
    running.wait()  # not for its pipes, which those that are left behind would hold
    gone(running.pid)
    running.communicate()
    running, to = begin(tmp_path)
    out, err = running.communicate()
    assert (json.loads(out)["found"] >= 1, err) == (True, "")
    same_tables(to, serial)


@pytest.mark.parametrize("everyone", [True, False])  # as a terminal tells all processes, and as kill tells one
@pytest.mark.parametrize("early", [True, False])  # while they begin, and while they work
def test_ctrl_c_ends_them_at_once_and_keeps_what_is_finished(everyone: bool, early: bool, tmp_path: Path) -> None:
    running, to = begin(tmp_path, 400)
    while early and not workers(running.pid):
        time.sleep(0.01)
    until(running, to, 0 if early else 1)
    began = time.monotonic()
    (os.killpg if everyone else os.kill)(running.pid, signal.SIGINT)
    out, err = running.communicate()
    assert (running.returncode, out, err) == (130, "", "dia2: note: interrupted\n")
    assert time.monotonic() - began < 15
    gone(running.pid)
    runs = list((to / "runs").rglob("*.parquet"))
    assert early or runs
    if runs:
        there = Destination(to)
        assert set(dataset.statuses(there).values()) == {dataset.DONE}
        complete = {path.parent.name for path in to.glob("traces/*/manifest.json") if '"complete"' in path.read_text()}
        assert complete == {f"{row['run']}.dia2trace" for row in rows_of(to, "runs")}
