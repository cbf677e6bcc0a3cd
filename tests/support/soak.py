"""A server under mixed load for long: are all sounds right, and does its memory stay where it is?

    python -m tests.support.soak [--minutes 30] [--clients 8] [--seed 1]

`dia2 serve` runs in a process of its own. Clients each do one thing after another, drawn by chance: they ask for files,
events and sockets, record runs and look at them, send voices and speak with them; they leave midway, read slowly, send
what is no request, no form, no sound and no HTTP. What the good ones hear is compared with what `generate` makes of the
same request. It ends with status 1 if a sound is wrong or missing, an answer has another status than it should, or
memory has grown.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import random
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import httpx_ws
import numpy as np
import soundfile
from wsproto.events import BytesMessage
from wsproto.utilities import LocalProtocolError

from dia2 import Dia2

from .servers import started

SCRIPTS = (
    "[S1] Hello there. [S2] Hi!",
    "[S1] No.",
    "[S1] How are you today? [S2] Not too bad, thank you.",
    "[S2] Good morning. [S1] And you?",
)
SEEDS = 3  # of each script
ROWS, QUEUE = 4, 2  # fewer than clients: some are turned away
LONG = "[S1] " + "Hello there, how are you today? " * 20
GROWTH = 0.05  # of memory, at most, from the second quarter of the time to the last
SAMPLING = 5.0  # seconds between looks at memory


class WrongError(Exception):
    """The server has not done what it should."""


class TurnedAwayError(Exception):
    """All rows and places are taken: to be tried again."""


@dataclass
class Report:
    """What came of it."""

    done: Counter[str] = field(default_factory=Counter)  # by act
    turned_away: int = 0
    wrong: list[str] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)  # bytes of the server, every `SAMPLING` seconds

    @property
    def growth(self) -> float:
        """Of memory, from the second quarter of the time to the last, as a share."""
        quarter = len(self.memory) // 4
        if not quarter:
            return 0.0
        return median(self.memory[-quarter:]) / median(self.memory[quarter : 2 * quarter]) - 1

    def lines(self) -> list[str]:
        """For people."""
        acts = ", ".join(f"{count} × {name}" for name, count in sorted(self.done.items()))
        sizes = [f"{size / 2**20:.0f}" for size in self.memory[:: max(1, len(self.memory) // 12)]]
        return [
            f"{sum(self.done.values())} acts: {acts}",
            f"{self.turned_away} times turned away (429), {len(self.wrong)} times wrong",
            f"memory, MiB: {' '.join(sizes)}; grown by {self.growth:.1%} from the second quarter to the last",
            *self.wrong[:20],
        ]


class Wanted:
    """What `generate` makes of a request, in 16 bits."""

    def __init__(self, tts: Dia2) -> None:
        self._tts, self._made, self._lock = tts, dict[tuple[str, int], np.ndarray](), threading.Lock()
        self.recording, self.words = _recording(tts)
        for script in SCRIPTS:
            for seed in range(SEEDS):
                self.of(script, seed)  # beforehand: generating takes what the server is to have

    def of(self, script: str, seed: int, voice: Path | None = None) -> np.ndarray:
        """Samples [n] int16."""
        with self._lock:
            if voice is not None:
                return _rounded(self._tts.generate(script, seed=seed, prefix_speaker_1=voice).waveform.numpy())
            if (script, seed) not in self._made:
                self._made[script, seed] = _rounded(self._tts.generate(script, seed=seed).waveform.numpy())
            return self._made[script, seed]


def _rounded(samples: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(samples * 32768.0), -32768, 32767).astype(np.int16)


def _recording(tts: Dia2) -> tuple[bytes, str]:
    """A recording as a file, and its words as JSON."""
    made = tts.generate("[S1] Hello there. How are you today?", seed=1)
    file = io.BytesIO()
    soundfile.write(file, made.waveform.numpy(), made.sample_rate, format="WAV", subtype="PCM_16")
    starts = [word.seconds for word in made.words]
    ends = [*starts[1:], len(made.waveform) / made.sample_rate]
    words = [
        {"text": word.text, "start": start, "end": end}
        for word, start, end in zip(made.words, starts, ends, strict=True)
    ]
    return file.getvalue(), json.dumps(words)


class Client:
    """Does one thing after another."""

    def __init__(self, address: str, voices: Path, wanted: Wanted, draw: random.Random) -> None:
        self._http = httpx.Client(base_url=address, timeout=120)
        self._voices, self._wanted, self._draw = voices, wanted, draw
        self._host, self._port = address.removeprefix("http://").split(":")

    def close(self) -> None:
        """Let go of connections."""
        self._http.close()

    def act(self, name: str) -> None:
        """Do one of `ACTS`."""
        getattr(self, f"_{name}")()

    # What is right: it must be heard, and as it should.

    def _file(self) -> None:
        script, seed = self._drawn()
        kind = self._draw.choice(["wav", "flac", "pcm"])
        content = self._spoken(script, seed, response_format=kind).content
        if kind == "pcm":
            found = np.frombuffer(content, "<i2")
        else:
            found, _ = soundfile.read(io.BytesIO(content), dtype="int16")
        self._compare(found, script, seed)

    def _lossy(self) -> None:
        script, seed = self._drawn()
        answer = self._spoken(script, seed, response_format=self._draw.choice(["mp3", "opus"]))
        found, _ = soundfile.read(io.BytesIO(answer.content))
        if not 0 <= len(found) - len(self._wanted.of(script, seed)) <= 2400:
            raise WrongError(f"a lossy file of {len(found)} samples")

    def _events(self) -> None:
        script, seed = self._drawn()
        text = self._spoken(script, seed, response_format="pcm", stream_format="sse").text
        events = [json.loads(line.removeprefix("data: ")) for line in text.splitlines() if line]
        if events[-1] != {"type": "speech.audio.done", "seed": seed, "stop_reason": "end"}:
            raise WrongError(f"the last event is {events[-1]}")
        joined = b"".join(base64.b64decode(event["audio"]) for event in events[:-1])
        self._compare(np.frombuffer(joined, "<i2"), script, seed)

    def _socket(self) -> None:
        script, seed = self._drawn()
        with self._connected(seed) as stream:
            at = sorted(self._draw.sample(range(1, len(script)), 3))
            for first, last in zip([0, *at], [*at, len(script)], strict=True):
                stream.send_json({"type": "text", "text": script[first:last]})
                time.sleep(self._draw.random() * 0.1)
            stream.send_json({"type": "end"})
            sound, told = _heard(stream)
        if told != {"type": "done", "seed": seed, "stop_reason": "end"}:
            raise WrongError(f"the last message is {told}")
        self._compare(np.frombuffer(sound, "<i2"), script, seed)

    def _recorded(self) -> None:
        script, seed = self._drawn()
        answer = self._spoken(script, seed, response_format="pcm", trace=True)
        self._compare(np.frombuffer(answer.content, "<i2"), script, seed)
        run = answer.headers["x-dia2-run"]
        for name in ("view", "subtitles.srt", "sound.flac", "trace.zip"):
            self._expect(self._http.get(f"/v1/runs/{run}/{name}"), 200, 404)  # it may have made room for others
        self._expect(self._http.get("/v1/runs"), 200)

    def _voice(self) -> None:
        name = f"voice{self._draw.getrandbits(60)}"
        answer = self._upload(name, self._wanted.recording, self._wanted.words)
        if answer.status_code == 429:
            raise TurnedAwayError
        self._expect(answer, 201)
        file = self._voices / f"{name}.voice"
        script, seed = self._drawn()
        try:
            found = np.frombuffer(self._spoken(script, seed, voice=name, response_format="pcm").content, "<i2")
            self._compare(found, script, seed, file)
        finally:
            file.unlink()

    def _slow(self) -> None:
        """Reads a little now and then, but all of it."""
        script, seed = self._drawn()
        body = json.dumps(self._asked(script, seed, response_format="pcm")).encode()
        with self._raw(_post(body), receive=4096) as connection:
            found = bytearray()
            while part := connection.recv(2048):
                found += part
                time.sleep(0.01)
        head, _, rest = bytes(found).partition(b"\r\n\r\n")
        if b" 429 " in head.partition(b"\r\n")[0]:
            raise TurnedAwayError
        self._compare(np.frombuffer(_unchunked(rest), "<i2"), script, seed)

    # What leaves.

    def _leaves(self) -> None:
        asked = self._asked(LONG, 1, response_format=self._draw.choice(["pcm", "mp3", "wav"]))
        parts = self._draw.randrange(4)
        try:
            with self._http.stream("POST", "/v1/audio/speech", json=asked, timeout=1.0) as answer:
                self._expect(answer, 200)
                for _, _ in zip(range(parts), answer.iter_raw(), strict=False):
                    pass
        except httpx.TimeoutException:  # a whole file is not there so soon
            pass

    def _leaves_socket(self) -> None:
        with self._connected(1) as stream:
            stream.send_json({"type": "text", "text": LONG[: self._draw.randrange(1, 200)]})
            time.sleep(self._draw.random() * 0.5)

    # What is wrong.

    def _garbage(self) -> None:
        asked = self._asked(*self._drawn())
        body = json.dumps(asked).encode()
        place = self._draw.randrange(len(body))
        bad: list[tuple[bytes, tuple[int, ...]]] = [
            (body[:place], (400,)),
            (body + b"}", (400,)),
            (self._draw.randbytes(200), (400,)),
            (b"[" * 60_000, (400,)),
            (b" " * 70_000, (413,)),
            (json.dumps(asked | {"seed": 2**70}).encode(), (400,)),
            (json.dumps(asked | {"temperature": float("nan")}).encode(), (400,)),
            (json.dumps(asked | {"input": " \n\u200b"}).encode(), (400,)),
            (json.dumps(asked | {"model": "../" * 30}).encode(), (404,)),
        ]
        content, expected = self._draw.choice(bad)
        answer = self._http.post("/v1/audio/speech", content=content, headers={"content-type": "application/json"})
        self._expect(answer, *expected)

    def _garbage_socket(self) -> None:
        with self._stream() as stream:
            if self._draw.random() < 0.5:
                stream.send_json({"type": "begin", "model": "nano"})
            garbage = self._draw.choice(["{", "[]", '{"type": "text"}', '{"type": "end", "more": 1}', "\ud7ff"])
            with suppress(LocalProtocolError):  # it was turned away, and the socket is closing
                stream.send_text(garbage)
            if _heard(stream)[1]["type"] != "error":
                raise WrongError("a socket took what is no message")

    def _hostile_upload(self) -> None:
        sound, words = self._wanted.recording, self._wanted.words
        hour = io.BytesIO()
        soundfile.write(hour, np.zeros(24_000 * 1800, np.int16), 24_000, format="FLAC")
        bad = [
            ("../up", sound, words),
            ("a", sound[:50], words),
            ("a", self._draw.randbytes(5000), words),
            ("a", hour.getvalue(), words),
            ("a", sound, "{"),
            ("a", sound, '[{"text": "a", "start": NaN, "end": 1e999}]'),
            ("a", b"PK\x03\x04" + bytes(3000), words),
        ]
        answer = self._upload(*self._draw.choice(bad))
        if answer.status_code == 429:
            raise TurnedAwayError
        self._expect(answer, 400)

    def _no_http(self) -> None:
        """What is no HTTP, and what never goes on."""
        half = _post(json.dumps(self._asked(LONG, 1)).encode())
        sent = self._draw.choice([self._draw.randbytes(500), b"GET / HTT", half[: self._draw.randrange(len(half))]])
        with self._raw(sent) as connection:
            connection.settimeout(0.5)
            try:
                while connection.recv(4096):
                    pass
            except (TimeoutError, ConnectionError):
                pass

    # Means.

    def _drawn(self) -> tuple[str, int]:
        return self._draw.choice(SCRIPTS), self._draw.randrange(SEEDS)

    def _asked(self, script: str, seed: int, **options: Any) -> dict[str, Any]:
        return {"model": "nano", "input": script, "seed": seed} | options

    def _spoken(self, script: str, seed: int, **options: Any) -> httpx.Response:
        answer = self._http.post("/v1/audio/speech", json=self._asked(script, seed, **options))
        self._expect(answer, 200)
        return answer

    def _upload(self, name: str, recording: bytes, words: str) -> httpx.Response:
        files = {"file": ("recording", recording)}
        return self._http.post("/v1/audio/voices", data={"name": name, "words": words}, files=files)

    def _expect(self, answer: httpx.Response, *statuses: int) -> None:
        if answer.status_code in statuses:
            return
        if answer.status_code == 429:
            assert int(answer.headers["retry-after"]) > 0
            raise TurnedAwayError
        raise WrongError(f"{answer.request.method} {answer.url.path}: {answer.status_code} {answer.read()[:200]!r}")

    def _compare(self, found: np.ndarray, script: str, seed: int, voice: Path | None = None) -> None:
        """Equal but for a step, since rows of a batch are rounded otherwise."""
        samples = self._wanted.of(script, seed, voice)
        if len(found) != len(samples) or (np.abs(found.astype(int) - samples) > 1).any():
            raise WrongError(f"{script!r} with seed {seed}: {len(found)} samples, not the {len(samples)} of generate")

    def _stream(self) -> AbstractContextManager[httpx_ws.WebSocketSession]:
        return httpx_ws.connect_ws("/v1/audio/stream", self._http)

    @contextmanager
    def _connected(self, seed: int) -> Iterator[httpx_ws.WebSocketSession]:
        with self._stream() as stream:
            stream.send_json({"type": "begin", "model": "nano", "seed": seed})
            first = stream.receive_json(timeout=120)
            if first["type"] == "error" and first["error"]["code"] == "busy":
                raise TurnedAwayError
            if first["type"] != "begun":
                raise WrongError(f"the first message is {first}")
            yield stream

    @contextmanager
    def _raw(self, sent: bytes, receive: int | None = None) -> Iterator[socket.socket]:
        with socket.socket() as connection:
            if receive is not None:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
            connection.settimeout(120)
            connection.connect((self._host, int(self._port)))
            connection.sendall(sent)
            yield connection


# By name, and how often they are done.
ACTS = {
    "file": 4,
    "lossy": 1,
    "events": 2,
    "socket": 3,
    "recorded": 2,
    "voice": 1,
    "slow": 1,
    "leaves": 2,
    "leaves_socket": 1,
    "garbage": 3,
    "garbage_socket": 2,
    "hostile_upload": 1,
    "no_http": 2,
}


def _heard(stream: httpx_ws.WebSocketSession) -> tuple[bytes, dict[str, Any]]:
    """Sound, and the last message."""
    sound = b""
    while True:
        event = stream.receive(timeout=120)
        if isinstance(event, BytesMessage):
            sound += bytes(event.data)
            continue
        message: dict[str, Any] = json.loads(event.data)  # type: ignore[attr-defined]  # a text
        if message["type"] in ("done", "error"):
            return sound, message


def _post(body: bytes) -> bytes:
    head = (
        "POST /v1/audio/speech HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n"
    )
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _unchunked(content: bytes) -> bytes:
    """What was sent in chunks."""
    found = b""
    while content:
        size, _, content = content.partition(b"\r\n")
        found, content = found + content[: int(size, 16)], content[int(size, 16) + 2 :]
    return found


def _work(client: Client, draw: random.Random, acts: Sequence[str], until: float, report: Report) -> None:
    """Do `acts` once each, then by chance until it is time. All of a good client's tries end in a sound."""
    todo = list(acts)
    while todo or time.monotonic() < until:
        name = todo.pop() if todo else draw.choices(list(ACTS), list(ACTS.values()))[0]
        tries = time.monotonic() + 120
        while True:
            try:
                client.act(name)
                report.done[name] += 1
            except TurnedAwayError:
                report.turned_away += 1
                if time.monotonic() < tries:
                    time.sleep(0.2 + draw.random())
                    continue
                report.wrong.append(f"{name}: turned away for two minutes")
            except Exception as error:  # noqa: BLE001  # whatever it is, it is told
                report.wrong.append(f"{name}: {type(error).__name__}: {error}")
            break


def soak(minutes: float, clients: int = 8, seed: int = 1, tell: Callable[[str], object] = lambda _: None) -> Report:
    """Have a server used for so long.

    Args:
        minutes: at least; each thing is done once, however long that takes.
        clients: at a time.
        seed: of what is drawn.
        tell: is told now and then how it goes.
    """
    report, wanted = Report(), Wanted(Dia2.nano(device="cpu"))
    with tempfile.TemporaryDirectory(prefix="dia2-soak-") as folder:
        voices, runs, log = Path(folder) / "voices", Path(folder) / "runs", Path(folder) / "log"
        voices.mkdir()
        arguments = ("--rows", str(ROWS), "--queue", str(QUEUE), "--voices", str(voices), "--runs", str(runs))
        with started(*arguments, log=log) as (process, address):
            until = time.monotonic() + 60 * minutes
            users = [Client(address, voices, wanted, random.Random(f"{seed} {number}")) for number in range(clients)]
            first = [list(ACTS)[number::clients] for number in range(clients)]
            threads = [
                threading.Thread(target=partial(_work, user, user._draw, acts, until, report))
                for user, acts in zip(users, first, strict=True)
            ]
            for thread in threads:
                thread.start()
            while any(thread.is_alive() for thread in threads):
                time.sleep(SAMPLING)
                if process.poll() is not None:
                    report.wrong.append(f"the server has ended with status {process.returncode}")
                    break
                report.memory.append(_resident(process.pid))
                if len(report.memory) % 12 == 0:
                    tell(" | ".join(report.lines()))
            for thread in threads:
                thread.join()
            for user in users:
                user.close()
            with httpx.Client(base_url=address, timeout=60) as client:
                _look_after(client, report)
        said = log.read_text(encoding="utf-8", errors="replace")
        if "Traceback" in said:
            report.wrong.append(f"its log has a traceback: {said[said.index('Traceback') :][:3000]}")
        if any(script in said for script in SCRIPTS):
            report.wrong.append("its log has scripts")
    return report


def _look_after(client: httpx.Client, report: Report) -> None:
    """Nobody is left in a row."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        figures = client.get("/metrics").text
        if "dia2_requests_speaking 0.0" in figures and "dia2_requests_waiting 0.0" in figures:
            return
        time.sleep(0.2)
    report.wrong.append("somebody is left in a row")


def _resident(process: int) -> int:
    """Bytes."""
    status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    return 1024 * int(status.partition("VmRSS:")[2].split()[0])


def main() -> int:
    """Run it and tell; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0, help="default: %(default)g")
    parser.add_argument("--clients", type=int, default=8, help="at a time (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of what they do (default: %(default)s)")
    given = parser.parse_args()
    report = soak(given.minutes, given.clients, given.seed, partial(print, flush=True))
    print(*report.lines(), sep="\n")  # noqa: T201  # what it is there for
    return int(bool(report.wrong) or report.growth > GROWTH)


if __name__ == "__main__":
    sys.exit(main())
