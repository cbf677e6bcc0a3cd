"""The explorer of sweeps in a real browser: what keys and clicks do, what it looks like, and how fast it is."""

from __future__ import annotations

import base64
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from dia2.adapter.maker import Dia2Maker
from dia2.inspect import sweep_to_html
from dia2.inspect.sweeps.plan import Plan
from dia2.inspect.sweeps.sweep import make
from dia2.inspect.views.sweeps.bundle import script, style
from dia2.inspect.views.sweeps.gathered import gather
from dia2.inspect.views.sweeps.payload import payload

from ..support.browser import Page, keep_picture, needs_chromium
from ..support.reference import engine
from ..support.sweeps import GRID, grid_of, write_sweep
from .test_axe import AXE, worse
from .test_console_trace import HOSTILE

pytestmark = needs_chromium

SHOWN = "document.getElementById('explorer').dia2.board.looked"
ROWS = """[...document.querySelectorAll('.table-row')].sort((a, b) => a.ariaRowIndex - b.ariaRowIndex)"""
FRAMES = """async () => {
  const scroller = document.querySelector(".scroller");
  const heads = [...document.querySelectorAll(".heads button")];
  const frame = () => new Promise((done) => requestAnimationFrame(done));
  const timed = async (count, change) => {
    const times = [];
    let last = await frame();
    for (let i = 0; i < count; i += 1) {
      change(i);
      const now = await frame();
      times.push(now - last);
      last = now;
    }
    return times.sort((a, b) => a - b)[Math.floor(count / 2)];
  };
  const most = scroller.scrollHeight - scroller.clientHeight;
  const scrolling = await timed(120, (i) => { scroller.scrollTop = (i * 137) % most; });
  const sorting = await timed(40, (i) => heads[i % heads.length].click());
  return { scrolling, sorting, rows: document.querySelectorAll(".table-row").length };
}"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sweep")
    grid: dict[str, Any] = {
        "script": ["[S1] one two three [S2] four", "[S1] Yes."],
        "seed": [1, 2],
        "cfg_scale": [1, 2.5],
    }
    make(Plan(grid), folder / "voices", makers=[Dia2Maker(engine("tiny4"))])
    return sweep_to_html(folder / "voices", folder / "sweep.html", pages=1)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sweep")
    return sweep_to_html(write_sweep(folder / "voices", GRID, calls=60), folder / "sweep.html")


def column(page: Page, name: str) -> list[str]:
    """Texts of a column, from the top."""
    heads = page.page.locator(".heads .cell").all_inner_texts()
    at = next(i for i, head in enumerate(heads) if head.rstrip(" ▲▼").strip() == name)
    page.drawn()
    return list(page.page.evaluate(f"{ROWS}.map((row) => row.children[{at}].textContent)"))


@pytest.mark.smoke
def test_keys_filter_hear_and_go_from_run_to_run(page: Page) -> None:
    assert page.page.locator(".table-row").count() == 8
    page.press("ArrowDown")
    page.press("ArrowDown")
    page.drawn()
    assert page.page.inner_text(".run-pane h2") == "seed 1, cfg_scale 2.5"
    page.press("Space")
    page.until(f"{SHOWN}.playing === 1 && document.querySelector('.run-pane .go').textContent === 'Stop'")
    page.press("Space")
    page.until(f"{SHOWN}.playing === null")
    page.press("/")
    page.page.keyboard.type("cfg_scale>1 yes")
    page.press("Escape")
    assert column(page, "cfg_scale") == ["2.5", "2.5"]
    assert set(column(page, "script")) == {"[S1] Yes."}
    assert page.page.inner_text(".found") == "2 runs"
    page.press("Escape")
    page.drawn()
    assert page.page.locator(".table-row").count() == 8
    page.page.locator(".heads button", has_text="seed").click()
    page.page.locator(".heads button", has_text="seed").click()
    assert column(page, "seed") == ["2"] * 4 + ["1"] * 4
    page.press("2")
    page.drawn()
    assert page.page.locator(".chart-panel canvas").count() == 2
    page.press("3")
    page.drawn()
    assert page.page.locator(".map canvas").is_visible()


def test_a_run_with_a_page_has_a_link_and_another_a_command_to_copy(page: Page) -> None:
    link = page.page.get_by_role("link", name="Open its page")
    page.press("Home")
    page.drawn()
    assert link.is_visible()
    page.press("ArrowDown")
    page.drawn()
    assert not link.is_visible()
    page.press("Enter")
    page.until("document.querySelector('.foot .told').textContent.includes('the command that makes its page')")
    page.press("Home")
    page.drawn()
    link.click()
    page.page.wait_for_url("**/traces/*.html")
    page.until("document.querySelectorAll('.tracks').length === 1")


def test_a_list_chooses_and_a_button_shows_all_again(browser: Any, large: Path) -> None:
    opened = Page(browser, large)
    opened.page.get_by_label("cfg_scale", exact=True).select_option("3")
    opened.page.get_by_label("temperature", exact=True).select_option("0.8")
    opened.drawn()
    assert set(column(opened, "cfg_scale")) == {"3"}
    assert opened.page.evaluate(f"{SHOWN}.rows.length") == 100
    opened.page.get_by_role("button", name="All runs").click()
    opened.press("ArrowDown")
    opened.drawn()
    assert opened.page.evaluate(f"[{SHOWN}.rows.length, {SHOWN}.run]") == [1000, 0]
    opened.page.locator(".judged button").click()
    assert set(column(opened, "status")) == {"failed"}
    assert opened.page.evaluate(f"{SHOWN}.rows.length") == 25
    opened.check()
    opened.page.context.close()


def test_of_a_thousand_runs_those_that_are_seen_stand_on_the_page(browser: Any, large: Path) -> None:
    opened = Page(browser, large)
    rows = opened.page.evaluate("document.querySelectorAll('.table-row').length")
    assert 20 < rows < 60
    seeds = opened.page.evaluate("document.getElementById('explorer').dia2.runs.header.ids")
    opened.press("End")
    opened.drawn()
    opened.drawn()
    tops = opened.page.evaluate(f"{ROWS}.map((row) => row.getBoundingClientRect().top)")
    assert {round(b - a, 3) for a, b in pairwise(tops)} == {28}
    last = opened.page.locator(".table-row[aria-current=true]")
    assert last.get_attribute("aria-rowindex") == "1001"
    assert opened.page.inner_text(".run-pane code") == seeds[-1]
    box, room = last.bounding_box(), opened.page.locator(".scroller").bounding_box()
    assert box["y"] + box["height"] <= room["y"] + room["height"] + 1
    opened.press("Home")
    opened.drawn()
    head = opened.page.locator(".heads").bounding_box()
    assert opened.page.locator(".table-row[aria-current=true]").bounding_box()["y"] >= head["y"] + head["height"]
    opened.check()
    opened.page.context.close()


def test_a_dot_is_pointed_at_and_chosen(browser: Any, large: Path) -> None:
    opened = Page(browser, large)
    opened.press("2")
    opened.page.get_by_label("Show", exact=True).select_option("surprise")
    opened.page.get_by_label("a panel for each", exact=True).select_option("nothing")
    opened.drawn()
    panel = opened.page.locator(".chart-panel canvas")
    assert panel.count() == 1
    told = panel.get_attribute("aria-label")
    assert told is not None
    assert told.startswith("0.6, 1: mean ")
    box = panel.bounding_box()
    opened.page.mouse.move(box["x"] + 46 + (box["width"] - 56) * 0.5, box["y"] + box["height"] * 0.5)
    opened.until("document.querySelector('.foot .told').textContent.startsWith('surprise ')")
    said = opened.page.inner_text(".foot .told")
    opened.page.mouse.click(box["x"] + 46 + (box["width"] - 56) * 0.5, box["y"] + box["height"] * 0.5)
    opened.drawn()
    assert said.endswith(f": {opened.page.inner_text('.run-pane h2')}")
    opened.check()
    opened.page.context.close()


def test_a_cell_of_the_map_says_where_two_runs_part(page: Page) -> None:
    page.press("3")
    page.drawn()
    box = page.page.locator(".map canvas").bounding_box()
    cell = box["height"] / 4
    page.page.mouse.move(box["x"] + box["width"] - cell / 2, box["y"] + cell / 2)
    page.drawn()
    assert "seed 1, cfg_scale 1 | seed 2, cfg_scale 2.5: part at call " in page.page.inner_text(".foot .told")
    page.page.mouse.click(box["x"] + box["width"] - cell / 2, box["y"] + 2.5 * cell)
    page.drawn()
    assert page.page.inner_text(".run-pane h2") == "seed 2, cfg_scale 1"


def test_nothing_of_a_hostile_dataset_is_markup(browser: Any, tmp_path: Path) -> None:
    attacks = [HOSTILE, "<img src=x onerror=alert(1)>", "</script><script>document.title='taken'</script>"]
    grid: dict[str, Any] = {"script": attacks, "seed": [1, 2], "<b>x</b>": attacks}
    opened = Page(browser, sweep_to_html(write_sweep(tmp_path / "<b>", grid, texts=attacks), tmp_path / "page.html"))
    for key in ("ArrowDown", "2", "3", "1"):
        opened.press(key)
        opened.drawn()
    assert opened.page.locator("#explorer img, #explorer script, #explorer bdi b").count() == 0
    assert opened.page.title() == "<b>"
    assert "<img src=x onerror=alert(1)>" in "".join(column(opened, "script"))
    opened.check()
    opened.page.context.close()


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_view_shuts_nobody_out_and_keeps_its_picture(browser: Any, large: Path, scheme: str, width: int) -> None:
    opened = Page(browser, large, width, 844, scheme)
    opened.press("ArrowDown")
    for number, name in enumerate(("table", "charts", "partings"), 1):
        opened.page.focus("#explorer")
        opened.press(str(number))
        opened.drawn()
        keep_picture(opened.page, f"sweep-{name}-{scheme}-{width}")
        if AXE.exists():
            assert (name, worse(opened)) == (name, [])
        small = opened.page.evaluate(
            """[...document.querySelectorAll('#explorer *')].filter((element) =>
                 [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim()) &&
                 parseFloat(getComputedStyle(element).fontSize) < 12).length"""
        )
        assert small == 0
    if width < 600:
        opened.page.locator(".panes button").nth(1).click()
        opened.drawn()
        assert opened.page.locator(".run-pane h2").is_visible()
        assert not opened.page.locator(".stage").is_visible()
        assert opened.page.evaluate("document.documentElement.scrollHeight") <= 844
        keep_picture(opened.page, f"sweep-run-{scheme}-{width}")
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
    opened.check()
    opened.page.context.close()


def test_where_there_is_little_width_the_table_is_as_tall_as_its_rows(browser: Any, file: Path, large: Path) -> None:
    for page, tall in ((file, 8 * 28 + 52), (large, 480)):
        opened = Page(browser, page, 800, 700)
        assert opened.page.locator(".scroller").bounding_box()["height"] == tall
        opened.press("ArrowDown")
        opened.press("2")
        opened.drawn()
        keep_picture(opened.page, f"sweep-narrow-{tall}")
        assert opened.page.locator(".chart-panel canvas").first.is_visible()
        opened.check()
        opened.page.context.close()


@pytest.mark.slow
def test_a_thousand_runs_scroll_and_sort_without_a_stop(browser: Any, large: Path) -> None:
    opened = Page(browser, large)
    found = opened.page.evaluate(FRAMES)
    print({name: f"{1000 / found[name]:.0f} frames a second" for name in ("scrolling", "sorting")})  # noqa: T201  # by pytest -s
    assert found["rows"] < 60
    assert found["scrolling"] < 50  # milliseconds; 17 where nobody else is busy
    assert found["sorting"] < 100
    opened.check()
    opened.page.context.close()


HOST = """<!doctype html><meta charset="utf-8"><body><style>{css}</style><div id="out"></div><script type="module">
const {{ default: widget }} = await import(URL.createObjectURL(new Blob([{source}], {{ type: "text/javascript" }})));
const bytes = Uint8Array.from(atob({view}), (character) => character.charCodeAt(0));
const values = {{ _view: new DataView(bytes.buffer), _cell: "0f" }};
window.sent = [];
const on = (name, listen) => {{ window.answer = listen; }};
const model = {{ get: (name) => values[name], on, off() {{}}, send: (question) => sent.push(question) }};
window.end = await widget.render({{ model, el: out }});
window.ready = true;
</script>"""


def test_a_widget_asks_the_kernel_to_open_and_to_hear(browser: Any, tmp_path: Path) -> None:
    view = base64.b64encode(payload(gather(write_sweep(tmp_path, grid_of(20))), [])).decode()
    source = json.dumps(script("widget")).replace("</", "<\\/")
    host = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    wrong: list[str] = []
    host.on("pageerror", lambda error: wrong.append(str(error)))
    html = HOST.format(css=style(), source=source, view=json.dumps(view))
    host.route("**/*", lambda route: route.fulfill(body=html, content_type="text/html"))
    host.goto("http://localhost/")
    host.wait_for_function("window.ready")
    host.locator(".table-row[aria-rowindex='4']").dblclick()
    assert host.evaluate("sent") == [{"kind": "open", "run": 2}]
    host.evaluate("answer({ kind: 'open', run: 2 }, [])")
    host.wait_for_function("document.querySelector('.foot .told').textContent.startsWith('Opened below')")
    host.locator(".run-pane .go").click()
    assert host.evaluate("sent[1]") == {"kind": "hear", "run": 2}
    host.evaluate("answer({ kind: 'hear', run: 2, error: 'it has none' }, [])")
    host.wait_for_function("document.querySelector('.foot .told').textContent.endsWith('cannot be heard: it has none')")
    host.evaluate("end()")
    assert wrong == []
    host.context.close()
