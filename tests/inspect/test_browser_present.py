"""Present and the tour in a real browser: what is seen, what keys do there, and that nobody is in the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dia2.inspect import sample
from dia2.inspect.views.explorer import to_html

from ..support.browser import Page, keep_picture, needs_chromium

pytestmark = needs_chromium
SLIDES = ["finding", "text", "grid", "draw", "call"]
SMALL = """[...document.querySelectorAll('.present *')].filter((element) => element.checkVisibility() &&
  [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim()) &&
  parseFloat(getComputedStyle(element).fontSize) * (element.getScreenCTM?.().a ?? 1) < LEAST
  ).map((element) => element.outerHTML)"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return to_html(sample(), tmp_path_factory.mktemp("page") / "run.html")


def linked(browser: Any, file: Path, hash_: str, width: int = 1280, height: int = 720, scheme: str = "light") -> Page:
    """The page as a link opens it."""
    opened = Page(browser, file, width, height, scheme)
    opened.page.goto(f"{file.as_uri()}#{hash_}")
    opened.page.reload()
    opened.until("document.getElementById('explorer').dia2 !== undefined")
    return opened


def names(page: Page) -> list[str]:
    """Of all slides."""
    there = page.page.locator(".side [role=tab]").all_inner_texts()
    return [*SLIDES, *(["pipeline"] if "Pipeline" in there else [])]


def slide(page: Page) -> str:
    """The name of the slide that is seen."""
    page.drawn()
    return str(page.page.evaluate("document.querySelector('.slide-body').className")).removeprefix("slide-body of-")


@pytest.mark.smoke
def test_slides_follow_each_other_and_leave_all_as_it_was(page: Page) -> None:
    page.page.evaluate("document.getElementById('explorer').dia2.store.set({call: 40, tab: 'Call'})")
    page.drawn()
    before = page.page.evaluate("JSON.stringify(document.getElementById('explorer').dia2.store.state)")
    page.press("p")
    found = [slide(page)]
    for _ in names(page)[1:]:
        page.press("PageDown")
        found.append(slide(page))
    assert found == names(page)
    assert not page.page.locator(".stage").is_visible()
    page.press("w")  # it zooms, but not here
    page.press(".")
    assert page.state("call") == 41
    while slide(page) != "grid":
        page.press("PageUp")
    assert "Call 41 writes one column" in page.page.inner_text(".slide-title")
    page.press("Escape")
    page.drawn()
    page.until("!document.fullscreenElement")
    page.drawn()
    assert page.page.locator(".stage").is_visible()
    assert page.page.evaluate("JSON.stringify(document.getElementById('explorer').dia2.store.state)") == before


@pytest.mark.parametrize(("width", "height"), [(1920, 1080), (1280, 720), (900, 780)])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_slide_can_be_read_from_afar(browser: Any, file: Path, width: int, height: int, scheme: str) -> None:
    opened = linked(browser, file, "call=45&present=0", width, height, scheme)
    least = "19.5" if width >= 1280 else "12"  # a picture in a small place is what it can be
    for number, name in enumerate(names(opened)):
        assert slide(opened) == name
        assert opened.page.evaluate(SMALL.replace("LEAST", least)) == []
        body = "document.querySelector('.slide-body')"
        assert opened.page.evaluate(f"{body}.scrollHeight - {body}.clientHeight") <= 1, "nothing is cut off"
        assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
        keep_picture(opened.page, f"present-{width}-{scheme}-{number}")
        opened.press("ArrowRight")
    opened.check()
    opened.page.context.close()


def test_a_link_opens_a_slide_at_its_call_and_copies_itself(browser: Any, file: Path) -> None:
    opened = linked(browser, file, "call=50&present=2")
    assert (slide(opened), opened.state("call")) == ("grid", 50)
    assert "Call 50 writes" in opened.page.inner_text(".slide-title")
    opened.press("k")
    opened.page.evaluate("location.hash = '#call=12'")
    opened.until("document.getElementById('explorer').dia2.store.state.slide === null")
    assert opened.readout("call") == "12"
    opened.check()
    opened.page.context.close()


def test_what_plays_goes_on_and_the_slide_follows(browser: Any, file: Path) -> None:
    opened = linked(browser, file, "call=30&present=2")
    opened.press("h")
    opened.until("document.getElementById('explorer').dia2.store.state.call > 33")
    opened.press("ArrowLeft")
    assert slide(opened) == "text"
    opened.until("document.getElementById('explorer').dia2.store.state.call > 36")
    opened.press("Escape")
    assert opened.state("playing")
    assert opened.state("call") > 36
    opened.check()
    opened.page.context.close()


def test_a_phone_and_paper_show_the_explorer(browser: Any, file: Path) -> None:
    phone = linked(browser, file, "present=1", 390, 844)
    assert not phone.page.locator(".present").is_visible()
    assert phone.page.locator(".track.sound").is_visible()
    phone.check()
    phone.page.context.close()
    paper = linked(browser, file, "present=1")
    assert paper.page.locator(".present").is_visible()
    paper.page.emulate_media(media="print")
    paper.until("document.querySelector('.present').hidden")
    assert paper.page.locator(".track.grid canvas").is_visible()
    paper.page.emulate_media(media="screen")
    paper.until("!document.querySelector('.present').hidden")
    paper.check()
    paper.page.context.close()


@pytest.mark.smoke
def test_the_tour_comes_once_by_itself_and_is_in_nobodys_way(page: Page, file: Path) -> None:
    card = page.page.locator(".tour")
    assert card.is_visible()
    covered = page.page.evaluate(
        """[...document.querySelectorAll('#explorer :is(button, select, input, canvas)')].filter((element) => {
             const { x, y, width, height } = element.getBoundingClientRect();
             const top = document.elementFromPoint(x + width / 2, y + height / 2);
             return !element.closest('.tour') && top?.closest('.tour');
           }).length"""
    )
    assert covered == 0
    assert page.page.evaluate("document.activeElement.id") == "explorer"
    page.press("ArrowRight")
    assert page.readout("call") == "1"  # the keys are the explorer's
    page.page.locator(".judged .show").click()
    assert card.is_visible()
    page.page.reload()
    page.until("document.getElementById('explorer').dia2 !== undefined")
    assert not page.page.locator(".tour").count()


def test_the_tour_leads_through_all_and_back(page: Page) -> None:
    page.page.evaluate("document.getElementById('explorer').dia2.store.set({call: 20})")
    page.press("t")
    card = page.page.get_by_role("dialog", name="Tour")
    stops = page.page.evaluate(
        """(({ tour, tracks }) => tour.filter(({ track }) => !track ||
             document.querySelector(`.track.${tracks.find(({ name }) => name === track).kind}`)
           ).map(({ title }) => title))(document.getElementById('explorer').dia2.data.header)"""
    )
    assert "The delayed grid" in stops
    assert "What the recordings say" not in stops  # this run has none
    for title in stops:
        page.drawn()
        assert page.page.inner_text(".tour-title") == title
        box, play = card.bounding_box(), page.page.locator(".play").bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 1280
        assert box["y"] + box["height"] <= 800
        apart = box["x"] >= play["x"] + play["width"] or box["y"] >= play["y"] + play["height"]
        assert apart or box["x"] + box["width"] <= play["x"] or box["y"] + box["height"] <= play["y"]
        page.press("ArrowRight")
    assert not page.page.locator(".tour").is_visible()
    assert page.readout("call") == "20"
    page.press("t")
    page.press("ArrowRight")
    page.page.locator(".play").click()  # all else goes on
    assert page.state("playing")
    page.press("Escape")
    page.press("Escape")
    assert not page.page.locator(".tour").is_visible()


@pytest.mark.parametrize("width", [1280, 390])
def test_cards_of_the_tour_are_seen_whole(browser: Any, file: Path, width: int) -> None:
    opened = linked(browser, file, "theme=light", width, 844)
    opened.press("t")
    count = int(opened.page.inner_text(".tour-count").split(" of ")[1])
    assert count >= 8
    for number in range(count):
        opened.drawn()
        box = opened.page.locator(".tour").bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= 844
        keep_picture(opened.page, f"tour-{width}-{number}")
        opened.press("ArrowRight")
    opened.check()
    opened.page.context.close()


def test_on_a_phone_the_tour_can_be_taken_again(browser: Any, file: Path) -> None:
    opened = linked(browser, file, "theme=light", 390, 844)
    button, card = opened.page.locator(".guide"), opened.page.locator(".tour")
    for _ in range(2):
        assert button.is_visible()
        button.click()
        assert card.is_visible()
        opened.page.get_by_role("button", name="End the tour").click()
        assert not card.is_visible()
    box, name = button.bounding_box(), opened.page.locator(".top h1").bounding_box()
    assert box["x"] + box["width"] <= 390
    assert name["width"] > 60  # the run is still told by its name
    opened.check()
    opened.page.context.close()


def test_a_page_that_does_not_show_it_does_not_use_it_up(browser: Any, file: Path, tmp_path: Path) -> None:
    two = Page(browser, to_html(sample(), tmp_path / "two.html", other=sample()))  # it leads through one run
    assert two.page.locator(".tour").count() == 0
    two.page.goto(file.as_uri())
    two.until("document.getElementById('explorer').dia2 !== undefined")
    assert two.page.locator(".tour").is_visible()
    two.check()
    two.page.context.close()


def test_with_a_link_or_in_a_frame_it_does_not_come_by_itself(browser: Any, file: Path, tmp_path: Path) -> None:
    context = browser.new_context(offline=True)
    page = context.new_page()
    page.goto(f"{file.as_uri()}#call=3")
    page.locator("#explorer .controls").wait_for()
    assert page.locator(".tour").count() == 0
    frame = tmp_path / "frame.html"
    frame.write_text(f'<iframe sandbox="allow-scripts" src="{file.as_uri()}" width="1200" height="800"></iframe>')
    page.goto(frame.as_uri())
    inside = page.frame_locator("iframe")
    inside.get_by_role("button", name="Take the tour").wait_for()
    assert inside.locator(".guide").inner_text() == "Take the tour"
    assert inside.locator(".tour").count() == 0
    context.close()


def test_where_nothing_can_be_kept_it_is_offered(browser: Any, file: Path) -> None:
    context = browser.new_context(offline=True)
    context.add_init_script(
        "Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('no', 'SecurityError'); } })"
    )
    page = context.new_page()
    page.goto(file.as_uri())
    page.locator("#explorer .controls").wait_for()
    assert page.locator(".tour").count() == 0
    assert page.locator(".guide").inner_text() == "Take the tour"
    context.close()
