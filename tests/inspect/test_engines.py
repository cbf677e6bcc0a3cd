"""The explorer in the two other browser engines: Firefox's and WebKit's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dia2.inspect import sample

from ..support.browser import SCREENSHOTS
from ..support.webdriver import Driven, firefox, firefox_page, webkit, webkit_page

EXPLORER = "document.getElementById('explorer')"
STATE = f"{EXPLORER}.dia2.store.state"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sample().to_html(tmp_path_factory.mktemp("page") / "sample.html")


@pytest.fixture(params=["firefox", "webkit"], scope="module")
def engine(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driven]:
    there, opened = {"firefox": (firefox, firefox_page), "webkit": (webkit, webkit_page)}[request.param]
    if there() is None:
        pytest.skip(f"no {request.param} with a driver on this machine: see tests/SKIPS.md")
    with opened(tmp_path_factory.mktemp(request.param)) as page:
        yield page


@pytest.fixture
def page(engine: Driven, file: Path) -> Driven:
    engine.open("about:blank")  # another hash of the same page would not load it anew
    engine.open(f"{file.as_uri()}#call=20&theme=light")
    engine.until(f"{EXPLORER}?.dia2 !== undefined")
    engine.js("(window.wrong = [], window.addEventListener('error', (event) => window.wrong.push(event.message)))")
    engine.drawn()
    return engine


def test_keys_clicks_and_the_wheel_work(page: Driven) -> None:
    assert page.js(f"{STATE}.call") == 20
    page.click(".sound canvas", 0.9)
    there = page.js(f"{STATE}.call")
    assert there > 20
    page.press("ArrowLeft")
    assert page.js(f"{STATE}.call") == there - 1
    page.press("Home")
    assert page.js(f"{STATE}.call") == 0
    span = page.js(f"{STATE}.span")
    page.wheel(".sound canvas", -240)
    page.until(f"{STATE}.span < {span}")
    page.click(".grid canvas", 0.5, 0.3)
    assert page.js(f"{STATE}.cell !== null")
    assert page.js("document.querySelector('.foot .told').innerText").startswith("Codebook")
    assert page.js("wrong") == []


def test_a_slider_draws_again(page: Driven) -> None:
    moved = "input.value = input.min; input.dispatchEvent(new Event('input', { bubbles: true }))"
    page.js(f"(() => {{ const input = document.querySelector('.why input[type=range]'); {moved}; }})()")
    page.drawn()
    assert "would" in page.js("document.querySelector('.pane.draw').innerText")
    assert page.js("wrong") == []


def test_it_plays(page: Driven) -> None:
    page.click("button.play")
    page.until(f"{STATE}.call > 24")
    page.press(" ")
    page.until(f"!{STATE}.playing")
    assert page.js("wrong") == []


@pytest.mark.parametrize("theme", ["light", "dark", "contrast"])
def test_nothing_is_wider_than_the_page_in_any_colours(page: Driven, theme: str) -> None:
    number = ["light", "dark", "contrast"].index(theme) + 1
    chosen = f"select.selectedIndex = {number}; select.dispatchEvent(new Event('change'))"
    page.js(f"(() => {{ const select = document.querySelector('.colours'); {chosen}; }})()")
    page.until(f"{EXPLORER}.dataset.theme === '{theme}'")
    page.drawn()
    assert page.js("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    (SCREENSHOTS / f"{page.name}-{theme}.png").write_bytes(page.screenshot())
