"""Copies without voice or text in a real browser: every part of the page takes what is not there for not there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dia2.adapter.trace import Dia2Trace
from dia2.inspect import sample
from dia2.inspect.views.explorer import to_html

from ..support.browser import Page, needs_chromium
from .test_console_trace import recorded

pytestmark = needs_chromium


@pytest.fixture(params=[False, True], ids=["alone", "prefix"])
def trace(request: pytest.FixtureRequest) -> Dia2Trace:
    found = Dia2Trace(recorded()) if request.param else sample()
    assert isinstance(found, Dia2Trace)
    return found


@pytest.fixture(params=["voice", "text", "both"])
def page(request: pytest.FixtureRequest, browser: Any, trace: Dia2Trace, tmp_path: Path) -> Iterator[Page]:
    parts = {"voice": request.param != "text", "text": request.param != "voice"}
    copy = trace.redact(tmp_path / "copy.dia2trace", **parts)
    opened = Page(browser, to_html(copy, tmp_path / "run.html"))
    yield opened
    opened.check()
    opened.page.context.close()


def test_one_goes_through_all_of_it(page: Page, trace: Dia2Trace) -> None:
    page.page.evaluate(
        """(({ store, data }) => store.set({ open: data.header.tracks.map(({ name }) => name) }))(
             document.getElementById('explorer').dia2)"""
    )
    tabs = page.page.get_by_role("tab").all_inner_texts()
    assert len(tabs) > 4
    for at, key in [(0, "Home"), (len(trace) - 1, "End")]:
        page.press(key)
        assert page.readout("call") == str(at)
        for number in range(1, len(tabs) + 1):
            page.press(str(number))
            page.drawn()
        for step in ("ArrowUp", "ArrowDown", "Shift+ArrowLeft", "Shift+ArrowRight", "n", "c", "f", "."):
            page.press(step)
            page.drawn()
    notes = page.page.locator(".track:visible .head small").all_inner_texts()
    assert not [note for note in notes if "NaN" in note or "undefined" in note]
    for lens in ("Voice", "Grid", "Run"):
        page.page.get_by_role("button", name=lens, exact=True).click()
        page.drawn()
    page.press("p")
    for _ in range(6):
        page.press("ArrowRight")
        page.drawn()
    page.press("Escape")
    page.press("ArrowLeft")
    assert int(page.readout("call")) >= 0
