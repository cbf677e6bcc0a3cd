"""What one takes along from the explorer, in a real browser: files, the clipboard, notes; and where it is forbidden."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image

from dia2.adapter.trace import Dia2Trace
from dia2.inspect import sample
from dia2.inspect.store.notes import CallNote

from ..support.browser import Page, keep_picture, needs_chromium

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Dia2Trace:
    """The sample, where notes can be kept."""
    path = tmp_path_factory.mktemp("share") / "sample.dia2trace"
    shutil.copytree(sample().path, path)
    return Dia2Trace(path)


@pytest.fixture
def page(browser: Any, trace: Dia2Trace, tmp_path: Path) -> Iterator[Page]:
    found = Page(browser, trace.to_html(tmp_path / "sample.html"))
    yield found
    found.check()
    found.page.close()


def saved(page: Page, command: str, folder: Path) -> Path:
    """What a command of the menu saves."""
    page.page.get_by_role("button", name="Export").click()
    with page.page.expect_download() as started:
        page.page.get_by_role("button", name=command).click()
    path = folder / str(started.value.suggested_filename)
    started.value.save_as(path)
    assert page.told().startswith(f"Saved {path.name}, ")
    return path


def select(page: Page, first: int, last: int) -> None:
    page.page.evaluate(f"document.getElementById('explorer').dia2.store.set({{selection: [{first}, {last}]}})")
    page.drawn()


def test_the_table_has_what_the_trace_has(page: Page, trace: Dia2Trace, tmp_path: Path) -> None:
    path = saved(page, "Save the table (CSV)", tmp_path)
    assert path.name == "sample.csv"
    rows = list(csv.DictReader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline="")))
    assert [int(row["call"]) for row in rows] == list(range(len(trace)))
    for row, budget in zip(rows, trace.column("padding_budget"), strict=True):
        assert int(row["padding_budget"]) == budget
    for call in (0, 30, 76):
        for draw, name in zip(trace.draws(call), ["action", *(f"cb{i}" for i in range(8))], strict=True):
            assert int(rows[call][f"choice.{name}"]) == draw.choice
            assert float(rows[call][f"p.{name}"]) == pytest.approx(draw.probability, rel=2**-16)
    assert {row["word"] for row in rows} >= {word.text for word in trace.words}
    select(page, 10, 20)
    text = saved(page, "Save the table (CSV)", tmp_path).read_text(encoding="utf-8-sig")
    part = list(csv.DictReader(io.StringIO(text)))
    assert [row["call"] for row in part] == [str(call) for call in range(10, 20)]


def test_the_sound_is_cut_to_the_sample(page: Page, trace: Dia2Trace, tmp_path: Path) -> None:
    found = trace.sound()
    assert found is not None
    sound, rate = found
    whole, whole_rate = soundfile.read(saved(page, "Save the sound (WAV)", tmp_path))
    assert (len(whole), whole_rate) == (len(sound), rate)
    assert np.corrcoef(whole, sound)[0, 1] > 0.99  # of MP3, and in its place: a sample's shift would be less
    select(page, 20, 41)
    path = saved(page, "Save the sound (WAV)", tmp_path)
    assert path.name == "sample-calls-20-40.wav"
    part = soundfile.read(path)[0]
    start = (20 - trace.crop - 2) * round(rate / trace.model.frame_rate)
    assert len(part) == 21 * round(rate / trace.model.frame_rate)
    assert np.array_equal(part, whole[start : start + len(part)])
    select(page, 0, 2)  # before the first second
    page.page.get_by_role("button", name="Export").click()
    silent = page.page.get_by_role("button", name="Save the sound (WAV)")
    assert silent.is_disabled()
    assert "Nothing sounds at these calls." in silent.inner_text()


@pytest.mark.parametrize(("width", "scheme", "scale"), [(1280, "light", 1), (1280, "dark", 2), (390, "light", 3)])
def test_the_picture_is_the_timeline_as_it_is_seen(
    browser: Any, trace: Dia2Trace, tmp_path: Path, width: int, scheme: str, scale: int
) -> None:
    page = Page(browser, trace.to_html(tmp_path / "sample.html"), width, 800, scheme, scale)
    if width == 390:
        page.page.get_by_role("button", name="Draw", exact=True).click()  # another pane than the timeline
    path = saved(page, "Save the picture (PNG)", tmp_path)
    keep_picture(page.page, f"picture-{width}-{scheme}-page")
    picture = Image.open(path).convert("RGB")
    seen = page.page.evaluate("document.querySelector('.tracks canvas').clientWidth")
    heads = 0 if width == 390 else page.page.evaluate("document.querySelector('.tracks canvas').offsetLeft")
    assert picture.width == scale * (seen + heads)
    assert picture.height > scale * 300
    ground = picture.getpixel((picture.width - 2, 2 * scale))
    assert isinstance(ground, tuple)
    assert (sum(ground) > 384) is (scheme == "light")
    for top in range(30 * scale, picture.height - 60 * scale, 60 * scale):  # something stands everywhere
        strip = picture.crop((0, top, picture.width, top + 60 * scale))
        assert len(strip.getcolors(1 << 24) or []) > 3
    page.check()


def test_the_picture_of_a_selection_shows_its_calls_alone(page: Page, tmp_path: Path) -> None:
    seen = (page.state("first"), page.state("span"))
    select(page, 20, 30)
    page.page.get_by_role("button", name="Export").click()
    assert "The timeline, calls 20 … 29" in page.page.inner_text(".menu-list")
    page.press("Escape")
    path = saved(page, "Save the picture (PNG)", tmp_path)
    assert path.name == "sample-calls-20-29.png"
    part = np.asarray(Image.open(path))
    assert (page.state("first"), page.state("span"), page.state("selection")) == (*seen, [20, 30])
    page.page.evaluate("document.getElementById('explorer').dia2.store.set({selection: null})")
    page.drawn()
    assert not np.array_equal(part, np.asarray(Image.open(saved(page, "Save the picture (PNG)", tmp_path))))
    page.page.evaluate("document.getElementById('explorer').dia2.store.set({first: 20, span: 10})")
    page.drawn()
    assert np.array_equal(part, np.asarray(Image.open(saved(page, "Save the picture (PNG)", tmp_path))))


def test_a_call_is_copied_whatever_the_browser_allows(page: Page, tmp_path: Path) -> None:
    def pasted() -> str:
        page.page.get_by_role("textbox", name="Go to a call or a time").focus()
        page.page.evaluate("document.activeElement.value = ''")
        page.press("Control+v")
        return str(page.page.evaluate("document.activeElement.value"))

    page.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.press("c")
    assert page.told() == "Copied call 0 as text"
    assert pasted().startswith("sample.dia2trace · seed 1 · cfg 2 · 77 calls · cpu · complete")
    page.page.focus("#explorer")
    select(page, 3, 6)
    page.page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    page.page.get_by_role("button", name="Export").click()
    page.page.get_by_role("button", name="Copy as JSON").click()
    assert page.told() == "Copied calls 3 … 5 as JSON"
    assert [call["call"] for call in json.loads(pasted())["runs"][0]["calls"]] == [3, 4, 5]
    page.page.evaluate("document.execCommand = () => false")
    page.page.focus("#explorer")
    page.press("c")
    assert page.told() == "To copy by hand: calls 3 … 5 as text"
    field = page.page.get_by_role("textbox", name="calls 3 … 5 as text")
    assert field.input_value().startswith("sample.dia2trace")
    page.press("Escape")
    assert page.page.locator("dialog textarea").count() == 0


def test_a_frame_that_may_not_save_says_so(browser: Any, trace: Dia2Trace, tmp_path: Path) -> None:
    trace.to_html(tmp_path / "sample.html")
    outer = tmp_path / "outer.html"
    outer.write_text(
        '<iframe sandbox="allow-scripts" src="sample.html" style="width:1200px;height:760px"></iframe>',
        encoding="utf-8",
    )
    page = browser.new_context(viewport={"width": 1280, "height": 800}, accept_downloads=True).new_page()
    came: list[Any] = []
    page.on("download", lambda file: came.append(file))
    page.goto(outer.as_uri())
    frame = page.frame_locator("iframe")
    frame.get_by_role("button", name="Export").click()
    frame.get_by_role("button", name="Save the table (CSV)").click()
    told = frame.locator(".foot .told")
    assert "if no file comes, its frame forbids it: open the page by itself" in told.inner_text()
    page.wait_for_timeout(500)
    assert came == []


@pytest.mark.smoke
def test_notes_of_a_page_are_pinned_and_come_back_to_the_trace(page: Page, trace: Dia2Trace, tmp_path: Path) -> None:
    for key in ("ArrowRight", "ArrowRight", "m"):
        page.press(key)
    page.page.keyboard.type("Sounds <b>odd</b>\nfrom here")  # at once
    page.press("ArrowLeft")  # in the text, not in the run
    page.press("Control+Enter")
    assert page.told() == "Noted at call 2, on this page alone"
    assert page.state("call") == 2
    assert page.page.locator(".noted p").inner_text() == "Sounds <b>odd</b>\nfrom here"
    with page.page.expect_download() as started:
        page.page.get_by_role("button", name="Download notes").click()
    assert started.value.suggested_filename == "sample.notes.json"
    started.value.save_as(tmp_path / "notes.json")
    assert trace.import_notes(tmp_path / "notes.json") == [CallNote(2, "Sounds <b>odd</b>\nfrom here")]
    again = trace.to_html(tmp_path / "again.html")
    trace.note(2, "")
    page.page.goto(again.as_uri())
    page.until("document.getElementById('explorer').dia2 !== undefined")
    page.tab("Notes")
    assert page.page.locator(".noted small").count() == 0  # it came with the page
    page.page.get_by_role("button", name="Delete the note at call 2").click()
    page.drawn()
    assert page.state("notes") == []
    page.page.get_by_role("button", name="Undo: the note at call 2").click()
    page.drawn()
    assert [note["call"] for note in page.state("notes")] == [2]
    keep_picture(page.page, "notes")


def test_codes_are_found_and_gone_to(page: Page) -> None:
    page.press("/")
    page.page.keyboard.type("cb3:12")
    assert page.told() == "1 place found for “cb3:12”"
    page.press("Enter")
    assert page.told() == "1 of 1 place of “cb3:12”: call 18, Codebook 3: 12"
    assert (page.state("call"), page.state("cell"), page.state("draw")) == (18, {"book": 3, "column": 19}, 4)


def test_cells_are_coloured_by_any_column(page: Page) -> None:
    choice = page.page.get_by_role("combobox", name="Cells show")
    seen = set()
    for name in ("Surprise", "Entropy", "Padding budget", "Probability"):
        choice.select_option(label=name)
        page.drawn()
        seen.add(page.page.locator(".track.grid canvas").screenshot())
    assert len(seen) == 4
    choice.select_option(label="Padding budget")
    page.drawn()
    assert page.page.locator(".grid .ends").inner_text().split() == ["0", "frame", "6"]
