"""A cell with an explorer, where nothing can draw it: a page made by nbconvert without a network, a saved notebook."""

from __future__ import annotations

import re
from typing import Any

import nbformat
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from nbconvert import HTMLExporter

from dia2.inspect import sample
from dia2.inspect.views.explorer.bundle import style

_VIEW, _STATE = (f"application/vnd.jupyter.widget-{kind}+json" for kind in ("view", "state"))


def cell_of(widget: object) -> Any:
    """A cell whose value is the widget, with what it showed."""
    shell: Any = InteractiveShell.instance()
    with capture_output() as captured:
        shell.display_formatter.format(widget)
    made = [(part.data, part.metadata or {}) for part in captured.outputs]
    outputs = [nbformat.v4.new_output("display_data", data, metadata=metadata) for data, metadata in made]
    return nbformat.v4.new_code_cell("sample().explore()", outputs=outputs)


def test_a_page_of_a_notebook_says_what_stood_there() -> None:
    cell = cell_of(sample().explore())
    assert [set(output.data) for output in cell.outputs] == [{_VIEW, "text/plain"}, {"text/html"}]
    assert len(str(cell.outputs[1])) < 1_000  # a saved notebook stays small
    notebook = nbformat.v4.new_notebook(cells=[cell])
    state = {cell.outputs[0].data[_VIEW]["model_id"]: {"model_name": "AnyModel", "model_module": "anywidget"}}
    notebook.metadata.widgets = {_STATE: {"version_major": 2, "version_minor": 0, "state": state}}
    page, _ = HTMLExporter().from_notebook_node(notebook)
    cell_on_it = page[page.index("jp-Cell-outputWrapper") :]
    shown = re.sub(r"(?s)<(script|style)\b.*?</\1>|<[^>]+>", " ", cell_on_it)
    told = "Explorer of sample.dia2trace: 77 calls, complete. This page cannot draw it: run the notebook's cell again"
    assert told in " ".join(shown.replace("&#x27;", "'").split())
    assert "&lt;Explorer" not in shown  # converters take the widget of its own output, and nothing beside it
    assert ".dia2-instead" in style()  # where an explorer is drawn, its style hides the line
