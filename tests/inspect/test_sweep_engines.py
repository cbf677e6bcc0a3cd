"""Sweeps in processes give what batches give, and survive one that dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import deque
from pathlib import Path
from typing import Any

import pytest

from dia2.inspect.sweeps import engines
from dia2.inspect.sweeps import worker as working
from dia2.inspect.sweeps.plan import Plan, RunOptions
from dia2.inspect.sweeps.query import query
from dia2.inspect.sweeps.sweep import make

from .sweeping import maker


class TestProcesses:
    @pytest.mark.slow
    def test_they_make_the_same_dataset(self, tmp_path: Path) -> None:
        grid: dict[str, Any] = {"script": ["[S1] Yes."], "seed": [1, 2, 3]}
        for on in ("batches", "processes:2"):
            make(Plan(grid, {"nano": True}, RunOptions(on=on, rows=1)), tmp_path / on)
        for table in ("runs", "calls", "draws", "words"):
            order = {"runs": "run", "words": "run, index", "calls": "run, call", "draws": "run, call, draw"}[table]
            left = "exclude (seconds, started)" if table == "runs" else ""
            one, two = (
                query(tmp_path / on, f"select * {left} from {table} order by {order}")
                for on in ("batches", "processes:2")
            )
            assert one[0] == two[0]
            skip = {number for number, name in enumerate(one[0]) if name.startswith("time_")}
            for a, b in zip(one[1], two[1], strict=True):
                assert [x for n, x in enumerate(a) if n not in skip] == [x for n, x in enumerate(b) if n not in skip]

    @pytest.mark.slow
    def test_a_process_that_dies_fails_the_run_that_it_died_of(self, tmp_path: Path) -> None:
        runs = Plan({"script": ["[S1] Yes."], "seed": [1, 2, 3, 4]}).runs([maker()])
        jobs = deque([working.Job(tuple(runs[:2])), working.Job(tuple(runs[2:]))])
        found: dict[str, bool] = {}
        died = 0
        for report in engines.processes(Deadly(runs[1].id), jobs, 2):  # type: ignore[arg-type]  # stands for a worker
            if report.done is None:
                died += 1
                jobs.extend(report.job.again())
                if not report.job.again():
                    found[report.job.runs[0].id] = False
            else:
                found |= {done.run: True for done in report.done}
        assert found == {run.id: run is not runs[1] for run in runs}
        assert died >= 2


class Deadly:
    """Stands for a worker; dies of one run."""

    def __init__(self, run: str) -> None:
        self.run = run

    def __call__(self, job: working.Job) -> list[working.Done]:
        if self.run in [run.id for run in job.runs]:
            os._exit(3)
        return [working.Done(run.id, None) for run in job.runs]


def test_ctrl_c_while_a_process_is_started_comes_when_it_is() -> None:
    """It was lost, and the sweep went on to its end."""
    began, pipe, child = False, subprocess.PIPE, None
    command = [sys.executable, "-c", "input(); print('alive')"]

    def begin() -> None:
        nonlocal began, child
        with engines._ctrl_c_later():
            child = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(child.pid, signal.SIGINT)
            began = True

    with pytest.raises(KeyboardInterrupt):
        begin()
    assert began
    assert child is not None
    assert child.communicate("\n")[0] == "alive\n"
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
    with engines._ctrl_c_later():
        pass
