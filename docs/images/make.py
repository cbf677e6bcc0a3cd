"""Draws the pictures of README and docs from runs of the embedded checkpoint, and of the example of a third model.

`python docs/images/make.py` draws all of them; `python docs/images/make.py explorer run.html` writes the explorer of
the sample trace, which the site shows; `sweep` and `serve` draw those pictures alone. Pictures
of pages are taken by the Chromium of the tests.
"""

from __future__ import annotations

import io
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from dia2 import Dia2
from dia2.inspect import load, record, sample, sweep_to_html
from dia2.inspect.sweeps.plan import Plan
from dia2.inspect.sweeps.sweep import make
from dia2.inspect.views.console import print_frame

HERE = Path(__file__).parent
CALL = 11
SIZE = {"width": 1280, "height": 800}


def draw_frame(folder: Path) -> None:
    """Draw one call as the terminal shows it."""
    console = Console(record=True, width=92, file=io.StringIO(), force_terminal=True)
    path = folder / "run.dia2trace"
    Dia2.nano(device="cpu").generate("[S1] Hello there. [S2] Hi!", cfg_scale=2.0, seed=7, trace=path)
    print_frame(load(path), console, CALL, times=False)
    svg = console.export_svg(title=f"dia2 trace frames run.dia2trace --call {CALL}")
    svg = re.sub(r',\s*url\("https?:[^)]*\) format\("\w+"\)', "", svg)  # a picture asks nobody for its font
    (HERE / "trace-frame.svg").write_text(svg, encoding="utf-8")


def write_explorer(path: Path) -> None:
    """Write the explorer of the sample trace, open at a word in its middle."""
    trace = sample()
    calls = [word.call for word in trace.words if word.call is not None]
    trace.to_html(path, call=calls[len(calls) * 2 // 3])


def write_csm(folder: Path) -> Path:
    """Write the explorer of a run of the tiny CSM in examples/csm_adapter, open in the middle of its frames."""
    import torch
    from csm_adapter.speaking import Settings, speak
    from csm_adapter.tiny import tiny

    path = folder / "csm.dia2trace"
    with record(path):
        speak(tiny(), torch.arange(10, 19)[None], Settings(seed=1, most_frames=40))
    return load(path).to_html(folder / "csm.html", call=24)


def write_sweep(folder: Path) -> Path:
    """Write the explorer of a sweep of two scripts: 144 runs, in a minute."""
    grid = {
        "script": ["[S1] Hello there. How are you today? [S2] Fine, thank you.", "[S1] Good morning, all of you."],
        "seed": list(range(1, 9)),
        "cfg_scale": [1, 2, 3],
        "temperature": [0.4, 0.8, 1.2],
    }
    make(Plan(grid, {"nano": True, "device": "cpu"}), folder / "voices")
    return sweep_to_html(folder / "voices", folder / "sweep.html")


def draw_explorer(
    page_path: Path, picture_path: Path, *, ready: str = ".grid canvas", keys: Sequence[str] = ()
) -> None:
    """Take the picture of an explorer, when there is what is `ready`, and after some keys."""
    sys.path.insert(0, str(HERE.parents[1]))
    from tests.support.browser import launched  # only this needs it

    with launched() as browser:
        page = browser.new_page(viewport=SIZE)
        page.goto(f"{page_path.as_uri()}#theme=light")  # a link: the tour does not begin
        page.locator(f"#explorer.dia2-explorer {ready}").first.wait_for()
        for key in keys:
            page.keyboard.press(key)
        page.evaluate("document.activeElement.blur()")
        page.wait_for_timeout(500)  # the canvases are drawn with the next frames
        picture = page.screenshot()
    _save(picture, picture_path)


def _save(picture: bytes, path: Path) -> None:
    """Keep a picture with few colours: a third of the bytes."""
    from PIL import Image

    Image.open(io.BytesIO(picture)).convert("RGB").quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)


def draw_serve() -> None:
    """Take the picture of the server's page after it has spoken."""
    sys.path.insert(0, str(HERE.parents[1]))
    from tests.serve.conftest import served
    from tests.support.browser import launched

    with served(tts=Dia2.nano(device="cpu"), model="nano") as client, launched() as browser:
        page = browser.new_page(viewport=SIZE, color_scheme="light")
        page.goto(str(client.base_url))
        page.fill("#seed", "1")
        page.click("#go")
        page.locator("#go:not([disabled])").wait_for(timeout=120_000)
        page.locator("#explorer .curves canvas, #explorer .words canvas").first.wait_for()
        page.wait_for_timeout(2000)  # the whole run takes the place of what was shown while it was spoken
        _save(page.screenshot(), HERE / "serve.png")


def draw_sweep(folder: Path) -> None:
    """Take the picture of a sweep's charts, with one of its runs beside them."""
    draw_explorer(write_sweep(folder), HERE / "sweep.png", ready=".table-row", keys=[*["ArrowDown"] * 5, "2"])


def main(arguments: list[str]) -> None:
    """Record, draw, write."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if arguments[:1] == ["explorer"]:
            write_explorer(Path(arguments[1]))
        elif arguments[:1] == ["sweep"]:
            draw_sweep(folder)
        elif arguments[:1] == ["serve"]:
            draw_serve()
        else:
            draw_frame(folder)
            write_explorer(folder / "run.html")
            draw_explorer(folder / "run.html", HERE / "explorer.png")
            draw_explorer(write_csm(folder), HERE / "csm.png")
            draw_sweep(folder)
            draw_serve()


if __name__ == "__main__":
    main(sys.argv[1:])
