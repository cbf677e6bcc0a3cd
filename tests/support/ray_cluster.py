"""A cluster of Ray on one machine, whose nodes can be killed.

    python -m tests.support.ray_cluster NODES

prints the address of its head, which makes no runs, and the one for clients. Then it does what it is told line by line:
`kill` kills a node that holds an actor, `actors` prints how many actors are alive, `end` ends the cluster.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .ports import free_port

ROOT = Path(__file__).parents[2]


def main(nodes: int) -> None:
    """Start it and obey."""
    os.environ["RAY_DEDUP_LOGS_SKIP_REGEX"] = "^"  # else it prints what its nodes say
    import ray
    from ray.cluster_utils import Cluster

    logging.getLogger("ray").setLevel(logging.ERROR)
    head: dict[str, Any] = {"num_cpus": 0, "include_dashboard": False, "ray_client_server_port": free_port()}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        for _ in range(nodes):
            cluster.add_node(num_cpus=1)
        ray.init(address=cluster.address, log_to_driver=False, configure_logging=False)
        client = f"ray://{cluster.head_node.node_ip_address}:{head['ray_client_server_port']}"
        print(cluster.address, client, flush=True)  # noqa: T201  # for whoever started it
        for line in sys.stdin:
            order = line.strip()
            if order == "end":
                break
            if order == "kill":
                busy = {actor["node_id"] for actor in _alive()}
                node = next(node for node in cluster.worker_nodes if node.node_id in busy)
                cluster.remove_node(node, allow_graceful=False)
            print(len(_alive()), flush=True)  # noqa: T201  # as above
    finally:
        ray.shutdown()
        cluster.shutdown()


def _alive() -> list[dict[str, Any]]:
    from ray._private.state import actors  # the public one asks the dashboard, which is not there

    found = actors().values()
    return [{"node_id": one["Address"]["NodeID"]} for one in found if one["State"] == "ALIVE"]


class RayCluster:
    """That process, from outside."""

    def __init__(self, nodes: int) -> None:
        """Start it."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.ray_cluster", str(nodes)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"RAY_AUTH_MODE": "disabled", "PYTHONPATH": str(ROOT)},
        )
        self.address, self.client = self._read().split()

    def tell(self, order: str) -> int:
        """Have it `kill` a node, or count `actors`; returns how many actors are alive then."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{order}\n")
        self._process.stdin.flush()
        return int(self._read())

    def end(self) -> None:
        """End it."""
        self._process.communicate("end\n")

    def _read(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        assert line, "the cluster could not be started"
        return line


@contextmanager
def ray_cluster(nodes: int) -> Iterator[RayCluster]:
    """A cluster, for a while."""
    cluster = RayCluster(nodes)
    try:
        yield cluster
    finally:
        cluster.end()


if __name__ == "__main__":
    main(int(sys.argv[1]))
