"""The page, and the runs that it shows."""

from __future__ import annotations

import io
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile

from dia2.inspect import load
from dia2.runtime.words import Word
from dia2.serve.limits import Limits
from dia2.serve.runs import Runs

from ..support.browser import chromium, keep_picture, launched
from ..support.disk import files_up_to
from ..support.reference import ROOT
from .test_speech import ASKED, same, speak, wanted


def frames(content: bytes) -> list[tuple[str, bytes]]:
    """The parts of a view that is sent."""
    found = []
    while content:
        size = int.from_bytes(content[1:5], "little")
        found.append((content[:1].decode(), content[5 : 5 + size]))
        content = content[5 + size :]
    return found


def test_a_recorded_run_can_be_kept(client: httpx.Client, tmp_path: Path) -> None:
    answer = speak(client, trace=True)
    name = answer.headers["x-dia2-run"]
    (run,) = [run for run in client.get("/v1/runs").json()["data"] if run["id"] == name]
    assert (run["input"], run["over"]) == (ASKED["input"], True)
    sound, rate = soundfile.read(io.BytesIO(client.get(f"/v1/runs/{name}/sound.flac").content), dtype="int16")
    assert rate == 24_000
    assert same(sound, wanted())
    subtitles = client.get(f"/v1/runs/{name}/subtitles.srt").text
    assert "Hello there." in subtitles
    assert "-->" in subtitles
    with zipfile.ZipFile(io.BytesIO(client.get(f"/v1/runs/{name}/trace.zip").content)) as archive:
        archive.extractall(tmp_path)
    trace: Any = load(tmp_path / "run.dia2trace")
    assert trace.complete
    assert trace.run.seed == 3
    assert [word.text for word in trace.words] == ["Hello", "there.", "Hi!"]
    assert "x-dia2-run" not in speak(client).headers


@pytest.mark.usefixtures("slow")
def test_a_run_is_shown_while_it_goes_on_and_then_whole(client: httpx.Client) -> None:
    with client.stream("POST", "/v1/audio/speech", json=ASKED | {"trace": True, "response_format": "pcm"}) as answer:
        name = answer.headers["x-dia2-run"]
        assert client.get(f"/v1/runs/{name}/sound.flac").status_code == 409
        shown = frames(client.get(f"/v1/runs/{name}/view").content)
        answer.read()
    assert [kind for kind, _ in shown] == ["p"] * (len(shown) - 1) + ["v"]
    assert len(shown) > 2
    assert [kind for kind, _ in frames(client.get(f"/v1/runs/{name}/view").content)] == ["v"]


@pytest.mark.usefixtures("slow")
def test_who_leaves_has_a_trace_of_what_was_spoken(client: httpx.Client) -> None:
    long = "[S1] " + "One two three four five six seven. " * 60
    asked = ASKED | {"input": long, "trace": True, "response_format": "pcm"}
    with client.stream("POST", "/v1/audio/speech", json=asked) as answer:
        name = answer.headers["x-dia2-run"]
        next(answer.iter_raw())
    until = time.monotonic() + 10
    while not client.app.state.room.runs.find(name).over and time.monotonic() < until:  # type: ignore[attr-defined]  # see `served`
        time.sleep(0.02)
    assert [kind for kind, _ in frames(client.get(f"/v1/runs/{name}/view").content)] == ["v"]
    assert client.get(f"/v1/runs/{name}/sound.flac").status_code == 200


@pytest.mark.parametrize("name", ["AAAAAAAAAAAAAAAA", "..", "%2e%2e%2f%2e%2e"])
def test_there_is_no_other_run(client: httpx.Client, name: str) -> None:
    for file in ("view", "sound.flac", "subtitles.srt", "trace.zip"):
        assert client.get(f"/v1/runs/{name}/{file}").status_code == 404


def test_the_latest_runs_are_kept(tmp_path: Path) -> None:
    runs = Runs(tmp_path, 3)
    made = []
    for number in range(5):
        run = runs.new(f"script {number}")
        run.path.mkdir()
        run.over = number != 1
        made.append(run)
    assert [run.script for run in runs.listed()] == ["script 4", "script 3", "script 1"]  # the second still goes on
    assert [run.path.exists() for run in made] == [False, True, False, True, True]
    (tmp_path / "other.dia2trace").mkdir()
    (tmp_path / "notes.txt").touch()
    assert {run.id for run in Runs(tmp_path, 3).listed()} == {made[i].id for i in (1, 3, 4)}


def test_a_disk_that_fills_up_costs_the_recording_alone(serve: Callable[..., httpx.Client], tmp_path: Path) -> None:
    client = serve(runs=tmp_path)
    with files_up_to(3000):
        answer = speak(client, trace=True, response_format="pcm")
    assert answer.status_code == 200
    assert same(np.frombuffer(answer.content, "<i2"), wanted())


def test_a_full_disk_is_told_without_saying_where(
    serve: Callable[..., httpx.Client], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    client = serve(runs=tmp_path)
    with files_up_to(0):
        answer = speak(client, trace=True)
    assert answer.status_code == 507
    assert answer.json()["error"]["message"] == "The server could not write a file: its log says which, and why."
    assert str(tmp_path) in caplog.text
    assert speak(client, trace=True).status_code == 200


def test_runs_of_before_are_there_again(serve: Callable[..., httpx.Client], tmp_path: Path) -> None:
    name = speak(serve(runs=tmp_path), trace=True).headers["x-dia2-run"]
    again = serve(runs=tmp_path, limits=Limits())
    (run,) = again.get("/v1/runs").json()["data"]
    assert run["id"] == name
    assert [kind for kind, _ in frames(again.get(f"/v1/runs/{name}/view").content)] == ["v"]


def test_a_script_is_looked_at(client: httpx.Client) -> None:
    def said(text: str) -> Any:
        return client.post("/v1/script", json={"input": text}).json()

    assert said("[S1] Hi.") == {"error": None, "notes": []}
    found = said("[S1] Hi. (S2) No. <break time='1s'/> (laughs)")
    assert [note["spelling"] for note in found["notes"]] == ["(S2)", "(laughs)"]
    assert found["notes"][0]["message"].endswith("write [S1] or [S2]")
    assert said("  ")["error"].startswith("The script has no words")
    bodies: list[Any] = [[], {"input": 3}, {}, "text"]
    for body in bodies:
        assert client.post("/v1/script", json=body).status_code == 400
    assert client.post("/v1/script", json={"input": "a" * 5000}).status_code == 400
    half: dict[str, Any] = {"content": b'{"input": "[S\\ud800] Hi."}', "headers": {"content-type": "application/json"}}
    assert client.post("/v1/script", **half).status_code == 400


def test_the_page_runs_nothing_but_its_own(client: httpx.Client) -> None:
    for path, kind in {"/": "text/html", "/page.js": "text/javascript", "/explorer.css": "text/css"}.items():
        answer = client.get(path)
        assert answer.headers["content-type"].startswith(kind)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.slow
@pytest.mark.skipif(chromium() is None, reason="no Chromium")
@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844)])
def test_a_script_is_spoken_and_looked_into(client: httpx.Client, width: int, height: int) -> None:
    said: list[str] = []
    with launched() as browser:
        page = browser.new_page(viewport={"width": width, "height": height})
        page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(str(client.base_url))
        page.fill("#script", "[S1] Hello there. (S2) <img src=x onerror=alert(1)>")
        page.locator("#notes li").first.wait_for()
        assert page.inner_text("#marks .doubtful") == "(S2)"
        page.fill("#script", "[S1] Hello there. [S2] Hi!")
        page.fill("#seed", "3")
        page.focus("#script")
        page.keyboard.press("Control+Enter")
        page.locator("#runs .files button").first.wait_for(timeout=60_000)
        page.locator("#explorer .words canvas").wait_for()
        page.wait_for_timeout(1000)
        keep_picture(page, f"serve-{width}")
        assert "s of sound in" in page.inner_text("#status")
        with page.expect_download() as download:
            page.locator("#runs .files button").first.click()
        assert same(soundfile.read(download.value.path(), dtype="int16")[0], wanted())
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        page.fill("#seed", "")
        page.fill("#script", "One two three four five six seven. " * 60)
        page.click("#go")
        page.locator("#stop:not([disabled])").wait_for()
        page.wait_for_timeout(700)
        page.click("#stop")
        page.locator("#go:not([disabled])").wait_for()
        assert page.inner_text("#status") == "Stopped."
    assert [line for line in said if "favicon" not in line and "404" not in line] == []


@pytest.mark.slow
@pytest.mark.skipif(chromium() is None, reason="no Chromium")
def test_the_page_asks_for_the_token(serve: Callable[..., httpx.Client]) -> None:
    address = str(serve(token="a-long-token").base_url)
    with launched() as browser:
        page = browser.new_page()
        page.goto(address)
        page.locator("#token-value").wait_for()
        page.fill("#token-value", "a-wrong-token")
        page.keyboard.press("Enter")
        page.locator("#token-value").wait_for()
        page.fill("#token-value", "a-long-token")
        page.keyboard.press("Enter")
        page.locator("#voice option").wait_for(state="attached")
        assert page.inner_text("#model") == "tiny"


@pytest.mark.slow
@pytest.mark.skipif(chromium() is None, reason="no Chromium")
def test_a_recording_is_added_on_the_page(
    serve: Callable[..., httpx.Client], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = [Word("Hello", 0.1, 0.4), Word("there.", 0.5, 0.9)]
    monkeypatch.setattr("dia2.runtime.words.hear_words", lambda *_: said)
    address = str(serve(voices=tmp_path).base_url)
    with launched() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(address)
        page.click("#voicing summary")
        page.fill("#name", "anna")
        page.set_input_files("#file", ROOT / "tiny4" / "spk1.wav")
        page.click("#send")
        page.locator("#added", has_text="anna is ready.").wait_for()
        assert page.input_value("#voice") == "anna"
        assert page.locator("#findings li").count() > 0, "words that Whisper cannot have heard there"
        keep_picture(page, "serve-voice")
        page.click("#send")
        page.locator("#added.wrong").wait_for()
        assert page.inner_text("#added") == "There is a voice anna already: choose another name."
    assert [file.name for file in tmp_path.iterdir()] == ["anna.voice"]
