"""The server on Ray Serve: two replicas, one of which is killed in the middle of requests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dia2 import Dia2, Request

pytest.importorskip("ray.serve", reason="Ray Serve is not installed")
pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
# A process of its own: Ray leaves threads and signal handlers behind.
PROGRAM = """
import json, os, signal, sys, threading, time
import httpx, ray
from ray import serve
from dia2 import Dia2
from dia2.serve.ray import deployment
from tests.support.ports import free_port

port = free_port()
ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False)
serve.start(http_options={"host": "127.0.0.1", "port": port})
serve.run(deployment(lambda: Dia2.nano(device="cpu"), least=2, most=2, actor={"num_cpus": 1}))
client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120)
while client.get("/readyz").status_code != 200:
    time.sleep(0.5)
found, tries, begun = {}, {}, threading.Barrier(9)

def ask(seed):
    script = "[S1]" + " Hello there. How are you?" * 8
    asked = {"model": "nano", "input": script, "seed": seed, "response_format": "pcm"}
    begun.wait()
    for tries[seed] in range(1, 20):
        try:
            answer = client.post("/v1/audio/speech", json=asked)
            if answer.status_code == 200:
                found[seed] = len(answer.content)
                return
        except httpx.HTTPError:
            pass
        time.sleep(1)

threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(8)]
for thread in threads:
    thread.start()
begun.wait()
time.sleep(1.5)
replicas = [int(name) for name in os.listdir("/proc") if name.isdigit()
            and open(f"/proc/{name}/cmdline", "rb").read().startswith(b"ray::ServeReplica")]
os.kill(min(replicas), signal.SIGKILL)
for thread in threads:
    thread.join()
print(json.dumps({"found": found, "tries": tries, "replicas": len(replicas)}))
serve.shutdown()
ray.shutdown()
"""


def test_requests_outlive_a_replica_by_being_sent_again() -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))
    assert told["replicas"] == 2
    tts = Dia2.nano(device="cpu")
    requests = [Request("[S1]" + " Hello there. How are you?" * 8, seed=seed) for seed in range(8)]
    wanted = {str(seed): 2 * len(result.waveform) for seed, result in enumerate(tts.generate_many(requests))}
    assert told["found"] == wanted
    assert max(told["tries"].values()) > 1, "somebody's replica was killed"
