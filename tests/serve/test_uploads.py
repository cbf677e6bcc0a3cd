"""A recording becomes a voice, and what is no recording does not."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile

from dia2.serve import uploads
from dia2.serve.limits import Limits

from ..support.reference import ROOT
from .test_speech import ASKED

TINY = ROOT / "tiny4"
RECORDING = (TINY / "spk1.wav").read_bytes()
WORDS = (TINY / "spk1.words.json").read_text(encoding="utf-8")


@pytest.fixture
def client(serve: Callable[..., httpx.Client], tmp_path: Path) -> httpx.Client:
    return serve(voices=tmp_path, limits=Limits(recording=1_000_000))


def send(client: httpx.Client, name: str = "anna", file: bytes = RECORDING, **fields: Any) -> httpx.Response:
    fields = {"words": WORDS} | fields
    return client.post("/v1/audio/voices", data={"name": name} | fields, files={"file": ("../../a.wav", file)})


def test_a_recording_becomes_a_voice(client: httpx.Client, tmp_path: Path) -> None:
    answer = send(client)
    assert answer.status_code == 201
    assert (answer.json()["id"], answer.json()["object"]) == ("anna", "voice")
    assert {name for finding in answer.json()["findings"] for name in finding} <= {"severity", "message", "fix"}
    assert [file.name for file in tmp_path.iterdir()] == ["anna.voice"]
    assert [voice["id"] for voice in client.get("/v1/audio/voices").json()["data"]] == ["default", "anna"]
    cloned = client.post("/v1/audio/speech", json=ASKED | {"voice": "anna", "response_format": "pcm"})
    own = client.post("/v1/audio/speech", json=ASKED | {"response_format": "pcm"})
    assert cloned.status_code == 200
    assert cloned.content != own.content


def test_a_voice_is_never_replaced(client: httpx.Client, tmp_path: Path) -> None:
    send(client)
    before = (tmp_path / "anna.voice").read_bytes()
    assert send(client).status_code == 409
    assert send(client, name="default").status_code == 409
    assert (tmp_path / "anna.voice").read_bytes() == before


def test_one_recording_at_a_time_is_listened_to(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whisper takes all cores: who comes meanwhile is asked to come again, and then is served."""
    begun, go_on = threading.Event(), threading.Event()

    def listen(*_: object) -> list[dict[str, str]]:
        begun.set()
        assert go_on.wait(30)
        return []

    monkeypatch.setattr(uploads, "_listen", listen)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(send, client)
        try:
            assert begun.wait(30)
            refused = send(client, name="bert")
            assert (refused.status_code, refused.json()["error"]["code"]) == (429, "busy")
        finally:
            go_on.set()
        assert first.result().status_code == 201
    assert send(client, name="bert").status_code == 201


def silence(seconds: float, kind: str) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.zeros(round(seconds * 24_000), np.int16), 24_000, format=kind)
    return file.getvalue()


@pytest.mark.parametrize(("changes", "status", "said"), [
    ({"name": "../anna"}, 400, "A voice is named by"),
    ({"name": ""}, 400, "A voice is named by"),
    ({"name": "a" * 65}, 400, "A voice is named by"),
    ({"file": b"nothing"}, 400, "the recording"),
    ({"file": RECORDING[:60]}, 400, ""),
    ({"file": b"RIFF" + b"\xff" * 400}, 400, ""),
    ({"file": b"x" * 2_000_000}, 413, "larger than"),
    ({"file": silence(3600, "FLAC")}, 400, ""),  # a few kilobytes that are an hour
    ({"words": "{"}, 400, "words must be JSON"),
    ({"words": "3"}, 400, "words must be a list"),
    ({"words": json.dumps([{"text": "a", "start": 5, "end": 1}])}, 400, ""),
    ({"words": "[" * 50_000}, 400, "words must be JSON"),
    ({"words": '[{"text": "a", "start": NaN, "end": 1}]'}, 400, "words must be JSON"),
    ({"words": '[{"text": "a", "start": 0, "end": 1e999}]'}, 400, ""),
    ({"words": '[{"text": "\\ud800", "start": 0, "end": 1}]'}, 400, "words must be JSON"),
    ({"words": '[{"text": "a", "start": ' + "9" * 5000 + "}]"}, 400, ""),
    ({"file": b"PK\x03\x04" + bytes(3000)}, 400, "the recording"),
    ({"words": "x" * 70_000}, 400, "The form cannot be read"),
])  # fmt: skip
def test_what_is_no_voice_is_refused(
    client: httpx.Client, tmp_path: Path, changes: dict[str, Any], status: int, said: str
) -> None:
    answer = send(client, **changes)
    assert (answer.status_code, answer.json()["error"]["type"]) == (status, "invalid_request_error")
    message = answer.json()["error"]["message"]
    assert said in message
    assert "/tmp" not in message
    assert list(tmp_path.iterdir()) == []


def test_a_form_is_a_form(client: httpx.Client) -> None:
    assert client.post("/v1/audio/voices", json={}).status_code == 415
    assert client.post("/v1/audio/voices", data={"name": "anna"}, files={"other": b"x"}).status_code == 400
    broken = {"content-type": "multipart/form-data; boundary=x"}
    assert client.post("/v1/audio/voices", content=b"nothing", headers=broken).status_code == 400
    assert client.post("/v1/audio/voices", content=b"", headers=broken).status_code == 400


def test_forms_of_other_sites_are_refused(client: httpx.Client) -> None:
    for origin in ("https://evil.example", "null", "http://127.0.0.1:1"):
        form = {"name": "anna", "words": WORDS}
        headers = {"origin": origin}
        answer = client.post("/v1/audio/voices", data=form, files={"file": ("a.wav", RECORDING)}, headers=headers)
        assert answer.status_code == 403
    own = str(client.base_url).rstrip("/")
    assert client.get("/v1/models", headers={"origin": own}).status_code == 200


def test_without_a_folder_there_are_no_uploads(serve: Callable[..., httpx.Client]) -> None:
    answer = send(serve())
    assert answer.status_code == 409
    assert "--voices FOLDER" in answer.json()["error"]["message"]
