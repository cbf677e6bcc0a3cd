"""Sweeps on Ray: a cluster whose nodes die, a driver that is killed, and what comes out is what batches make."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dia2.common.errors import Dia2Error, UsageError
from dia2.inspect.sweeps.engines import engine_of

from ..support.ray_cluster import ROOT, RayCluster, ray_cluster
from ..support.swept import same_tables

SEEDS = 26  # jobs of two runs each

slow = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs ray"),
    pytest.mark.skipif(sys.platform == "win32", reason="Ray has one node there"),
]


CLIENT = pytest.mark.skipif(importlib.util.find_spec("grpc") is None, reason="needs ray[client]")


class Sweep:
    """`dia2 sweep` in a process of its own."""

    def __init__(self, folder: Path, name: str, seeds: int, *, address: str, on: str = "ray", **model: Any) -> None:
        plan = folder / f"{name}.toml"
        lines = ["[model]", *(f"{key} = {json.dumps(value)}" for key, value in (model or {"nano": True}).items())]
        lines += [
            "[grid]",
            'script = ["[S1] Yes."]',
            f"seed = {list(range(seeds))}",
            "[run]",
            "rows = 1",
        ]  # side by side, chances round otherwise
        plan.write_text("\n".join([*lines, f"on = {json.dumps(on)}\n"]))
        self.to = folder / name
        self.running = subprocess.Popen(
            [sys.executable, "-m", "dia2", "sweep", str(plan), "-o", str(self.to), "--json"],
            cwd=ROOT,
            env=os.environ | {"RAY_ADDRESS": address, "RAY_AUTH_MODE": "disabled", "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def until(self, files: int) -> None:
        """Wait until so many files of its runs are there."""
        while len(list(self.to.glob("runs/*/*.parquet"))) < files:
            assert self.running.poll() is None, self.running.communicate()
            time.sleep(0.05)

    def end(self) -> tuple[int, str, str]:
        """Its exit code, and what it said."""
        out, err = self.running.communicate(timeout=300)
        return self.running.returncode, out, err


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    with ray_cluster(3) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def serial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sweep = Sweep(tmp_path_factory.mktemp("serial"), "serial", SEEDS, address="", on="batches")
    assert sweep.end()[0] == 0
    return sweep.to


class TestOnACluster:
    pytestmark = slow

    def test_a_node_that_dies_costs_no_run(self, cluster: RayCluster, serial: Path, tmp_path: Path) -> None:
        """And Ray's talk of its end is not in what the command prints."""
        sweep = Sweep(tmp_path, "killed", SEEDS, address=cluster.address)
        sweep.until(2)
        cluster.tell("kill")
        code, out, err = sweep.end()
        assert (code, json.loads(out)["made"]) == (0, SEEDS)
        assert [line for line in err.splitlines() if not line.startswith("dia2: warning: a process died")] == []
        same_tables(sweep.to, serial)
        assert cluster.tell("actors") == 0

    @CLIENT
    def test_from_a_machine_outside_of_it(self, cluster: RayCluster, serial: Path, tmp_path: Path) -> None:
        sweep = Sweep(tmp_path, "outside", SEEDS, address="", on=cluster.client)
        code, out, err = sweep.end()
        assert (code, err) == (0, "")
        assert json.loads(out)["made"] == SEEDS
        same_tables(sweep.to, serial)
        no_actors(cluster)

    def test_a_driver_that_is_killed_goes_on(self, cluster: RayCluster, serial: Path, tmp_path: Path) -> None:
        first = Sweep(tmp_path, "driver", SEEDS, address=cluster.address)
        first.until(2)
        first.running.kill()
        first.end()
        no_actors(cluster)
        again = Sweep(tmp_path, "driver", SEEDS, address=cluster.address)
        code, out, err = again.end()
        assert (code, err) == (0, "")
        assert json.loads(out)["found"] >= 2
        same_tables(again.to, serial)

    def test_ctrl_c_leaves_no_actors(self, cluster: RayCluster, tmp_path: Path) -> None:
        sweep = Sweep(tmp_path, "stopped", 500, address=cluster.address)
        sweep.until(2)
        began = time.monotonic()
        sweep.running.send_signal(signal.SIGINT)
        assert sweep.end() == (130, "", "dia2: note: interrupted\n")
        assert time.monotonic() - began < 20
        no_actors(cluster)
        assert len(list(sweep.to.glob("runs/*/*.parquet"))) >= 2

    def test_an_actor_that_cannot_open_the_checkpoint_says_so(self, cluster: RayCluster, tmp_path: Path) -> None:
        """A checkpoint that is on the driver's machine only: here one that is gone when the actors look."""
        gone = tmp_path / "gone.json"
        said = script(GONE, tmp_path, cluster)
        assert said == [f"CheckpointError: There is no config file {gone}: give the path of the model's config.json."]
        no_actors(cluster)

    def test_a_run_that_its_process_dies_of_takes_no_other_down(self, cluster: RayCluster, tmp_path: Path) -> None:
        said = script(DEADLY, tmp_path, cluster)
        assert sorted(said) == sorted(["2 died"] + [f"{run} made" for run in range(12) if run != 2])
        no_actors(cluster)


def script(text: str, folder: Path, cluster: RayCluster) -> list[str]:
    """What a driver prints, line by line."""
    done = subprocess.run(
        [sys.executable, "-c", text, str(folder)],
        cwd=ROOT,
        env=os.environ | {"RAY_ADDRESS": cluster.address, "RAY_AUTH_MODE": "disabled", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


GONE = """
import sys
from pathlib import Path
from dia2 import Dia2, Dia2Error
from dia2.adapter.maker import Dia2Maker
from dia2.inspect.sweeps.plan import Plan, RunOptions
from dia2.inspect.sweeps.sweep import make
folder = Path(sys.argv[1])
model = {"config": str(folder / "gone.json"), "weights": str(folder / "gone.safetensors")}
try:
    make(Plan({"script": ["[S1] Yes."]}, model, RunOptions(on="ray")), folder / "dest", makers=[Dia2Maker(Dia2.nano())])
except Dia2Error as error:
    print(f"{type(error).__name__}: {error}")
"""

DEADLY = """
import os
from collections import deque
from dia2.inspect.sweeps.engines import engine_of
from dia2.inspect.sweeps.plan import Planned
from dia2.inspect.sweeps.worker import Done, Job

class Deadly:  # stands for a worker, and dies of a run
    url = "memory://nowhere"

    def open(self):
        pass

    def __call__(self, job):
        if "2" in [run.id for run in job.runs]:
            os._exit(3)
        return [Done(run.id, None) for run in job.runs]

jobs = deque(Job((Planned(str(first), {}, {}, 0), Planned(str(first + 1), {}, {}, 0))) for first in range(0, 12, 2))
with engine_of("ray") as engine:
    for job, done in engine.make(Deadly(), jobs):
        if done is None and job.again():
            jobs.extend(job.again())
            continue
        for run in job.runs:
            print(run.id, "died" if done is None else "made")
"""


def no_actors(cluster: RayCluster) -> None:
    """Wait until the cluster has ended those of a driver that is gone."""
    stop = time.monotonic() + 60
    while cluster.tell("actors"):
        assert time.monotonic() < stop
        time.sleep(0.1)


class TestWithout:
    def test_ray_is_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "ray", None)
        with pytest.raises(Dia2Error, match=r"Sweeps on Ray need it: pip install 'dia2-inspect\[ray\]'\."):
            engine_of("ray")

    @pytest.mark.parametrize("on", ["ray:", "ray:8", "rays", "ray:/host"])
    def test_what_is_no_name(self, on: str) -> None:
        with pytest.raises(UsageError, match=on):
            engine_of(on)

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("address", "on", "why"),
        [
            ("127.0.0.1:9", "ray", "Connection refused"),
            pytest.param("", "ray://127.0.0.1:9", "Connection refused", marks=CLIENT),
            ("127.0.0.1:x", "ray", "invalid literal"),
        ],
    )
    def test_nobody_listens_there(self, address: str, on: str, why: str, tmp_path: Path) -> None:
        code, out, err = Sweep(tmp_path, "nobody", 1, address=address, on=on).end()
        assert (code, out) == (1, "")
        assert f"There is no Ray cluster at {address or on} ({why}" in err
        assert len(err.splitlines()) == 1
