"""Nothing serious for axe, which looks for what shuts out people with a disability, in any state of the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dia2.inspect import sample

from ..support.browser import Page

AXE = Path(__file__).parents[1] / "front" / "node_modules" / "axe-core" / "axe.min.js"
WORSE = """axe.run(document, { resultTypes: ["violations"] }).then(({ violations }) => violations
  .filter(({ impact }) => impact === "serious" || impact === "critical")
  .map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(({ target }) => target.join(" "))}`))"""
CHOOSE = """(theme) => {
  const select = document.querySelector(".colours"); // which a phone does not show
  select.selectedIndex = [...select.options].findIndex(({ text }) => text === theme);
  select.dispatchEvent(new Event("change"));
}"""

pytestmark = pytest.mark.skipif(not AXE.exists(), reason="axe-core is not installed: see tests/SKIPS.md")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sample().to_html(tmp_path_factory.mktemp("page") / "sample.html")


def worse(page: Page) -> list[str]:
    """What axe finds serious or critical."""
    page.drawn()
    if not page.page.evaluate("'axe' in window"):
        page.page.evaluate(AXE.read_text())
    return list(page.page.evaluate(WORSE))


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("theme", ["Light", "Dark", "Contrast"])
def test_no_tab_nor_sheet_shuts_anybody_out(browser: Any, file: Path, theme: str, width: int) -> None:
    page = Page(browser, file, width, 844)
    page.page.evaluate(CHOOSE, theme)
    names = page.page.locator(".side [role=tab]").all_inner_texts()
    assert len(names) >= 3
    for number in range(len(names)):
        page.press(str(number + 1))
        assert (names[number], worse(page)) == (names[number], [])
    page.press("m")
    page.page.keyboard.type("odd")
    assert worse(page) == []
    page.press("Control+Enter")
    assert worse(page) == []
    page.page.get_by_role("button", name="Export").click()
    assert worse(page) == []
    page.press("Escape")
    page.page.focus("#explorer")
    page.press("?")
    assert worse(page) == []
    page.check()


def test_two_runs_shut_nobody_out(browser: Any, tmp_path: Path) -> None:
    page = Page(browser, sample().to_html(tmp_path / "two.html", other=sample()))
    assert worse(page) == []
    page.check()


@pytest.mark.parametrize("theme", ["Light", "Dark", "Contrast"])
def test_neither_slides_nor_the_tour_do(browser: Any, file: Path, theme: str) -> None:
    page = Page(browser, file, 1280, 720)
    page.page.evaluate(CHOOSE, theme)
    assert worse(page) == []  # the tour's first card, by itself
    page.press("t")
    for _ in range(3):
        assert worse(page) == []
        page.press("ArrowRight")
    page.press("Escape")
    page.press("p")
    page.drawn()
    for number in range(int(page.page.inner_text(".slide-counter").split("/")[1])):
        assert (number, worse(page)) == (number, [])
        page.press("ArrowRight")
    page.check()
