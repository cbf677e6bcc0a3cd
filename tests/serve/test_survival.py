"""A server that is killed: what was being recorded loads, and the next one goes on."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import httpx
import pytest

from dia2.inspect import load

from ..support.servers import started
from .test_page import frames

LONG = "[S1] " + "Hello there, how are you today? " * 40
FRAME = 3840  # bytes
pytestmark = pytest.mark.slow


def ask(seed: int) -> dict[str, Any]:
    return {"model": "nano", "input": LONG, "response_format": "pcm", "seed": seed, "trace": True}


def test_what_a_killed_server_recorded_loads_and_the_next_one_shows_it(tmp_path: Path) -> None:
    with started("--runs", str(tmp_path)) as (process, address), httpx.Client(base_url=address, timeout=60) as client:
        streams = [client.stream("POST", "/v1/audio/speech", json=ask(seed)) for seed in range(3)]
        answers = [stream.__enter__() for stream in streams]
        names = [answer.headers["x-dia2-run"] for answer in answers]
        parts = [answer.iter_raw() for answer in answers]
        for part in parts:
            heard = 0
            while heard < 170 * FRAME:  # a kill costs at most the last 128 calls
                heard += len(next(part))
        process.send_signal(signal.SIGKILL)
        process.wait()
        with pytest.raises(httpx.HTTPError):
            list(parts[0])
    for seed, name in enumerate(names):
        trace: Any = load(tmp_path / f"{name}.dia2trace")
        assert not trace.complete
        assert trace.run.seed == seed
        assert len(trace) > 30
    with started("--runs", str(tmp_path)) as (_, address), httpx.Client(base_url=address, timeout=60) as client:
        assert {run["id"] for run in client.get("/v1/runs").json()["data"]} == set(names)
        assert [kind for kind, _ in frames(client.get(f"/v1/runs/{names[0]}/view").content)] == ["v"]
        assert client.get(f"/v1/runs/{names[0]}/sound.flac").status_code == 404
        short = ask(1) | {"input": "[S1] Hello there."}
        assert len(client.post("/v1/audio/speech", json=short).content) > 10_000
