"""A cell with an explorer, where nothing can draw it: a page made by nbconvert without a network, a saved notebook."""

from __future__ import annotations

import re

import nbformat
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from nbconvert import HTMLExporter

from dia2.inspect import sample
from dia2.inspect.explorer.bundle import style

from ..support.reference import engine

_VIEW = "application/vnd.jupyter.widget-view+json"


@pytest.fixture
def shell() -> InteractiveShell:
    return InteractiveShell.instance()


def cell_of(widget: object) -> nbformat.NotebookNode:
    """A cell whose value is the widget, with what it showed."""
    with capture_output() as captured:
        InteractiveShell.instance().display_formatter.format(widget)
    outputs = [
        nbformat.v4.new_output("display_data", part.data, metadata=part.metadata or {}) for part in captured.outputs
    ]
    return nbformat.v4.new_code_cell("sample().explore()", outputs=outputs)


@pytest.mark.usefixtures("shell")
def test_a_page_of_a_notebook_says_what_stood_there() -> None:
    cell = cell_of(sample().explore())
    assert [set(output.data) for output in cell.outputs] == [{_VIEW, "text/plain"}, {"text/html"}]
    assert len(str(cell.outputs[1])) < 1_000  # a saved notebook stays small
    page, _ = HTMLExporter().from_notebook_node(nbformat.v4.new_notebook(cells=[cell]))
    body = re.sub(r"(?s)<(script|style)\b.*?</\1>|<[^>]+>", " ", page[page.index("<body") :])
    assert "Explorer of sample.dia2trace: 51 calls, complete. This page cannot draw it" in " ".join(body.split())
    assert ".dia2-instead" in style()  # where an explorer is drawn, its style hides the line


@pytest.mark.usefixtures("shell")
def test_the_lab_says_so_too() -> None:
    from dia2.inspect import Trace

    from .test_console_trace import recorded

    cell = cell_of(Trace(recorded()).lab(engine("tiny8")))
    assert '<p class="dia2-instead">Lab of run.dia2trace' in cell.outputs[1].data["text/html"]
