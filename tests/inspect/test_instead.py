"""A cell with an explorer, and what it keeps for where no widget can be drawn."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.terminal.interactiveshell import TerminalInteractiveShell
from IPython.utils.capture import capture_output
from nbconvert import HTMLExporter, LatexExporter, MarkdownExporter
from PIL import Image

from dia2 import Dia2
from dia2.inspect import follow, load, sample
from dia2.inspect.views.explorer import instead, picture, saved, widget
from dia2.inspect.views.explorer.bundle import reviver, style
from dia2.inspect.views.explorer.picture import picture as picture_of

from ..support.traces import recorded_dia
from .test_console_trace import HOSTILE, changed, hostile

_VIEW, _STATE = (f"application/vnd.jupyter.widget-{kind}+json" for kind in ("view", "state"))
_SCRIPT = "application/javascript"
_HOW = "This page cannot draw it: run the notebook's cell again, or write a page that needs no notebook by to_html()."


def cell_of(shown: object) -> Any:
    """A cell whose value is a widget, with what it showed."""
    shell: Any = InteractiveShell.instance()
    with capture_output() as captured:
        shell.display_formatter.format(shown)
    return cell_with(captured)


def cell_with(captured: Any) -> Any:
    made = [(part.data, part.metadata or {}) for part in captured.outputs]
    outputs = [nbformat.v4.new_output("display_data", data, metadata=metadata) for data, metadata in made]
    return nbformat.v4.new_code_cell("sample().explore()", outputs=outputs)


def notebook_of(*shown: Any, state: bool = True) -> Any:
    """A notebook of cells with these widgets, with their state as nbclient and papermill save it."""
    notebook = nbformat.v4.new_notebook(cells=[cell_of(each) for each in shown])
    if state:
        notebook.metadata.widgets = {_STATE: shown[0].get_manager_state(widgets=shown)}
    return notebook


def words_of(page: str) -> str:
    """What is read on a page."""
    shown = re.sub(r"(?s)<(script|style)\b.*?</\1>|<[^>]+>", " ", page[page.index("jp-Cell-outputWrapper") :])
    return " ".join(shown.replace("&#x27;", "'").split())


def test_a_cell_keeps_picture_text_and_explorer() -> None:
    first, second, third = cell_of(sample().explore()).outputs
    assert set(first.data) == {_VIEW, "image/png", "text/plain"}
    lines = "Nothing is wrong that can be told.\n<Explorer of sample.dia2trace: 77 calls, complete>"
    assert first.data["text/plain"] == second.data["text/plain"] == lines
    assert set(second.data) == {"text/html", "text/plain"}
    assert len(first.data["image/png"]) < 12_000
    assert len(third.data[_SCRIPT]) < 300_000  # a saved notebook stays small
    assert third.data["text/plain"] == ""


def test_the_script_holds_nothing_that_a_page_could_take_for_markup(tmp_path: Path) -> None:
    cell = cell_of(load(hostile(tmp_path)).explore(load(hostile(tmp_path / "again"))))
    code = cell.outputs[2].data[_SCRIPT]
    assert "<" not in code.replace(reviver(), "")
    assert "</" not in code
    assert "<!--" not in code


def test_what_is_told_of_a_trace_is_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(widget, "told", lambda trace, shown: [HOSTILE, shown])
    cell = cell_of(sample().explore())
    text = cell.outputs[1].data["text/html"]
    assert re.findall(r"<[^>]*>", text) == ['<div class="dia2-instead">', *["<div>", "</div>"] * 3, "</div>"]
    assert "&lt;script&gt;" in text
    assert text.isprintable()
    assert cell.outputs[0].data["text/plain"].startswith(HOSTILE)  # the verdict comes first


def test_a_page_is_left_out_where_it_is_not_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    trace = sample()
    assert len(cell_of(trace.explore(page=False)).outputs) == 2
    monkeypatch.setenv("DIA2_EXPLORER_PAGE", "0")
    outputs = cell_of(trace.explore()).outputs
    assert len(outputs) == 2
    assert "image/png" in outputs[0].data
    assert len(cell_of(trace.explore(page=True)).outputs) == 3


def test_one_that_is_too_large_is_left_out_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instead, "MOST", 100_000)
    outputs = cell_of(sample().explore()).outputs
    assert len(outputs) == 2
    assert "It is too large for a notebook (0.3 MB): run the notebook" in words(outputs[1].data["text/html"])
    assert saved.MOST == 4_000_000


def words(text: str) -> str:
    return re.sub("<[^>]+>", " ", text).replace("&#x27;", "'")


@pytest.mark.parametrize("shell", [TerminalInteractiveShell.__new__(TerminalInteractiveShell), None])
def test_a_terminal_says_it_once(shell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instead, "get_ipython", lambda: shell)
    assert len(cell_of(sample().explore()).outputs) == 1


@pytest.mark.parametrize("state", [True, False])
def test_a_page_that_is_rid_of_scripts_says_what_stood_there(state: bool) -> None:
    notebook = notebook_of(sample().explore(), state=state)
    page, _ = HTMLExporter(sanitize_html=True).from_notebook_node(notebook)
    assert f"Explorer of sample.dia2trace: 77 calls, complete {_HOW}" in words_of(page)
    assert "revive" not in page
    assert ('src="data:image/png' in page) == (not state)


def test_print_has_the_picture_and_the_text() -> None:
    notebook = notebook_of(sample().explore())
    page, resources = LatexExporter().from_notebook_node(notebook)
    (name,) = resources["outputs"]
    assert name.endswith(".png")
    assert name in page
    assert "<Explorer of sample.dia2trace: 77 calls, complete>" in page.replace("{}", "")
    assert "revive" not in page


def test_markdown_has_the_picture_and_the_text() -> None:
    page, resources = MarkdownExporter().from_notebook_node(notebook_of(sample().explore()))
    assert len(resources["outputs"]) == 1
    assert "Explorer of sample.dia2trace" in page
    assert len(page) < 1_000


def test_a_page_has_the_explorer() -> None:
    explorer = sample().explore(call=30)
    page, _ = HTMLExporter().from_notebook_node(notebook_of(explorer))
    (told,) = re.findall(r"revive\(at, (\{.*\})\);", page)
    kept = json.loads(told)
    assert kept["call"] == 30
    assert kept["cell"] == explorer._cell
    assert kept["view"] == explorer.model_id
    assert [base64.b64decode(view) for view in kept["views"]] == explorer._views
    assert 'src="data:image/png' not in page  # state is there: a widget takes the picture's place
    assert words_of(page).count("Explorer of sample.dia2trace") == 1
    assert ".dia2-instead" in style()  # where an explorer is drawn, its style hides the line


def test_a_run_that_was_followed_is_kept_when_it_is_over(tmp_path: Path) -> None:
    with capture_output() as captured, follow(tmp_path / "run.dia2trace") as explorer:
        Dia2.nano().generate("[S1] Hello.", seed=1)
    first, text, script = cell_with(captured).outputs
    assert "image/png" not in first.data
    assert first.data["text/plain"] == "<LiveExplorer of a run in progress>"
    assert text.data["text/plain"].splitlines()[1].startswith("<LiveExplorer of run.dia2trace: ")
    assert set(text.data) == {"text/html", "text/plain", "image/png"}  # for print; pages take the text
    kept = json.loads(re.findall(r"revive\(at, (\{.*\})\);", script.data[_SCRIPT])[0])
    assert [base64.b64decode(view) for view in kept["views"]] == explorer._views


def image_of(data: bytes | None) -> Any:
    assert data is not None
    return Image.open(io.BytesIO(data))


def test_the_picture_shows_sound_and_words() -> None:
    drawn = image_of(picture_of(sample()))
    assert drawn.size == (700, 276)
    colours = {colour for _, colour in drawn.convert("RGB").getcolors(1 << 16)}
    assert {(0, 114, 178), (214, 232, 243), (204, 121, 167), (246, 227, 237)} <= colours  # both speakers' words


def test_the_picture_shows_where_one_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    assert picture_of(sample()) == picture_of(sample(), call=70)  # all of it is to be seen
    monkeypatch.setattr(picture, "_LINE", 1.0)
    assert picture_of(sample()) != picture_of(sample(), call=70)


def test_the_picture_is_of_the_grid_where_there_is_no_sound(tmp_path: Path) -> None:
    stopped = load(changed(tmp_path / "stopped", status="running", result=None, audio=None))
    drawn = image_of(picture_of(stopped))
    assert drawn.size == (700, 28 + 8 * 10 + 10)
    colours = {colour for _, colour in drawn.convert("RGB").getcolors(1 << 16)}
    assert (238, 241, 245) in colours  # cells that hold no code
    assert min(red for red, _, _ in colours) < 20  # as dark as the highest code
    assert picture_of(sample().redact(tmp_path / "mute.dia2trace", voice=True)) is None


def test_there_is_a_picture_of_a_run_without_words() -> None:
    assert image_of(picture_of(load(recorded_dia()))).size == (700, 28 + 60 + 24)


def test_without_pillow_there_is_no_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture, "find_spec", lambda name: None)
    assert picture_of(sample()) is None
    assert "image/png" not in cell_of(sample().explore()).outputs[0].data
