"""The tabs Pipeline and Attention in a real browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dia2 import Dia2
from dia2.inspect import sample
from dia2.inspect.views.explorer import to_html

from ..support.browser import Page, keep_picture, needs_chromium

pytestmark = needs_chromium
SMALLEST = (  # CSS pixels of the letters of the drawing
    "Math.min(...[...document.querySelectorAll('.flow text')].map(t => {"
    "const svg = t.closest('svg.flow'); return parseFloat(getComputedStyle(t).fontSize)"
    " * svg.getBoundingClientRect().width / svg.viewBox.baseVal.width}))"
)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    trace = sample()
    replay = trace.replay(Dia2.nano(), range(40, 50), attention=True)
    return to_html(trace, tmp_path_factory.mktemp("page") / "run.html", replay=replay, call=41)


@pytest.mark.parametrize(
    ("width", "height", "scheme"), [(1280, 800, "light"), (1000, 800, "dark"), (800, 900, "light")]
)
def test_a_call_is_a_picture_that_is_gone_through_step_by_step(
    browser: Any, file: Path, width: int, height: int, scheme: str
) -> None:
    page = Page(browser, file, width, height, scheme)
    trace = sample()
    page.tab("Pipeline")
    flow = page.page.locator("svg.flow")
    assert flow.get_attribute("aria-label") == "Data flow of call 41"
    assert page.page.evaluate(SMALLEST) >= 12
    page.press(".")
    page.drawn()
    said = page.page.locator(".flow-said")
    assert said.inner_text() == "1. Call 41 reads two text tokens, and the codes in column 41 of the grid."
    page.press(".")
    page.press(".")
    page.drawn()
    draw = trace.draws(41)[1]
    lit = page.page.locator(".flow-lit")
    assert lit.evaluate_all("all => all.map(x => x.dataset.name)") == ["action", "cb0"]
    assert str(draw.choice) in (lit.nth(1).text_content() or "")
    keep_picture(page.page, f"pipeline-{width}-{scheme}")
    box = page.page.get_by_role("button", name="Mimi 28 at ")
    box.focus()
    page.press("Enter")
    page.drawn()
    assert page.state("row") == 28
    assert page.readout("call") == "41"
    assert "28. Mimi decode" in page.page.inner_text(".flow-detail")
    page.page.get_by_role("button", name="Show it in Call").click()
    page.drawn()
    assert page.page.inner_text(".row.chosen .number") == "28"
    page.check()
    page.page.context.close()


def test_attention_is_of_the_call_that_is_looked_at(browser: Any, file: Path) -> None:
    page = Page(browser, file)
    trace = sample()
    page.tab("Attention")
    place = page.page.locator(".look-pane .look-place")
    assert place.is_visible()
    replay = trace.replay(Dia2.nano(), [41], attention=True)
    page.page.get_by_label("layer", exact=True).select_option("layer 3")
    page.page.get_by_label("head", exact=True).select_option("head 1")
    page.drawn()
    best = int(replay.attention[3][0, 0, 1].argmax())
    assert page.page.inner_text(".look-pane tbody tr:first-child td") == f"call {best}"
    page.page.evaluate("document.getElementById('explorer').dia2.store.set({draw: 1})")
    page.drawn()
    told = page.page.inner_text(".logits-pane .look-said")
    assert told.startswith(f"{trace.draws(41)[1].choice} was drawn: rank 1 of 258")
    keep_picture(page.page, "attention")
    page.press("Home")
    page.drawn()
    assert not place.is_visible()
    assert "does not have call 0. It has 10 calls, from 40 to 49." in page.page.inner_text(".look-pane")
    assert "not replayed" in page.page.inner_text(".track.looks .head small")
    page.page.locator(".look-pane .look-go").click()
    page.drawn()
    assert page.readout("call") == "40"
    assert place.is_visible()
    page.check()
    page.page.context.close()


def test_on_a_phone_call_and_attention_are_a_touch_away(browser: Any, file: Path) -> None:
    page = Page(browser, file, 390, 844)
    panes = page.page.locator(".panes button")
    assert panes.all_inner_texts() == ["Time", "Grid", "Draw", "Machine", "Pipeline"]
    panes.nth(4).click()
    page.drawn()
    assert page.page.locator("svg.flow").is_visible()
    assert page.page.evaluate(SMALLEST) >= 12
    assert page.page.locator(".tabs button:visible").all_inner_texts() == ["Call", "Attention", "Notes"]
    page.page.get_by_role("tab", name="Call").click()
    page.drawn()
    assert page.page.locator(".rows .list").is_visible()
    assert page.page.evaluate("document.documentElement.scrollWidth") <= 390
    page.check()
    page.page.context.close()
