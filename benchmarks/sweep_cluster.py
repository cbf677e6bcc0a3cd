"""Whether a sweep outlives its cluster: runs on Ray while a node and then the driver are killed, against batches.

    python benchmarks/sweep_cluster.py [--runs 200] [--nodes 3] [--folder F]

A cluster of Ray with so many nodes of one CPU each is started on this machine. A sweep of short runs of nano is made on
it; after a fifth of them a node is killed, after two fifths the process of the sweep, which is then started again. The
same sweep is made serially. All runs are to be in both datasets, none twice, and every table the same but for times.
Exits with 1 where that is not so.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))  # what starts and compares belongs to the tests

from tests.support.ray_cluster import RayCluster, ray_cluster
from tests.support.swept import ORDERS, rows_of

ROOT = Path(__file__).parents[1]


def main() -> int:
    """Prove it, and print what was found; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where the datasets stay (default: nowhere)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        plan = folder / "plan.toml"
        plan.write_text(f'[grid]\nscript = ["[S1] Yes."]\nseed = {list(range(args.runs))}\n[run]\nrows = 1\n')
        with ray_cluster(args.nodes) as cluster:
            print(f"a cluster of {args.nodes} nodes at {cluster.address}", flush=True)
            on_cluster(plan, folder / "ray", cluster, args.runs)
        began = time.monotonic()
        sweep(plan, folder / "batches", "batches").wait()
        print(f"serially: {time.monotonic() - began:.0f} s", flush=True)
        return compared(folder / "ray", folder / "batches", args.runs)


def on_cluster(plan: Path, to: Path, cluster: RayCluster, runs: int) -> None:
    """Make the sweep on Ray, with a node killed and then the driver."""
    began = time.monotonic()

    def say(what: str) -> None:
        there = len(list(to.glob("runs/*/*.parquet")))
        print(f"{time.monotonic() - began:6.1f} s  {there:3d} groups of runs  {what}", flush=True)

    running = sweep(plan, to, "ray", cluster.address)
    until(running, to, runs // 5)
    cluster.tell("kill")
    say("a node is killed")
    until(running, to, 2 * runs // 5)
    running.kill()
    running.wait()
    say("the driver is killed")
    while cluster.tell("actors"):
        time.sleep(0.1)
    say("its actors are gone")
    code = sweep(plan, to, "ray", cluster.address).wait()
    say(f"started again, it has ended with {code}; {cluster.tell('actors')} actors are left")


def sweep(plan: Path, to: Path, on: str, address: str = "") -> subprocess.Popen[bytes]:
    """`dia2 sweep`, begun."""
    command = [sys.executable, "-m", "dia2", "sweep", str(plan), "-o", str(to), "--on", on]
    more = {"RAY_ADDRESS": address, "RAY_AUTH_MODE": "disabled", "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, cwd=ROOT, env=os.environ | more)  # noqa: S603  # ours, with arguments of ours


def until(running: subprocess.Popen[bytes], to: Path, runs: int) -> None:
    """Wait until so many runs are in the dataset, as far as names of files tell."""
    while len(list(to.glob("traces/*/audio.*"))) < runs:
        if running.poll() is not None:
            raise SystemExit("The sweep ended before anything was killed: give more --runs.")
        time.sleep(0.05)


def compared(one: Path, two: Path, runs: int) -> int:
    """Print how two datasets differ; returns 1 if they do."""
    same = True
    for table in ORDERS:
        a, b = rows_of(one, table), rows_of(two, table)
        equal = a == b
        same = same and equal
        print(f"{table:6s} {len(a):7,d} and {len(b):7,d} rows: {'equal' if equal else 'they differ'}")
    found = [row["run"] for row in rows_of(one, "runs")]
    print(f"{len(set(found))} runs of {runs}, {len(found) - len(set(found))} twice")
    return int(not same or len(set(found)) != runs or len(found) != runs)


if __name__ == "__main__":
    sys.exit(main())
