"""A Chromium for tests that need one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest

_QUIET = (
    "--no-sandbox",  # the tests may run as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"  # kept, to be looked at


def keep_picture(page: Any, name: str) -> None:
    """Save what a page shows."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png")


def ink(root: str) -> str:
    """JavaScript: the median brightness, 0 to 255, of what is drawn in the track of words of the explorer `root`."""
    canvas = f"const canvas = {root}.querySelector('.words canvas')"
    pixels = "const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)"
    drawn = "const green = data.filter((_, i) => i % 4 === 1 && data[i + 2] === 255)"
    return f"(() => {{ {canvas}; {pixels}; {drawn}; return green.sort()[Math.floor(green.length / 2)]; }})()"


@cache
def chromium() -> str | None:
    """The machine's own Chromium, or Playwright's; none if there is neither."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    return own if Path(own).exists() else None


@contextmanager
def launched() -> Iterator[Any]:
    """A browser, for as long as the block lasts."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=chromium(), args=list(_QUIET))
        yield found
        found.close()


class Page:
    """The explorer of a file, with the network off."""

    def __init__(
        self, browser: Any, path: Path, width: int = 1280, height: int = 800, scheme: str = "light", scale: int = 1
    ) -> None:
        context = browser.new_context(
            viewport={"width": width, "height": height},
            device_scale_factor=scale,
            color_scheme=scheme,
            offline=True,
            reduced_motion="reduce",
        )
        self.page = context.new_page()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(path.as_uri())
        self.until("document.getElementById('explorer').dia2 !== undefined")

    def until(self, condition: str) -> None:
        """Wait for a condition; Playwright's own way would need an eval that the page forbids."""
        for _ in range(200):
            if self.page.evaluate(condition):
                return
            self.page.wait_for_timeout(50)
        raise AssertionError(f"not within ten seconds: {condition}; the page said {self.said}")

    def state(self, name: str) -> Any:
        return self.page.evaluate(f"document.getElementById('explorer').dia2.store.state.{name}")

    def press(self, key: str) -> None:
        self.page.keyboard.press(key)

    def tab(self, name: str) -> None:
        """Open a tab of the inspector."""
        self.page.get_by_role("tab", name=name).click()
        self.drawn()

    def told(self) -> str:
        """What the last line says."""
        self.drawn()
        return str(self.page.inner_text(".foot .told"))

    def drawn(self) -> None:
        """Wait until what has changed is on the screen: a change is drawn with the next frame, whenever that is."""
        self.page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def readout(self, name: str) -> str:
        self.drawn()
        pairs = "[...document.querySelectorAll('.readouts div')].map(x => x.innerText.split('\\n'))"
        return str(dict(self.page.evaluate(pairs))[name])

    def check(self) -> None:
        assert self.said == []
        assert all(url.startswith(("file:", "blob:", "data:")) for url in self.asked)


needs_chromium = pytest.mark.skipif(chromium() is None, reason="no Chromium on this machine: see tests/SKIPS.md")
