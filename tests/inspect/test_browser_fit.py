"""Drift and Voice in a real browser: what opens by itself, what stays chosen, and what is copied."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dia2.adapter.trace import Dia2Trace
from dia2.inspect.views.explorer import to_html
from dia2.runtime.words import read_words

from ..support.browser import Page, keep_picture, needs_chromium
from .test_view_fit import END, SHIFT, clone, given

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Dia2Trace:
    """Words that are late from the middle on."""
    return clone(tmp_path_factory.mktemp("late"), given())


@pytest.fixture(scope="module")
def file(trace: Dia2Trace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return to_html(trace, tmp_path_factory.mktemp("page") / "run.html")


def shown(page: Page) -> str:
    """The tab that is seen."""
    page.drawn()
    return str(page.page.inner_text("[role=tab][aria-selected=true]"))


def go(page: Page, call: int) -> None:
    page.page.evaluate(f"document.getElementById('explorer').dia2.store.set({{call: {call}}})")


def lit(page: Page) -> list[str]:
    page.drawn()
    rows: list[str] = page.page.locator("tr[aria-current]").all_inner_texts()
    return [row.split("\t")[0].strip() for row in rows]


def drift_at(page: Page, *calls: int) -> list[list[int]]:
    """The colour of a track's bars, a little above its zero line, at some calls."""
    script = """calls => {
      const canvas = document.querySelector('.track.drift canvas');
      const { first, span } = document.getElementById('explorer').dia2.store.state;
      const { data } = canvas.getContext('2d').getImageData(0, Math.round(canvas.height * 0.3), canvas.width, 1);
      return calls.map(call => {
        const x = Math.round((call + 0.5 - first) / span * canvas.width);
        return [...data.slice(4 * x, 4 * x + 4)];
      });
    }"""
    found: list[list[int]] = page.page.evaluate(script, calls)
    return found


def test_the_voice_is_judged_in_the_warm_up(browser: Any, file: Path, trace: Dia2Trace) -> None:
    page = Page(browser, file)
    assert shown(page) == "Voice", "the page begins with the recording"
    go(page, trace.warmup_calls + 1)
    assert shown(page) == "Draw", "and goes on with what is drawn"
    page.tab("Call")
    go(page, 3)
    assert shown(page) == "Call", "a tab that was chosen stays"
    page.tab("Voice")
    go(page, trace.warmup_calls + 1)
    assert shown(page) == "Voice"

    moved = page.page.locator(".fit-words tr.moved").last
    moved.get_by_role("button").click()
    last = trace.words[trace.run.prefix_words - 1]
    assert (page.readout("call"), lit(page)) == (str(last.call), [last.text])
    row, box = page.page.locator("tr[aria-current]"), page.page.locator(".fit-words").bounding_box()
    at = row.bounding_box()
    assert box["y"] <= at["y"] <= at["y"] + at["height"] <= box["y"] + box["height"] + 1, "it is scrolled to"

    page.page.get_by_role("button", name="Voice", exact=True).first.click()  # the lens
    page.press("f")
    page.drawn()
    told = [window for window in read(page)["windows"] if window[2] == SHIFT]
    bare = [window for window in read(page)["windows"] if window[2] is None]
    assert told, "some window tells"
    assert bare, "some cannot"
    late, unknown = (int((one[0] + one[1]) / 2) for one in (told[0], bare[0]))
    bar, none = drift_at(page, late, unknown)
    assert (bar[3], none[3]) == (255, 0), "a bar stands on the zero line, hatching does not reach so high"
    keep_picture(page.page, "fit")
    page.check()


def read(page: Page) -> dict[str, Any]:
    found: dict[str, Any] = page.page.evaluate("document.getElementById('explorer').dia2.data.header.fit")
    return found


@pytest.mark.parametrize("allowed", [True, False])
def test_the_mended_list_can_be_taken_along(browser: Any, file: Path, allowed: bool) -> None:
    page = Page(browser, file)
    take = "text => { window.taken = text; return Promise.resolve(); }"
    write = take if allowed else "() => Promise.reject(new Error('no'))"
    page.page.evaluate(f"Object.defineProperty(navigator, 'clipboard', {{ value: {{ writeText: {write} }} }})")
    page.page.evaluate("document.execCommand = () => false")  # nor by the way of before
    page.page.get_by_role("button", name="Copy the mended word list").click()
    page.drawn()
    said = page.page.inner_text(".fit-copy [role=status]")
    assert "--prefix-words-1" in said
    assert said.startswith("Copied." if allowed else "Copy it from below.")
    text = page.page.evaluate("window.taken" if allowed else "getSelection().toString()")
    assert len(read_words(json.loads(text), END)) == len(read(page)["recordings"][0]["words"])
    page.check()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_it_is_a_pane_of_its_own(browser: Any, file: Path, scheme: str) -> None:
    page = Page(browser, file, 390, 844, scheme)
    go(page, 60)
    page.page.get_by_role("button", name="Voice", exact=True).last.click()
    page.drawn()
    assert page.page.is_visible(".fit-plot")
    assert page.page.locator(".panes button").count() == 6
    assert page.page.evaluate("document.documentElement.scrollWidth") <= 390
    small = """[...document.querySelectorAll('.fit *')].filter(
      each => each.textContent && parseFloat(getComputedStyle(each).fontSize) < 12).length"""
    assert page.page.evaluate(small) == 0
    (word,) = lit(page)
    assert page.page.get_by_role("button", name=word, exact=True).is_visible()
    keep_picture(page.page, f"fit-phone-{scheme}")
    page.check()
