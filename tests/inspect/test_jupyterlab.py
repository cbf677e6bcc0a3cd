"""Notebooks in a real browser: the explorer appears, plays and follows a run in JupyterLab; and three other hosts."""

from __future__ import annotations

import json
import shutil
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ..support.browser import ink, keep_picture, launched, needs_chromium
from ..support.jupyter import EXPLORER, Classic, Notebook, Notebook7, jupyter, until, written

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lab")


@pytest.fixture(scope="module")
def lab(folder: Path) -> Iterator[str]:
    with jupyter(folder) as address:
        yield address


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
    notebook = Notebook(browser, lab, written(folder / "live.ipynb", textwrap.dedent(source).strip()))
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


def test_a_sweep_is_looked_at_heard_and_a_run_opens_below(browser: Any, lab: str, folder: Path) -> None:
    source = """
        from dia2 import Dia2
        from dia2.inspect import sweep
        sweep(Dia2.nano(), "[S1] Good morning.", "runs", seeds=(1, 2), cfg_scales=(1, 3)).explore()
    """
    notebook = Notebook(browser, lab, written(folder / "sweep.ipynb", textwrap.dedent(source).strip()))
    page = notebook.page
    notebook.run_all()
    notebook.until(f"{EXPLORER}?.dia2?.board !== undefined")
    page.locator(".table-row[aria-rowindex='3']").click()
    notebook.key("Space")
    notebook.until("document.querySelector('.run-pane .go').textContent === 'Stop'", 30)
    notebook.until("document.querySelector('.foot .told').textContent.startsWith('Heard: ')", 30)
    keep_picture(page, "jupyterlab-sweep")
    notebook.key("Enter")
    notebook.until("document.querySelectorAll('.dia2-explorer').length === 2", 30)
    below = "document.querySelectorAll('.dia2-explorer')[1]"
    notebook.until(f"{below}.dia2?.data !== undefined", 30)
    assert page.evaluate(f"{below}.dia2.data.header.name").startswith(page.inner_text(".run-pane code"))
    assert page.locator(".jp-Notebook .jp-Cell").count() == 1  # Enter is not the notebook's
    page.locator(".dia2-explorer").nth(1).scroll_into_view_if_needed()
    keep_picture(page, "jupyterlab-sweep-opened")
    assert notebook.failed() == []
    assert notebook.wrong == []


def test_a_note_goes_beside_the_trace_and_files_are_saved(browser: Any, lab: str, folder: Path) -> None:
    source = """
        import shutil
        from dia2.inspect import load, sample
        shutil.copytree(sample().path, "noted.dia2trace", dirs_exist_ok=True)
        load("noted.dia2trace").explore(call=30)
    """
    notebook = Notebook(browser, lab, written(folder / "noted.ipynb", textwrap.dedent(source).strip()))
    page = notebook.page
    notebook.run_all()
    notebook.until(f"{EXPLORER}?.dia2 !== undefined")
    notebook.key("m")
    notebook.until("document.activeElement.tagName === 'TEXTAREA'", 10)
    page.keyboard.type("Odd: x a d d\nfrom here")  # keys that the notebook would take
    page.keyboard.press("Control+Enter")
    notebook.until(f"{EXPLORER}.dia2.store.state.notes[0]?.kept === true", 30)
    kept = json.loads((folder / "noted.dia2trace" / "notes.json").read_text(encoding="utf-8"))
    assert kept["notes"] == [{"call": 30, "text": "Odd: x a d d\nfrom here"}]
    assert page.locator(".jp-Notebook .jp-Cell").count() == 1
    for name, end in (("Save the table (CSV)", "noted.csv"), ("Save the sound (WAV)", "noted.wav")):
        page.locator(".dia2-explorer").get_by_role("button", name="Export").click()
        with page.expect_download() as started:
            page.locator(".dia2-explorer").get_by_role("button", name=name).click()
        assert started.value.suggested_filename == end
    page.get_by_role("button", name="Delete the note at call 30").click()
    until(lambda: not (folder / "noted.dia2trace" / "notes.json").exists(), 30, lambda: notebook.wrong)
    assert notebook.failed() == []
    assert notebook.wrong == []


@pytest.mark.parametrize("host", [Notebook, Notebook7, Classic])
def test_keys_pressed_in_the_explorer_are_not_the_notebooks(
    browser: Any, lab: str, folder: Path, host: type[Notebook]
) -> None:
    name = written(
        folder / f"{host.__name__}.ipynb", "from dia2.inspect import sample\nsample().explore()", "1 + 1", "2 + 2"
    )
    notebook = host(browser, lab, name)
    page = notebook.page
    notebook.run()
    notebook.until(f"{EXPLORER}?.dia2 !== undefined")
    page.locator(".dia2-explorer canvas").first.click(position={"x": 60, "y": 20})
    active = notebook.active()
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
    for key, shown in (("t", ".tour"), ("p", ".present")):
        page.locator(".dia2-explorer").focus()
        page.keyboard.press(key)
        page.locator(shown).wait_for()
        for pressed in ["x", "a", "d", "d", "0", "0", "ArrowRight", "PageDown", ".", "ArrowDown", "j"]:
            page.keyboard.press(pressed)
        page.keyboard.press("Escape")  # leaves it, and not the explorer
        page.locator(shown).wait_for(state="hidden")
    assert page.locator(notebook.CELLS).count() == 3
    assert page.locator(".dia2-explorer").count() == 1
    assert notebook.active() == active
    assert not any(shown.is_visible() for shown in page.locator(".dia2-instead").all())  # the explorer stands there
    notebook.key("Home")
    notebook.shown("call", 0)
    page.click(".dia2-explorer .play")
    notebook.until(f"{EXPLORER}.dia2.store.state.call > 3", 20)
    page.click(".dia2-explorer .play")
    if host is not Classic:  # which hears no key at all while a widget has the focus
        page.locator(".dia2-explorer").focus()
        page.keyboard.press("Escape")
        page.keyboard.press("Control+s")  # the notebook's, and it still has it
        notebook.until("!window.jupyterapp.shell.currentWidget.context.model.dirty", 20)
    assert notebook.wrong == []
    keep_picture(page, f"keys-{host.__name__.lower()}")


def test_voila_shows_the_explorer_and_it_plays(browser: Any, lab: str, folder: Path) -> None:
    name = written(folder / "voila.ipynb", "from dia2.inspect import sample\nsample().explore()")
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(f"{lab}/voila/render/{name}", timeout=120_000)
    page.wait_for_function(f"{EXPLORER}?.dia2 !== undefined", timeout=120_000)
    page.click(".dia2-explorer .play")
    page.wait_for_function(f"{EXPLORER}.dia2.store.state.call > 3", timeout=20_000)
    assert page.locator("[data-dia2-explorer]").count() == 1
    keep_picture(page, "voila")


def test_a_saved_notebook_shows_one_explorer_whatever_became_of_its_kernel(
    browser: Any, lab: str, folder: Path
) -> None:
    written(folder / "saved.ipynb", "from dia2.inspect import sample\nsample().explore(call=40)")
    count = "document.querySelectorAll('[data-dia2-explorer]').length"
    notebook = Notebook(browser, lab, "saved.ipynb")
    notebook.run_all()
    notebook.until(f"{EXPLORER}?.dia2 !== undefined")
    notebook.page.evaluate("window.jupyterapp.commands.execute('docmanager:save')")
    notebook.until("!window.jupyterapp.shell.currentWidget.context.model.dirty", 20)
    notebook.page.wait_for_timeout(4_000)  # longer than what is kept waits for a widget
    assert notebook.page.evaluate(count) == 1
    assert notebook.page.locator("[data-dia2-saved]").count() == 0
    assert (folder / "saved.ipynb").stat().st_size < 400_000
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
