"""A Jupyter server for tests, and a notebook that is open in JupyterLab, in Notebook 7 or in the classic notebook."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from .ports import free_port

EXPLORER = "document.querySelector('.dia2-explorer')"
SECONDS = 180  # for everything that a kernel has to do; it loads torch first
_APPS = ("LabApp", "JupyterNotebookApp")


@contextmanager
def jupyter(folder: Path) -> Iterator[str]:
    """The address of a server of `folder` for all of them and Voila, with nothing of the user's own settings."""
    port = free_port()
    own = {f"JUPYTER_{name}_DIR": str(folder / f".{name.lower()}") for name in ("CONFIG", "DATA", "RUNTIME")}
    own |= {f"JUPYTERLAB_{name}_DIR": str(folder / f".{name.lower()}") for name in ("SETTINGS", "WORKSPACES")}
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}"]
    command += ["--ServerApp.port_retries=0", "--IdentityProvider.token="]
    command += [f"--{app}.expose_app_in_browser=True" for app in _APPS]
    command += ["--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    asks = folder / ".settings" / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    asks.parent.mkdir(parents=True)
    asks.write_text('{"fetchNews": "false"}')
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(command, cwd=folder, env=os.environ | own, stdout=log, stderr=subprocess.STDOUT)
    try:
        address = f"http://127.0.0.1:{port}"
        until(lambda: answers(f"{address}/api/status"), 60, lambda: (folder / "server.log").read_text())
        yield address
    finally:
        server.terminate()
        server.wait(20)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except (urllib.error.URLError, ConnectionError):
        return False


def until(condition: Callable[[], Any], seconds: float, said: Callable[[], object]) -> None:
    """Wait until `condition()` is true; what `said()` gives explains why it did not become so."""
    end = monotonic() + seconds
    while not condition():
        assert monotonic() < end, said()
        sleep(0.1)


def written(path: Path, *sources: str) -> str:
    """Write a notebook of these cells, and give its name."""
    cells: list[dict[str, Any]] = [
        {"cell_type": "code", "id": f"cell-{i}", "metadata": {}, "outputs": [], "execution_count": None, "source": text}
        for i, text in enumerate(sources)
    ]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    path.write_text(
        json.dumps({"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5})
    )
    return path.name


class Notebook:
    """A notebook that is open in JupyterLab."""

    PLACE = "lab/tree/{}?reset"
    CELLS = ".jp-Notebook .jp-Cell"
    ACTIVE = "jp-mod-active"
    READY = "window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
    RUN = "void window.jupyterapp.commands.execute('notebook:run-cell')"

    def __init__(self, browser: Any, address: str, name: str) -> None:
        self.page = browser.new_page(viewport={"width": 1280, "height": 900})
        self.wrong: list[str] = []
        self.page.on("console", lambda said: self.wrong.extend([said.text] if said.type == "error" else []))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.goto(f"{address}/{self.PLACE.format(name)}")
        self.until(f"document.querySelectorAll('{self.CELLS}').length > 0", 60)
        self.until(self.READY, 60)
        self.wrong.clear()  # what the host says while it starts is its own

    def until(self, condition: str, seconds: float = SECONDS) -> None:
        until(lambda: self.page.evaluate(condition), seconds, lambda: f"not {condition}; {self.wrong}")

    def run(self) -> None:
        """Run the first cell."""
        self.page.evaluate(self.RUN)

    def run_all(self) -> None:
        self.page.evaluate("void window.jupyterapp.commands.execute('notebook:run-all-cells')")

    def state(self, name: str) -> Any:
        return self.page.evaluate(f"{EXPLORER}.dia2.store.state.{name}")

    def active(self) -> int:
        """Which cell is."""
        cells = f"[...document.querySelectorAll('{self.CELLS}')]"
        return int(self.page.evaluate(f"{cells}.findIndex((cell) => cell.matches('.{self.ACTIVE}'))"))

    def failed(self) -> list[str]:
        """Tracebacks on the page."""
        return [str(text) for text in self.page.locator(".jp-RenderedText[data-mime-type*=error]").all_inner_texts()]

    def key(self, name: str) -> None:
        self.page.focus(".dia2-explorer")
        self.page.keyboard.press(name)

    def shown(self, name: str, value: Any) -> None:
        """Wait until the explorer's state is this."""
        self.until(f"{EXPLORER}.dia2.store.state.{name} === {json.dumps(value)}", 10)


class Notebook7(Notebook):
    """The same in Notebook 7."""

    PLACE = "notebooks/{}"


class Classic(Notebook):
    """The same in the classic notebook."""

    PLACE = "nbclassic/notebooks/{}"
    CELLS = ".cell"
    ACTIVE = "selected"
    READY = "Boolean(window.Jupyter?.notebook?.kernel?.is_connected?.())"
    RUN = "Jupyter.notebook.select(0), Jupyter.notebook.execute_cell()"
