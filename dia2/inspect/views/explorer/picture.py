"""A small picture of a run, for places that run no script: print, and sites that show notebooks.

Drawn by Pillow, which matplotlib brings: every cell with an explorer waits for it, and a figure of `plots` takes twenty
times as long.
"""

from __future__ import annotations

import io
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from dia2.common.messages import printable
from dia2.common.wording import counted
from dia2.inspect.schema.view import PEAK_RATE, peaks
from dia2.inspect.trace.trace import Trace
from dia2.inspect.views.explorer.recordings import leave_out_given_codes
from dia2.inspect.views.explorer.sound import without_given
from dia2.inspect.views.explorer.view import view_of
from dia2.inspect.views.plots.page import GREY, INK, SPEAKER

_WIDTH, _LEFT, _RIGHT = 700, 28, 692  # pixels: of the picture, and between which its axes stand
_HEADING, _WAVE, _TIER, _AXIS = 28, 60, 20, 24  # pixels: heights
_LINE, _LINES = 4.5, 2  # seconds of sound in a line, in which most words have room for their letters
_COLUMNS, _CELL = 166, 10  # of the grid that are drawn, each 4 pixels wide; the height of its cells
_TINT = {1: "#d6e8f3", 2: "#f6e3ed"}
_EMPTY, _LOW, _HIGH = (238, 241, 245), (220, 233, 245), (11, 79, 134)  # cells of the grid, as in the explorer
_COLOURS = 32
_LONGEST = 60  # characters of a word that are looked at

Said = tuple[str, int, float, float]  # text, speaker, and the seconds from which to which it lasts


def picture(trace: Trace[Any], *, script: int = 0, call: int = 0, voice: bool = True) -> bytes | None:
    """The sound and its words around a call, or the grid where there is no sound, as PNG.

    Args:
        trace: what to draw.
        script: which, from 0.
        call: that is to be seen.
        voice: with what the sound, or the grid, holds of a prefix.

    Returns:
        None if there is neither sound nor grid, as in a redacted trace, or no Pillow.
    """
    if find_spec("PIL") is None:
        return None
    sound = None if "voice" in trace.redacted else trace.sound(script)
    if sound is not None and len(sound[0]):
        sound = sound if voice else without_given(trace, script, *sound)
        paper = _sound(trace, script, call, *sound)
    else:
        view = view_of(trace, script=script)
        if "grid" not in view.columns:
            return None
        if not voice:
            leave_out_given_codes(view)
        paper = _grid(trace.path.name, view.columns["grid"], view.header["grid"]["codes"], call)
    file = io.BytesIO()
    paper.image.quantize(_COLOURS).save(file, format="png", optimize=True)
    return file.getvalue()


class _Paper:
    """An image with a heading, and a pen."""

    def __init__(self, name: str, facts: str, height: int) -> None:
        from PIL import Image, ImageDraw

        self.image = Image.new("RGB", (_WIDTH, _HEADING + height), "white")
        self.pen = ImageDraw.Draw(self.image)
        self.font = _font()
        self.write(8, 8, printable(name), 400)
        self.pen.text((_RIGHT, 8), facts, GREY, self.font, anchor="ra")

    def write(self, x: float, y: float, text: str, room: float) -> None:
        """As much of a text as there is room for, with an ellipsis; nothing where one letter would be left."""
        shown = text
        while shown and self.font.getlength(shown) > room:
            text = text[:-1]
            shown = f"{text}…" if len(text) > 1 else ""
        self.pen.text((x, y), shown, INK, self.font)


def _font() -> Any:
    """The one that matplotlib comes with, since it knows more letters than Pillow's own."""
    from PIL import ImageFont

    plots = find_spec("matplotlib")
    folders = [] if plots is None else plots.submodule_search_locations or []
    for folder in folders:
        file = Path(folder) / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
        if file.exists():
            return ImageFont.truetype(str(file), 11)
    return ImageFont.load_default(11)


def _sound(trace: Trace[Any], script: int, call: int, samples: np.ndarray, rate: int) -> _Paper:
    whole = len(samples) / rate
    timed = [(word, word.seconds) for word in trace.timed_words(script) if word.seconds is not None]
    ends = [*(at for _, at in timed[1:]), whole][: len(timed)]
    said = [
        (printable(word.text[:_LONGEST]), word.speaker, at, end) for (word, at), end in zip(timed, ends, strict=True)
    ]
    begun = [at for word, at in timed if word.call is not None and word.call <= call]
    shown = min(whole, _LINES * _LINE)
    start = max(0.0, min(whole - shown, (begun[-1] if begun else 0.0) - _LINE / 2))
    lines = 1 if shown <= _LINE else _LINES
    speakers = sorted({speaker for _, speaker, _, _ in said})
    height = _WAVE + _TIER * len(speakers) + _AXIS
    drawn = f"{start:.1f} … {start + shown:.1f} s of " if shown < whole else ""
    paper = _Paper(trace.path.name, f"{drawn}{whole:.2f} s · {counted(len(said), 'word')}", lines * height)
    wave = peaks(samples, rate)
    for line in range(lines):
        span = (start + line * shown / lines, start + (line + 1) * shown / lines)
        top = _HEADING + line * height
        _draw_wave(paper, top, wave, span)
        for tier, speaker in enumerate(speakers):
            _draw_words(paper, top + _WAVE + tier * _TIER, [each for each in said if each[1] == speaker], span)
        _draw_seconds(paper, top + height - _AXIS, span)
    return paper


def _across(second: float, span: tuple[float, float]) -> float:
    """Where a second of a line stands, in pixels."""
    place = _LEFT + (second - span[0]) / (span[1] - span[0]) * (_RIGHT - _LEFT)
    return min(max(place, _LEFT), _RIGHT)


def _draw_wave(paper: _Paper, top: int, wave: np.ndarray, span: tuple[float, float]) -> None:
    """Least and largest sample [n, 2] of each hundredth of a second."""
    middle, scale = top + _WAVE / 2, (_WAVE / 2 - 3) / max(1, int(np.abs(wave).max()))
    paper.pen.line([(_LEFT, middle), (_RIGHT, middle)], GREY)
    first = round(span[0] * PEAK_RATE)
    for i, (low, high) in enumerate(wave[first : round(span[1] * PEAK_RATE)].tolist()):
        x, until = (_across((first + i + step) / PEAK_RATE, span) for step in (0, 1))
        paper.pen.rectangle([x, middle - high * scale, max(x, until - 1), middle - low * scale], GREY)


def _draw_words(paper: _Paper, top: int, said: list[Said], span: tuple[float, float]) -> None:
    """The words of a speaker."""
    for text, speaker, begins, ends in said:
        if begins >= span[1] or ends <= span[0]:
            continue
        left, right = _across(begins, span), _across(ends, span)
        edge = SPEAKER.get(speaker, GREY)
        paper.pen.rectangle([left, top, max(left, right - 2), top + _TIER - 4], _TINT.get(speaker, "#eeeeee"), edge)
        paper.write(left + 4, top + 1, text if begins >= span[0] else f"…{text}", right - left - 8)


def _draw_seconds(paper: _Paper, top: int, span: tuple[float, float]) -> None:
    paper.pen.line([(_LEFT, top), (_RIGHT, top)], GREY)
    for second in range(int(np.ceil(span[0])), int(span[1]) + 1):
        x = _across(second, span)
        paper.pen.line([(x, top), (x, top + 3)], GREY)
        paper.pen.text((x, top + 5), f"{second} s", GREY, paper.font, anchor="ma")


def _grid(name: str, grid: np.ndarray, codes: int, call: int) -> _Paper:
    """Codes [columns, codebooks], negative where there is none; the darker, the higher."""
    from PIL import Image

    first = max(0, min(len(grid) - _COLUMNS, call - _COLUMNS // 2))
    shown = grid[first : first + _COLUMNS].T
    paper = _Paper(name, f"{len(grid)} columns × {len(shown)} codebooks", _CELL * len(shown) + 10)
    shade = shown[..., None].clip(0) / max(1, codes - 1)
    cells = np.where(shown[..., None] < 0, _EMPTY, np.array(_LOW) + shade * (np.array(_HIGH) - np.array(_LOW)))
    wide = min(_RIGHT - _LEFT, 8 * shown.shape[1])
    picture = Image.fromarray(cells.astype(np.uint8)).resize((wide, _CELL * len(shown)), Image.Resampling.NEAREST)
    paper.image.paste(picture, (_LEFT, _HEADING))
    return paper
