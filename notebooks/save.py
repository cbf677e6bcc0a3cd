"""Run notebooks and save them with what they print: `python notebooks/save.py [NOTEBOOK …]`, all of them by default.

What a widget leaves in a file is taken out: its state is large, makes files that GitHub refuses, and shows nothing
without a kernel. The text and the pictures beside it stay; the explorers that cells keep are left out as well.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from dia2.common.files import write_atomically

FOLDER = Path(__file__).parent
_VIEW = "application/vnd.jupyter.widget-view+json"


def run(path: Path, timeout: int = 300) -> nbformat.NotebookNode:
    """The notebook with its cells run anew, from top to bottom, in its own folder; each in `timeout` seconds at most.

    Raises:
        CellExecutionError: a cell raised what it did not announce by the tag `raises-exception`.
    """
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook,
        timeout=timeout,
        kernel_name="python3",
        coalesce_streams=True,  # else how output is cut depends on time
        resources={"metadata": {"path": str(path.parent)}},
    ).execute(env=os.environ | {"DIA2_EXPLORER_PAGE": "0"})
    return notebook


def without_widgets(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The notebook as it is saved: no widget state, no views of it, no times and ids of this run."""
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number:02d}"  # the same at every save, for small diffs
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", []):
            output.get("data", {}).pop(_VIEW, None)
    return notebook


def main(names: list[str]) -> int:
    """The command line; returns the exit code."""
    for path in [Path(name) for name in names] or sorted(FOLDER.glob("*.ipynb")):
        print(path.name, flush=True)
        try:
            notebook = without_widgets(run(path))
        except CellExecutionError as error:
            print(f"error: {path} was not saved: {error}", file=sys.stderr)
            return 1
        nbformat.validate(notebook)
        write_atomically(path, (nbformat.writes(notebook) + "\n").encode())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
