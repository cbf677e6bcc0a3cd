"""What a server says of itself, who may come in, and how it stops."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from dia2 import Dia2, UsageError
from dia2.serve.access import check_address, is_loopback
from dia2.serve.limits import Limits

from ..support.ports import free_port
from ..support.reference import engine
from ..support.servers import wait_for
from .test_speech import ASKED


def test_it_lists_its_model_and_voices(client: httpx.Client) -> None:
    (model,) = client.get("/v1/models").json()["data"]
    assert (model["id"], model["object"], model["owned_by"]) == ("tiny", "model", "dia2")
    assert client.get("/v1/models/tiny").json() == model
    assert client.get("/v1/models/a/b").status_code == 404
    assert client.get("/v1/audio/voices").json()["data"] == [{"id": "default", "object": "voice"}]


def test_voices_are_files_of_a_folder(serve: Callable[..., httpx.Client], tmp_path: Path) -> None:
    for name in ("anna", "default", "no good", ".hidden"):
        (tmp_path / f"{name}.voice").write_bytes(b"nothing")
    client = serve(voices=tmp_path)
    assert [voice["id"] for voice in client.get("/v1/audio/voices").json()["data"]] == ["default", "anna"]
    answer = client.post("/v1/audio/speech", json=ASKED | {"voice": "anna"})
    assert answer.status_code == 400
    assert "anna" in answer.json()["error"]["message"]
    assert str(tmp_path) not in answer.json()["error"]["message"]


def test_metrics_count(serve: Callable[..., httpx.Client]) -> None:
    client = serve()
    client.post("/v1/audio/speech", json=ASKED)
    text = client.get("/metrics").text
    assert 'dia2_requests_total{outcome="done"} 1.0' in text
    assert "dia2_first_sound_seconds_count 1.0" in text
    assert "dia2_requests_speaking 0.0" in text


def test_without_the_token_nothing_is_served(serve: Callable[..., httpx.Client]) -> None:
    client = serve(token="a-long-token")
    for headers in ({}, {"authorization": "Bearer other-token"}, {"authorization": "a-long-token"}):
        assert client.get("/v1/models", headers=headers).status_code == 401
        assert client.post("/v1/audio/speech", json=ASKED, headers=headers).status_code == 401
    assert client.get("/v1/models", headers={"authorization": "Bearer a-long-token"}).status_code == 200
    assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "localhost.evil.example", "", "127.0.0.1.nip.io"])
def test_another_sites_name_is_not_answered(client: httpx.Client, host: str) -> None:
    assert client.get("/v1/models", headers={"host": host}).status_code == 421


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "[::1]:80"])
def test_its_own_names_are(client: httpx.Client, host: str) -> None:
    assert client.get("/v1/models", headers={"host": host}).status_code == 200


def test_addresses_that_others_reach_need_a_token() -> None:
    assert [is_loopback(host) for host in ("localhost", "127.0.0.1", "127.8.8.8", "::1")] == [True] * 4
    assert [is_loopback(host) for host in ("0.0.0.0", "::", "10.0.0.1", "example.org")] == [False] * 4
    check_address("127.0.0.1", None)
    check_address("0.0.0.0", "a-long-token")
    with pytest.raises(UsageError, match=r"0\.0\.0\.0 can be reached from other machines: give a token"):
        check_address("0.0.0.0", None)
    for token in ("short", "with a space in it", "ünicode-token"):
        with pytest.raises(UsageError, match="A token has 8 or more plain characters"):
            check_address("0.0.0.0", token)


def test_it_answers_while_it_loads_and_says_if_it_cannot(
    serve: Callable[..., httpx.Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    load = Dia2._ensure_runtime
    monkeypatch.setattr(Dia2, "_ensure_runtime", lambda self, of=None: (go_on.wait(20), load(self, of))[1])
    client = serve(until="/healthz", tts=engine("tiny4"))
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").status_code == 503
    go_on.set()
    until = time.monotonic() + 20
    while client.get("/readyz").status_code != 200 and time.monotonic() < until:
        time.sleep(0.05)
    assert client.get("/readyz").status_code == 200


def test_a_checkpoint_that_cannot_be_loaded_is_told(serve: Callable[..., httpx.Client], tmp_path: Path) -> None:
    client = serve(
        until="/healthz", tts=Dia2.from_local(tmp_path / "config.json", tmp_path / "model.safetensors", device="cpu")
    )
    time.sleep(0.5)
    assert client.get("/readyz").status_code == 503
    answer = client.post("/v1/audio/speech", json=ASKED)
    assert answer.status_code == 503
    assert "cannot be loaded" in answer.json()["error"]["message"]


@pytest.fixture
def process() -> Iterator[tuple[subprocess.Popen[str], str]]:
    port = free_port()
    command = [sys.executable, "-m", "dia2", "serve", "--nano", "--device", "cpu", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as running:
        address = f"http://127.0.0.1:{port}"
        with httpx.Client(base_url=address) as client:
            wait_for(client, lambda: running.poll() is None)
        yield running, address
        running.kill()


def test_the_command_ends_what_it_speaks_when_it_is_told_to(process: tuple[subprocess.Popen[str], str]) -> None:
    running, address = process
    asked = {"model": "nano", "input": "[S1] Hello there.", "response_format": "pcm", "seed": 1}
    with httpx.stream("POST", f"{address}/v1/audio/speech", json=asked, timeout=60) as answer:
        parts = answer.iter_raw()
        first = next(parts)
        os.kill(running.pid, signal.SIGTERM)
        rest = b"".join(parts)
    assert len(first + rest) == 2 * len(Dia2.nano(device="cpu").generate("[S1] Hello there.", seed=1).waveform)
    assert running.wait(30) in (0, -signal.SIGTERM)
    assert "Traceback" not in (running.stdout.read() if running.stdout else "")


@pytest.mark.parametrize(("arguments", "message"), [
    (["--port", "70000"], "--port is 0 to 65535, not 70000."),
    (["--host", "0.0.0.0"], "0.0.0.0 can be reached from other machines: give a token as well, in DIA2_TOKEN."),
    (["--voices", "nowhere"], "There is no folder of voices nowhere."),
    (["--rows", "0"], "rows must be at least 1, not 0."),
])  # fmt: skip
def test_bad_usage_is_told_in_a_sentence(arguments: list[str], message: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dia2", "serve", *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_limits_let_something_in() -> None:
    for field in ("rows", "characters", "timeout", "seconds"):
        with pytest.raises(UsageError, match=field):
            Limits(**{field: 0})
    with pytest.raises(UsageError, match="queue must be at least 0"):
        Limits(queue=-1)
