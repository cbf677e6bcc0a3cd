"""The course as it is saved: valid, run from top to bottom, with something to read beside every widget."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
COURSE = sorted((ROOT / "notebooks").glob("*.ipynb"))
ALL = [*COURSE, *sorted((ROOT / "docs").glob("*.ipynb"))]
WIDGET = "application/vnd.jupyter.widget-view+json"
SHOWN = re.compile(r"^(explorer|lab|.*\.(explore|lab)\(.*\))$")  # the last line of a cell that shows a widget


def read(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


def code(path: Path) -> list[Any]:
    return cells_of(read(path))


def test_the_course_is_whole() -> None:
    assert [path.name[:2] for path in COURSE] == [f"{number:02d}" for number in range(len(COURSE))]
    assert len(COURSE) >= 10


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_a_notebook_is_saved_as_it_ran(path: Path) -> None:
    notebook = read(path)
    nbformat.validate(notebook)
    assert notebook["metadata"].keys() == {"kernelspec", "language_info"}  # no state of widgets
    cells = code(path)
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    for cell in cells:
        for output in cell["outputs"]:
            assert WIDGET not in output.get("data", {})
            assert output["output_type"] != "error"
            assert output.get("name") != "stderr", "warnings and progress are no part of a notebook"


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_a_notebook_shows_no_machine_and_loads_nothing(path: Path) -> None:
    text = path.read_text("utf-8")
    assert len(text) < 600_000
    for cell in code(path):
        said = json.dumps([{**output, "data": {}} | {"texts": texts(output)} for output in cell["outputs"]])
        assert not re.search(r"/tmp/|/home/|/root/|/work/|0x[0-9a-f]{6,}", said), said
    assert "<script src=" not in text


def texts(output: Any) -> list[str]:
    """What of an output can be read."""
    return ["".join(value) for kind, value in output.get("data", {}).items() if kind.startswith("text/plain")]


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_a_picture_or_widget_has_words_beside_it(path: Path) -> None:
    for cell in code(path):
        pictures = any("image/png" in output.get("data", {}) for output in cell["outputs"])
        last = "".join(cell["source"]).strip().splitlines()[-1]
        if pictures or SHOWN.match(last):
            printed = [output for output in cell["outputs"] if output["output_type"] == "stream"]
            plain = [text for output in cell["outputs"] for text in texts(output) if "object at" not in text]
            assert printed or any(not text.startswith("<Figure") for text in plain), last


@pytest.mark.parametrize("path", COURSE, ids=lambda path: path.stem)
def test_a_lesson_asks_lets_try_and_checks(path: Path) -> None:
    prose = "\n".join("".join(cell["source"]) for cell in read(path)["cells"] if cell["cell_type"] == "markdown")
    assert prose.startswith("# ")
    for part in ("question", "change", "exercise", "solution"):
        assert part in prose.lower(), part
    checked = "\n".join("".join(output.get("text", "")) for cell in code(path) for output in cell["outputs"])
    assert "Right" in checked


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("number", ["12", "13", "14"])
def test_a_lesson_on_activations_runs_with_many_runs(number: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Saved and compared they have few runs, so that they take a minute; what they say has to hold of more."""
    (path,) = (path for path in COURSE if path.name.startswith(number))
    monkeypatch.setenv("DIA2_LESSON_SCALE", "4")
    notebook = runpy.run_path(str(ROOT / "notebooks" / "save.py"))["run"](path, timeout=1200)
    few, many = ([printed(cell) for cell in cells] for cells in (code(path), cells_of(notebook)))
    assert "Right" in many[-1]  # the solution
    assert next(text for text in few if text) != next(text for text in many if text)  # the first print tells n


def cells_of(notebook: Any) -> list[Any]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def printed(cell: Any) -> str:
    return "".join("".join(output.get("text", "")) for output in cell["outputs"])


@pytest.mark.slow
def test_a_changed_output_is_found(tmp_path: Path) -> None:
    """nbval, as `make notebooks` calls it, fails when a notebook prints something else than it was saved with."""
    notebook = nbformat.v4.new_notebook()
    for said in ("42\n", "43\n"):
        cell = nbformat.v4.new_code_cell("print(6 * 7)", execution_count=1)
        cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text=said)]
        notebook.cells.append(cell)
    path = tmp_path / "lesson.ipynb"
    nbformat.write(notebook, path)
    command = [sys.executable, "-m", "pytest", "--nbval", "-p", "no:cacheprovider", "-c", "/dev/null", str(path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "1 failed, 1 passed" in done.stdout
    assert "43" in done.stdout
