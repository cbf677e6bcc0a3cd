"""The quickstart in a real JupyterLab and a real browser: the explorer appears, plays, and follows a run."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import textwrap
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest

from ..support.browser import ink, keep_picture, launched, needs_chromium

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
EXPLORER = "document.querySelector('.dia2-explorer')"
SECONDS = 180  # for everything that a kernel has to do; it loads torch first

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lab")


@pytest.fixture(scope="module")
def lab(folder: Path) -> Iterator[str]:
    """The address of a JupyterLab that serves `folder`, and nothing of the user's own settings."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {f"JUPYTER_{name}_DIR": str(folder / f".{name.lower()}") for name in ("CONFIG", "DATA", "RUNTIME")}
    own |= {f"JUPYTERLAB_{name}_DIR": str(folder / f".{name.lower()}") for name in ("SETTINGS", "WORKSPACES")}
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}"]
    command += ["--ServerApp.port_retries=0", "--IdentityProvider.token=", "--LabApp.expose_app_in_browser=True"]
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


def until(condition: Any, seconds: float, said: Any) -> None:
    """Wait until `condition()` is true; what `said()` gives explains why it did not become so."""
    end = monotonic() + seconds
    while not condition():
        assert monotonic() < end, said()
        sleep(0.1)


class Notebook:
    """A notebook that is open in JupyterLab."""

    def __init__(self, browser: Any, address: str, name: str) -> None:
        self.page = browser.new_page(viewport={"width": 1280, "height": 900})
        self.wrong: list[str] = []
        self.page.on("console", lambda said: self.wrong.extend([said.text] if said.type == "error" else []))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.goto(f"{address}/lab/tree/{name}?reset")
        self.until("window.jupyterapp?.shell?.currentWidget?.content?.widgets?.length > 0", 60)
        self.until("window.jupyterapp.shell.currentWidget.sessionContext.session?.kernel?.status === 'idle'", 60)

    def until(self, condition: str, seconds: float = SECONDS) -> None:
        until(lambda: self.page.evaluate(condition), seconds, lambda: f"not {condition}; {self.wrong}")

    def run_all(self) -> None:
        self.page.evaluate("void window.jupyterapp.commands.execute('notebook:run-all-cells')")

    def state(self, name: str) -> Any:
        return self.page.evaluate(f"{EXPLORER}.dia2.store.state.{name}")

    def failed(self) -> list[str]:
        """Tracebacks on the page."""
        return [str(text) for text in self.page.locator(".jp-RenderedText[data-mime-type*=error]").all_inner_texts()]

    def key(self, name: str) -> None:
        self.page.focus(".dia2-explorer")
        self.page.keyboard.press(name)

    def shown(self, name: str, value: Any) -> None:
        """Wait until the explorer's state is this."""
        self.until(f"{EXPLORER}.dia2.store.state.{name} === {json.dumps(value)}", 10)


@pytest.fixture
def browser() -> Iterator[Any]:
    with launched() as found:
        yield found


def test_the_quickstart_runs_and_its_explorer_plays(browser: Any, lab: str, folder: Path) -> None:
    shutil.copy(NOTEBOOKS / "00_quickstart.ipynb", folder)
    notebook = Notebook(browser, lab, "00_quickstart.ipynb")
    notebook.run_all()
    notebook.until(f"{EXPLORER}?.dia2 !== undefined")
    page = notebook.page
    page.evaluate(f"{EXPLORER}.scrollIntoView()")
    notebook.key("ArrowRight")
    notebook.shown("call", 1)
    notebook.key("Home")
    page.click(".dia2-explorer .play")
    notebook.until(f"{EXPLORER}.dia2.store.state.call > 3", 20)
    page.click(".dia2-explorer .play")
    notebook.shown("playing", False)
    page.focus(".dia2-explorer input[type=range]")
    page.keyboard.press("End")
    last = page.evaluate(f"{EXPLORER}.dia2.data.calls") - 1
    notebook.shown("call", last)
    box = page.locator(".dia2-explorer .grid canvas").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 4)
    notebook.until(f"{EXPLORER}.dia2.store.state.cell !== null", 10)
    # The kernel answers with the sound of one codebook.
    notebook.until("window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.status === 'idle'")
    page.select_option(".dia2-explorer .hear", label="codebook 0 alone")
    notebook.until("document.querySelector('.dia2-explorer .hear').getAttribute('aria-busy') === null", 60)
    assert notebook.failed() == []
    assert notebook.wrong == []
    for width, theme in ((1280, "Light"), (800, "Dark"), (800, "Light")):
        page.set_viewport_size({"width": width, "height": 900})
        page.evaluate(f"window.jupyterapp.commands.execute('apputils:change-theme', {{theme: 'JupyterLab {theme}'}})")
        notebook.until(f"{EXPLORER}.dataset.theme === '{theme.lower()}'", 20)
        # Lab hides its page while the theme changes: what is drawn must be of the new one when it is seen again.
        notebook.until(f"{ink(EXPLORER)} {'<' if theme == 'Light' else '>'} 128", 20)
        page.evaluate(f"{EXPLORER}.scrollIntoView()")
        keep_picture(page, f"jupyterlab-{width}-{theme.lower()}")


def test_a_run_is_followed_while_the_kernel_is_busy(browser: Any, lab: str, folder: Path) -> None:
    source = """
        from dia2 import Dia2
        from dia2.inspect import follow
        tts = Dia2.nano()
        with follow("live.dia2trace"):
            tts.generate("[S1] Hello there. How are you today? [S2] Not too bad, thank you.", seed=1)
    """
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    cell: dict[str, Any] = {"cell_type": "code", "id": "run", "metadata": {}, "outputs": [], "execution_count": None}
    cell["source"] = textwrap.dedent(source).strip()
    made = {"cells": [cell], "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    (folder / "live.ipynb").write_text(json.dumps(made))
    notebook = Notebook(browser, lab, "live.ipynb")
    notebook.run_all()
    notebook.until(f"{EXPLORER}?.dia2?.data.header.live === true")
    calls = f"{EXPLORER}.dia2.data.calls"
    first, call = notebook.page.evaluate(f"[{calls}, {EXPLORER}.dia2.store.state.call]")
    assert call == first - 1
    notebook.until(f"{calls} > {first + 4} && {EXPLORER}.dia2.store.state.call === {calls} - 1", 20)
    notebook.key("Home")  # who looks elsewhere is left there
    notebook.shown("call", 0)
    looked = notebook.page.evaluate(calls)
    notebook.until(f"{calls} > {looked + 2}", 20)
    assert notebook.state("call") == 0
    notebook.until(f"{EXPLORER}.dia2.data.header.live === undefined")
    assert notebook.page.evaluate(f"{EXPLORER}.dia2.data.header.sounds.length") == 1
    assert notebook.failed() == []
    assert notebook.wrong == []


def test_keys_pressed_in_the_explorer_are_not_the_notebooks(browser: Any, lab: str, folder: Path) -> None:
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    sources = ["from dia2.inspect import sample\nsample().explore()", "1 + 1", "2 + 2"]
    cells: list[dict[str, Any]] = [
        {
            "cell_type": "code",
            "id": f"cell-{i}",
            "metadata": {},
            "outputs": [],
            "execution_count": None,
            "source": source,
        }
        for i, source in enumerate(sources)
    ]
    made = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    (folder / "keys.ipynb").write_text(json.dumps(made))
    notebook = Notebook(browser, lab, "keys.ipynb")
    page = notebook.page
    page.evaluate("void window.jupyterapp.commands.execute('notebook:run-cell')")
    notebook.until(f"{EXPLORER}?.dia2 !== undefined")
    active = (
        "[...document.querySelectorAll('.jp-Notebook .jp-Cell')].findIndex((cell) => cell.matches('.jp-mod-active'))"
    )
    page.locator(".dia2-explorer canvas").first.click(position={"x": 60, "y": 20})
    for key in ["x", "a", "b", "d", "d", "m", "z", "Shift+Enter", "Enter", "0", "0"]:
        page.keyboard.press(key)
    controls = [
        "button.play",
        "select.hear",
        ".scrub input",
        "input[type=search]",
        ".pane.draw select",
        ".tabs button",
    ]
    for control in controls:
        page.locator(f".dia2-explorer {control}").first.focus()
        for key in ["x", "a", "d", "d", "m", "ArrowDown", "ArrowUp", "j"]:
            page.keyboard.press(key)
    assert page.locator(".jp-Notebook .jp-Cell").count() == 3
    assert page.locator(".dia2-explorer").count() == 1
    assert page.evaluate(active) == 0
    assert page.locator(".dia2-instead").count() == 1
    assert not page.locator(".dia2-instead").is_visible()  # the explorer stands there
    page.locator(".dia2-explorer").focus()
    page.keyboard.press("Escape")
    page.keyboard.press("Control+s")  # the notebook's, and it still has it
    notebook.until("!window.jupyterapp.shell.currentWidget.context.model.dirty", 20)
    assert notebook.wrong == []


def test_a_saved_notebook_shows_one_explorer_whatever_became_of_its_kernel(
    browser: Any, lab: str, folder: Path
) -> None:
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    cell: dict[str, Any] = {"cell_type": "code", "id": "run", "metadata": {}, "outputs": [], "execution_count": None}
    cell["source"] = "from dia2.inspect import sample\nsample().explore(call=40)"
    made = {"cells": [cell], "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    (folder / "saved.ipynb").write_text(json.dumps(made))
    count = "document.querySelectorAll('[data-dia2-explorer]').length"
    notebook = Notebook(browser, lab, "saved.ipynb")
    notebook.run_all()
    notebook.until(f"{EXPLORER}?.dia2 !== undefined")
    notebook.page.evaluate("window.jupyterapp.commands.execute('docmanager:save')")
    notebook.until("!window.jupyterapp.shell.currentWidget.context.model.dirty", 20)
    notebook.page.wait_for_timeout(4_000)  # longer than what is kept waits for a widget
    assert notebook.page.evaluate(count) == 1
    assert notebook.page.locator("[data-dia2-saved]").count() == 0
    assert (folder / "saved.ipynb").stat().st_size < 300_000
    notebook.page.close()

    notebook = Notebook(browser, lab, "saved.ipynb")  # its kernel is alive
    notebook.until(f"{EXPLORER}?.dia2 !== undefined", 20)
    notebook.page.wait_for_timeout(4_000)
    assert notebook.page.evaluate(count) == 1
    assert notebook.page.locator("[data-dia2-saved]").count() == 0
    notebook.page.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.restartKernel()")
    notebook.page.close()

    notebook = Notebook(browser, lab, "saved.ipynb")  # and now it knows nothing of the widget
    notebook.until(f"{EXPLORER}?.dia2 !== undefined", 20)
    assert notebook.page.evaluate(count) == 1
    assert notebook.page.locator("[data-dia2-saved]").count() == 1
    notebook.key("ArrowRight")
    notebook.shown("call", 41)
    notebook.page.click(".dia2-explorer .play")
    notebook.until(f"{EXPLORER}.dia2.store.state.call > 44", 20)
    keep_picture(notebook.page, "jupyterlab-saved")
    notebook.page.close()

    content = json.loads((folder / "saved.ipynb").read_text())
    content["cells"][0]["outputs"][0]["data"]["text/plain"] = ["changed by somebody else"]
    (folder / "theirs.ipynb").write_text(json.dumps(content))  # which this Lab does not trust
    notebook = Notebook(browser, lab, "theirs.ipynb")
    notebook.until("document.querySelector('.dia2-instead')?.offsetHeight > 0", 20)
    assert notebook.page.locator(".jp-OutputArea-output img").is_visible()
    notebook.page.wait_for_timeout(4_000)
    assert notebook.page.evaluate(count) == 0
    assert notebook.wrong == []
