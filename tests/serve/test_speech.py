"""The speech API: whole and in pieces, in every format, and what is refused."""

from __future__ import annotations

import base64
import io
import json
import struct
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
import openai
import pytest
import soundfile

from dia2.serve import sound
from dia2.serve.limits import Limits

from ..support.reference import engine

SCRIPT = "[S1] Hello there. [S2] Hi!"
ASKED: dict[str, Any] = {"model": "tiny", "input": SCRIPT, "seed": 3}


def wanted(seed: int = 3, **options: Any) -> np.ndarray:
    """What `generate` makes, in 16 bits."""
    samples = engine("tiny4").generate(options.pop("script", SCRIPT), seed=seed, **options).waveform.numpy()
    return np.clip(np.rint(samples * 32768.0), -32768, 32767).astype(np.int16)


def same(found: np.ndarray, samples: np.ndarray) -> bool:
    """Equal but for a step, since rows of a batch are rounded otherwise."""
    return len(found) == len(samples) and bool((np.abs(found.astype(int) - samples) <= 1).all())


def speak(client: httpx.Client, **changes: Any) -> httpx.Response:
    return client.post("/v1/audio/speech", json=ASKED | changes)


@pytest.fixture
def api(client: httpx.Client) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=str(client.base_url.join("/v1")), api_key="unused", max_retries=0) as found:
        yield found


@pytest.mark.parametrize("name", ["wav", "flac", "pcm"])
def test_a_file_has_the_samples_of_generate(client: httpx.Client, name: str) -> None:
    answer = speak(client, response_format=name)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == f"audio/{name}"
    if name == "pcm":
        found = np.frombuffer(answer.content, "<i2")
    else:
        found, rate = soundfile.read(io.BytesIO(answer.content), dtype="int16")
        assert rate == 24_000
    assert same(found, wanted())


@pytest.mark.parametrize(("name", "kind"), [("mp3", "audio/mpeg"), ("opus", "audio/ogg")])
def test_a_lossy_file_has_their_length(client: httpx.Client, name: str, kind: str) -> None:
    answer = speak(client, response_format=name)
    assert answer.headers["content-type"] == kind
    found, rate = soundfile.read(io.BytesIO(answer.content))
    assert rate == 24_000
    assert 0 <= len(found) - len(wanted()) <= 2400  # MP3 has silence at both ends


def test_mp3_is_what_comes_unasked(client: httpx.Client) -> None:
    assert speak(client).headers["content-type"] == "audio/mpeg"


def test_the_official_client_writes_a_file(api: openai.OpenAI, tmp_path: Any) -> None:
    with api.audio.speech.with_streaming_response.create(
        model="tiny", voice="default", input=SCRIPT, response_format="wav", extra_body={"seed": 3}
    ) as answer:
        answer.stream_to_file(tmp_path / "said.wav")
    assert same(soundfile.read(tmp_path / "said.wav", dtype="int16")[0], wanted())


def test_the_official_client_reads_a_stream(api: openai.OpenAI) -> None:
    with api.audio.speech.with_streaming_response.create(
        model="tiny", voice="default", input=SCRIPT, response_format="pcm", extra_body={"seed": 3}
    ) as answer:
        parts = list(answer.iter_bytes())
    assert len(parts) > 3
    assert same(np.frombuffer(b"".join(parts), "<i2"), wanted())


def test_events_carry_the_sound_and_say_how_it_ended(client: httpx.Client) -> None:
    with client.stream(
        "POST", "/v1/audio/speech", json=ASKED | {"response_format": "pcm", "stream_format": "sse"}
    ) as s:
        assert s.headers["content-type"].startswith("text/event-stream")
        events = [json.loads(line.removeprefix("data: ")) for line in s.iter_lines() if line]
    assert [event["type"] for event in events[:-1]] == ["speech.audio.delta"] * (len(events) - 1)
    assert events[-1] == {"type": "speech.audio.done", "seed": 3, "stop_reason": "end"}
    joined = b"".join(base64.b64decode(event["audio"]) for event in events[:-1])
    assert same(np.frombuffer(joined, "<i2"), wanted())


def test_a_wav_of_events_has_one_header(client: httpx.Client) -> None:
    answer = speak(client, response_format="wav", stream_format="sse")
    events = [json.loads(line.removeprefix("data: ")) for line in answer.text.splitlines() if line]
    joined = b"".join(base64.b64decode(event["audio"]) for event in events[:-1])
    assert joined.count(b"RIFF") == 1
    assert struct.unpack("<I", joined[4:8]) == (0xFFFFFFFF,)
    assert same(np.frombuffer(joined[44:], "<i2"), wanted())


def test_sampling_is_what_generate_does(client: httpx.Client) -> None:
    asked: dict[str, Any] = {"cfg_scale": 1.0, "temperature": 0.5, "top_k": 7}
    found = np.frombuffer(speak(client, response_format="pcm", **asked).content, "<i2")
    assert same(found, wanted(**asked))
    assert not same(found, wanted())


def test_many_at_a_time_each_get_their_own(client: httpx.Client) -> None:
    def ask(seed: int) -> np.ndarray:
        return np.frombuffer(speak(client, seed=seed, response_format="pcm").content, "<i2")

    with ThreadPoolExecutor(12) as pool:
        found = list(pool.map(ask, range(12)))
    assert all(same(samples, wanted(seed)) for seed, samples in enumerate(found))


@pytest.mark.parametrize(("changes", "status", "param", "message"), [
    ({"model": "tts-1"}, 404, "model", "There is no model 'tts-1': this server has 'tiny'."),
    ({"voice": "alloy"}, 400, "voice", "There is no voice 'alloy': this server has default."),
    ({"voice": "../../etc/passwd"}, 400, "voice", "There is no voice '../../etc/passwd': this server has default."),
    ({"input": ""}, 400, "input", "Expected `str` of length >= 1, in input."),
    ({"input": "a" * 5000}, 400, "input", "input has 5000 characters, and the most is 4096."),
    ({"speed": 1.5}, 400, "speed", "The model speaks at its own pace, so speed can only be 1."),
    ({"instructions": "Sing."}, 400, "instructions",
     "The model takes no instructions, it speaks the script alone: leave them out."),
    ({"response_format": "aac"}, 400, "response_format", "Invalid enum value 'aac', in response_format."),
    ({"seed": -1}, 400, "seed", "Expected `int` >= 0, in seed."),
    ({"cfg": 2}, 400, None, "Object contains unknown field `cfg`."),
])  # fmt: skip
def test_what_cannot_be_done_is_said_in_a_sentence(
    client: httpx.Client, changes: dict[str, Any], status: int, param: str | None, message: str
) -> None:
    answer = speak(client, **changes)
    assert (answer.status_code, answer.json()["error"]["message"]) == (status, message)
    assert answer.json()["error"]["param"] == param
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_a_script_without_words_is_refused(client: httpx.Client) -> None:
    answer = speak(client, input=" \n ")
    assert answer.status_code == 400
    assert answer.json()["error"]["message"].startswith("The script is empty")


@pytest.mark.parametrize(("content", "kind", "status"), [
    (b"{", "application/json", 400), (b"[]", "application/json", 400), (b"\xff\xfe", "application/json", 400),
    (json.dumps(ASKED).encode(), "text/plain", 415), (b" " * 70_000, "application/json", 413),
])  # fmt: skip
def test_a_body_that_is_no_request_is_refused(client: httpx.Client, content: bytes, kind: str, status: int) -> None:
    answer = client.post("/v1/audio/speech", content=content, headers={"content-type": kind})
    assert answer.status_code == status
    assert answer.json()["error"]["message"]


@pytest.mark.usefixtures("slow")
def test_who_comes_when_all_is_taken_is_told_to_come_again(serve: Callable[..., httpx.Client]) -> None:
    client = serve(limits=Limits(rows=1, queue=1))
    long = "[S1] " + "One two three four five six seven. " * 20
    answers: list[httpx.Response] = []
    threads = [threading.Thread(target=lambda: answers.append(speak(client, input=long))) for _ in range(4)]
    for thread in threads:
        thread.start()
        time.sleep(0.15)
    for thread in threads:
        thread.join()
    codes = sorted(answer.status_code for answer in answers)
    assert codes == [200, 200, 429, 429]
    turned = next(answer for answer in answers if answer.status_code == 429)
    assert int(turned.headers["retry-after"]) > 0
    assert turned.json()["error"]["code"] == "busy"


@pytest.mark.usefixtures("slow")
def test_a_client_that_leaves_frees_its_row(serve: Callable[..., httpx.Client]) -> None:
    client = serve(limits=Limits(rows=1, queue=0))
    long = "[S1] " + "One two three four five six seven. " * 60
    with client.stream("POST", "/v1/audio/speech", json=ASKED | {"input": long, "response_format": "pcm"}) as answer:
        next(answer.iter_raw())
        assert client.app.state.room.speaker.load == (1, 0)  # type: ignore[attr-defined]  # see `served`
    until = time.monotonic() + 10
    while client.app.state.room.speaker.load != (0, 0) and time.monotonic() < until:  # type: ignore[attr-defined]
        time.sleep(0.02)
    assert client.app.state.room.speaker.load == (0, 0)  # type: ignore[attr-defined]
    time.sleep(0.1)  # a frame may be under way
    before = client.app.state.room.speaker.frames  # type: ignore[attr-defined]
    time.sleep(0.3)
    assert client.app.state.room.speaker.frames == before, "it goes on for nobody"  # type: ignore[attr-defined]
    assert speak(client).status_code == 200
    assert 'dia2_requests_total{outcome="gone"} 1.0' in client.get("/metrics").text


@pytest.mark.usefixtures("slow")
@pytest.mark.parametrize("name", ["mp3", "opus"])
def test_an_encoder_that_nobody_listens_to_is_closed(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    closed, close = list[int](), sound._Encoded.close

    def noted(self: sound._Encoded) -> None:
        closed.append(1)
        close(self)

    monkeypatch.setattr(sound._Encoded, "close", noted)
    long = "[S1] " + "One two three four five six seven. " * 60
    with client.stream("POST", "/v1/audio/speech", json=ASKED | {"input": long, "response_format": name}) as answer:
        next(answer.iter_raw())
    until = time.monotonic() + 10
    while not closed and time.monotonic() < until:
        time.sleep(0.02)
    assert closed


@pytest.mark.usefixtures("slow")
def test_a_whole_file_that_nobody_waits_for_is_not_made(serve: Callable[..., httpx.Client]) -> None:
    client = serve(limits=Limits(rows=1, queue=0))
    long = "[S1] " + "One two three four five six seven. " * 60
    with pytest.raises(httpx.ReadTimeout):
        client.post("/v1/audio/speech", json=ASKED | {"input": long, "response_format": "wav"}, timeout=0.3)
    until = time.monotonic() + 10
    while client.app.state.room.speaker.load != (0, 0) and time.monotonic() < until:  # type: ignore[attr-defined]
        time.sleep(0.02)
    assert client.app.state.room.speaker.load == (0, 0)  # type: ignore[attr-defined]


def test_a_request_has_a_longest_sound_and_a_longest_time(serve: Callable[..., httpx.Client]) -> None:
    client = serve(limits=Limits(seconds=0.5))
    found = np.frombuffer(speak(client, response_format="pcm").content, "<i2")
    assert len(found) == 12_000
    slow = serve(limits=Limits(timeout=0.001))
    answer = speak(slow)
    assert answer.status_code == 504
    assert "longer than this server allows" in answer.json()["error"]["message"]
