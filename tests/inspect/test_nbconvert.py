"""Pages that nbconvert makes of notebooks with explorers, opened in a browser with the network off."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbconvert import HTMLExporter, SlidesExporter

from dia2.adapter.trace import Dia2Trace
from dia2.inspect import load, sample

from ..support.browser import keep_picture, needs_chromium
from ..support.reference import engine
from .test_console_trace import HOSTILE, hostile
from .test_instead import notebook_of

pytestmark = needs_chromium

EXPLORERS = "[...document.querySelectorAll('[data-dia2-explorer]')]"


class Made:
    """A page made of a notebook; `network` is asked for each address that the page wants of it."""

    def __init__(self, browser: Any, page: str, folder: Path, network: Any = None) -> None:
        path = folder / "notebook.html"
        path.write_text(page, encoding="utf-8")
        context = browser.new_context(viewport={"width": 1280, "height": 1000}, reduced_motion="reduce")
        self.page = context.new_page()
        self.wrong: list[str] = []
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        offline = network or (lambda route: route.abort("internetdisconnected"))
        self.page.route(lambda url: url.startswith("http"), offline)
        self.page.goto(path.as_uri(), wait_until="load")

    def run(self, text: str) -> Any:
        return self.page.evaluate(text)

    def until(self, condition: str) -> None:
        self.page.wait_for_function(condition, timeout=15_000)

    def opened(self, count: int) -> None:
        """Wait for so many explorers, and no more."""
        self.until(f"{EXPLORERS}.filter((root) => root.dia2).length === {count}")
        assert self.run(f"{EXPLORERS}.length") == count
        assert self.run("document.querySelectorAll('.dia2-explorer').length") == count

    def plays(self, number: int = 0) -> None:
        """Its sound goes on, and so do its calls."""
        before = self.run(f"{EXPLORERS}[{number}].dia2.store.state.call")
        self.page.locator("[data-dia2-explorer] .play").nth(number).click()
        self.until(f"{EXPLORERS}[{number}].dia2.store.state.call > {before + 3}")
        assert self.run(f"{EXPLORERS}[{number}].dia2.player.audio.currentTime") > 0
        assert self.run(f"{EXPLORERS}[{number}].dia2.player.audio.duration") > 5

    def close(self) -> None:
        assert self.wrong == []
        self.page.context.close()


@pytest.fixture
def made(browser: Any, tmp_path: Path) -> Iterator[Any]:
    pages: list[Made] = []

    def make(page: str, network: Any = None) -> Made:
        pages.append(Made(browser, page, tmp_path, network))
        return pages[-1]

    yield make
    for page in pages:
        page.close()


@pytest.mark.smoke
def test_the_explorer_plays_on_the_page(made: Any) -> None:
    page, _ = HTMLExporter().from_notebook_node(notebook_of(sample().explore(call=30), sample().explore(sample())))
    shown = made(page)
    shown.opened(2)
    assert shown.run(f"{EXPLORERS}.map((root) => root.dia2.store.state.call)") == [30, 0]
    assert shown.run("document.querySelectorAll('.comparing').length") == 1
    shown.plays(0)
    assert not shown.page.locator(".dia2-instead").first.is_visible()
    assert shown.page.locator("script[type*='widget-view']").count() == 0
    shown.page.locator("[data-dia2-explorer]").first.focus()
    shown.page.keyboard.press("Home")
    assert shown.run(f"{EXPLORERS}[0].dia2.store.state.call") < 20, "it plays on from there"
    keep_picture(shown.page, "nbconvert")


def test_the_picture_gives_way_where_no_state_was_saved(made: Any) -> None:
    page, _ = HTMLExporter().from_notebook_node(notebook_of(sample().explore(), state=False))
    assert 'src="data:image/png' in page
    shown = made(page)
    shown.opened(1)
    shown.plays()
    assert not shown.page.locator("img").first.is_visible()


def test_a_widget_from_the_network_does_not_stand_beside_it(made: Any) -> None:
    """A library that draws the page's widgets, as nbconvert's pages load one from the network, finds none."""
    library = """
        window.drawn = [...document.querySelectorAll("script[type='application/vnd.jupyter.widget-view+json']")];
        for (const view of window.drawn) {
          const root = document.createElement("div");
          root.dataset.dia2Explorer = "of the library";
          view.after(root);
        }
    """

    def network(route: Any) -> None:
        if "html-manager" in route.request.url:
            route.fulfill(body=library, content_type="text/javascript")
        else:
            route.abort("internetdisconnected")

    page, _ = HTMLExporter().from_notebook_node(notebook_of(sample().explore()))
    shown = made(page, network)
    shown.until("window.drawn !== undefined")
    shown.opened(1)


def test_slides_have_it_too(made: Any) -> None:
    page, _ = SlidesExporter().from_notebook_node(notebook_of(sample().explore()))
    shown = made(page)
    shown.opened(1)
    shown.wrong.clear()  # reveal.js and require.js are of the network


def test_the_lab_keeps_its_explorer(made: Any, tmp_path: Path) -> None:
    path = tmp_path / "run.dia2trace"
    engine("tiny4").generate("[S1] Hello there.", seed=1, trace=path)
    page, _ = HTMLExporter().from_notebook_node(notebook_of(Dia2Trace(path).lab(engine("tiny4"))))
    made(page).opened(1)


def test_hostile_texts_are_texts(made: Any, tmp_path: Path) -> None:
    page, _ = HTMLExporter().from_notebook_node(notebook_of(load(hostile(tmp_path)).explore()))
    assert HOSTILE not in page
    shown = made(page)
    shown.opened(1)
    assert shown.run("document.querySelectorAll('[data-dia2-explorer] :is(script, iframe, img)').length") == 0


def test_a_browser_that_cannot_draw_it_says_so(made: Any) -> None:
    page, _ = HTMLExporter().from_notebook_node(notebook_of(sample().explore()))
    shown = made(page.replace("<body", "<script>window.DecompressionStream = undefined;</script><body", 1))
    shown.until("document.body.innerText.includes('This browser cannot draw the explorer: ')")
    assert shown.page.locator(".dia2-instead").is_visible()


@pytest.mark.slow
def test_a_notebook_that_a_kernel_has_run(made: Any) -> None:
    sources = ["from dia2.inspect import sample\nsample().explore()", "sample().explore(page=False)"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    nbformat.validate(notebook)
    page, _ = HTMLExporter().from_notebook_node(notebook)
    shown = made(page)
    shown.opened(1)
    shown.plays()
