"""Firefox and WebKitGTK as the machine has them, driven by WebDriver's commands.

Playwright drives builds of its own of these two, which a distribution does not have. Firefox takes the commands by
Marionette (https://firefox-source-docs.mozilla.org/testing/marionette/Protocol.html), WebKitGTK's driver by HTTP
(https://www.w3.org/TR/webdriver2/); both need a screen, Firefox one of its own making.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from urllib.request import Request, urlopen

from .ports import free_port

Send = Callable[[str, str, dict[str, Any]], Any]  # a verb and an end point of WebDriver, a body; what it answers

_WEBKIT = ("webkit2gtk-4.1", "webkitgtk-6.0", "webkit2gtk-4.0")  # folders of its programs, by version
_MARIONETTE = {
    "url": "Navigate",
    "execute/sync": "ExecuteScript",
    "execute/async": "ExecuteAsyncScript",
    "actions": "PerformActions",
    "screenshot": "TakeScreenshot",
    "window/rect": "SetWindowRect",
}
_KEYS = {"ArrowRight": "\ue014", "ArrowLeft": "\ue012", "Home": "\ue011", "End": "\ue010", "Escape": "\ue00c"}


def firefox() -> str | None:
    return shutil.which("firefox-esr") or shutil.which("firefox")


def webkit() -> str | None:
    """The small browser that comes with WebKitGTK, if its driver and a screen for it are here."""
    found = [path for name in _WEBKIT for path in Path("/usr/lib").glob(f"*/{name}/MiniBrowser")]
    return str(found[0]) if found and shutil.which("WebKitWebDriver") and shutil.which("Xvfb") else None


class Driven:
    """A page in such a browser."""

    def __init__(self, name: str, send: Send) -> None:
        self.name = name
        self._send = send
        send("POST", "window/rect", {"width": 1280, "height": 900})

    def open(self, url: str) -> None:
        self._send("POST", "url", {"url": url})

    def js(self, expression: str) -> Any:
        """What an expression comes to."""
        return self._send("POST", "execute/sync", {"script": f"return {expression}", "args": []})

    def drawn(self) -> None:
        """Wait until what has changed is on the screen."""
        script = "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => done()))"
        self._send("POST", "execute/async", {"script": script, "args": []})

    def until(self, condition: str) -> None:
        end = monotonic() + 20
        while not self.js(condition):
            assert monotonic() < end, f"not within twenty seconds: {condition}"
            sleep(0.05)

    def press(self, key: str) -> None:
        value = _KEYS.get(key, key)
        keys = [{"type": "keyDown", "value": value}, {"type": "keyUp", "value": value}]
        self._act({"type": "key", "id": "keys", "actions": keys})

    def click(self, selector: str, across: float = 0.5, down: float = 0.5) -> None:
        """Click on an element, at these parts of its width and height."""
        move = {"type": "pointerMove", "duration": 0, "origin": "viewport"} | self._at(selector, across, down)
        clicks = [move, {"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}]
        self._act({"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": clicks})

    def wheel(self, selector: str, by: int) -> None:
        scroll = {"type": "scroll", "duration": 0, "origin": "viewport", "deltaX": 0, "deltaY": by}
        self._act({"type": "wheel", "id": "wheel", "actions": [scroll | self._at(selector, 0.5, 0.5)]})

    def screenshot(self) -> bytes:
        return base64.b64decode(self._send("GET", "screenshot", {}))

    def _at(self, selector: str, across: float, down: float) -> dict[str, int]:
        box = self.js(f"document.querySelector({json.dumps(selector)}).getBoundingClientRect().toJSON()")
        return {"x": round(box["x"] + across * box["width"]), "y": round(box["y"] + down * box["height"])}

    def _act(self, source: dict[str, Any]) -> None:
        self._send("POST", "actions", {"actions": [source]})
        self.drawn()


@contextmanager
def firefox_page(folder: Path) -> Iterator[Driven]:
    """A page of Firefox, with its profile in `folder`."""
    port = free_port()
    (folder / "user.js").write_text(f'user_pref("marionette.port", {port});\n')
    command = [str(firefox()), "--headless", "--marionette", "--no-remote", "--profile", str(folder)]
    with _running(command), _connected(port) as connection, connection.makefile("rb") as answers:
        _message(answers)  # who it is
        count = 0

        def send(_verb: str, point: str, body: dict[str, Any]) -> Any:
            nonlocal count
            count += 1
            command = json.dumps([0, count, f"WebDriver:{_MARIONETTE.get(point, point)}", body]).encode()
            connection.sendall(b"%d:%b" % (len(command), command))
            _, _, error, value = _message(answers)
            assert error is None, error
            return value["value"] if isinstance(value, dict) and "value" in value else value

        send("POST", "NewSession", {})
        yield Driven("firefox", send)


@contextmanager
def webkit_page(folder: Path) -> Iterator[Driven]:
    """A page of WebKitGTK's browser, on a screen of its own; what it keeps is kept in `folder`."""
    port = free_port()
    with ExitStack() as stack:
        screen = stack.enter_context(_screen())
        own = {"DISPLAY": screen, "XDG_DATA_HOME": str(folder), "XDG_CACHE_HOME": str(folder)}
        stack.enter_context(_running([str(shutil.which("WebKitWebDriver")), f"--port={port}"], own))
        stack.enter_context(_connected(port))
        place = f"http://127.0.0.1:{port}/session"

        def ask(verb: str, url: str, body: dict[str, Any] | None) -> Any:
            data = None if body is None else json.dumps(body).encode()
            request = Request(url, data, {"Content-Type": "application/json"}, method=verb)
            with urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]

        options = {"webkitgtk:browserOptions": {"binary": webkit(), "args": ["--automation"]}}
        session = ask("POST", place, {"capabilities": {"alwaysMatch": options}})["sessionId"]

        def send(verb: str, point: str, body: dict[str, Any]) -> Any:
            return ask(verb, f"{place}/{session}/{point}", body if verb == "POST" else None)

        yield Driven("webkit", send)
        ask("DELETE", f"{place}/{session}", None)


@contextmanager
def _running(command: list[str], environment: dict[str, str] | None = None) -> Iterator[None]:
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, env=os.environ | (environment or {}), stdout=quiet, stderr=quiet)
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def _screen() -> Iterator[str]:
    """The name of an X server's screen that nobody sees."""
    reading, writing = os.pipe()
    command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", "1400x1000x24", "-nolisten", "tcp"]
    process = subprocess.Popen(command, pass_fds=[writing], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.close(writing)
    try:
        with os.fdopen(reading) as told:
            yield f":{told.readline().strip()}"
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def _connected(port: int) -> Iterator[socket.socket]:
    """A connection with what will listen there."""
    end = monotonic() + 60
    while True:
        try:
            connection = socket.create_connection(("127.0.0.1", port), timeout=60)
            break
        except ConnectionRefusedError:
            assert monotonic() < end, f"nobody listens at port {port}"
            sleep(0.1)
    with connection:
        yield connection


def _message(answers: Any) -> Any:
    """The next of Marionette: its length, a colon, JSON."""
    length = b""
    while (digit := answers.read(1)) != b":":
        length += digit
    return json.loads(answers.read(int(length)))
