"""A spectrogram for the terminal, with the words under it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from rich.console import Console
from rich.style import Style
from rich.text import Text
from torch import Tensor

from dia2.common.messages import printable
from dia2.core.ambient import isolated
from dia2.generation import GenerationResult

_ROWS = 8  # lines of a panel, each of two bands
_COLUMNS_PER_SECOND = 12  # so that most words fit under their own sound
_WINDOW = 0.04  # seconds
_LEFT_OUT = 0.5  # seconds at the end for which no panel is begun: silence, mostly
_HIGHEST = 8000.0  # Hz
_RANGE = 60.0  # dB below the loudest that are shown
_SHADES = " ░▒▓█"  # where there are no colours
_COLOURS = ((0, 0, 4), (66, 15, 117), (147, 38, 103), (221, 81, 58), (252, 165, 10), (252, 255, 164))  # dark to light


@isolated()
def print_spectrogram(result: GenerationResult, console: Console | None = None) -> None:
    """Draw the sound in panels of some seconds, each with its times and its words; in colour where there is any."""
    console = console or Console()
    width = max(20, console.width - 1)
    seconds = width / _COLUMNS_PER_SECOND
    for panel in range(max(1, math.ceil((result.duration - _LEFT_OUT) / seconds))):
        begin, end = panel * seconds, min(result.duration, (panel + 1) * seconds)
        part = result.waveform[int(begin * result.sample_rate) : int(end * result.sample_rate)]
        columns = max(1, round((end - begin) * _COLUMNS_PER_SECOND))
        levels = spectrogram(part, result.sample_rate, columns, 2 * _ROWS)
        for line in _picture(levels, coloured=console.color_system is not None):
            console.print(line, no_wrap=True, crop=True)
        console.print(_clock(begin, columns), style="dim", no_wrap=True, crop=True)
        here = [(w.text, w.speaker, w.seconds - begin) for w in result.words if begin <= w.seconds < end]
        for line in _labels(here, width):
            console.print(line, no_wrap=True, crop=True)


@isolated()
def spectrogram(samples: Tensor, rate: int, columns: int, bands: int) -> Tensor:
    """Loudness [bands, columns], 0 (60 dB below the loudest, or less) to 1, low bands first, of samples [N].

    Bands are spaced evenly in mel up to 8 kHz; a column is the loudest of the moments that it stands for.
    """
    size = int(_WINDOW * rate)
    hop = max(1, min(size // 2, len(samples) // (2 * columns)))
    padded = torch.nn.functional.pad(samples, (size // 2, size))
    power = torch.stft(padded, size, hop, window=torch.hann_window(size), center=False, return_complex=True).abs() ** 2
    edges = 700 * (10 ** (torch.linspace(0, _mel(min(_HIGHEST, rate / 2)), bands + 1) / 2595) - 1) / rate * size
    low = edges[:-1].long()
    high = torch.maximum(edges[1:].long(), low + 1)
    loud = torch.stack([power[a:b].mean(0) for a, b in zip(low.tolist(), high.tolist(), strict=True)])  # [bands, T]
    loud = torch.nn.functional.adaptive_max_pool1d(loud[None], columns)[0]
    decibels = 10 * torch.log10(loud / loud.max().clamp(min=1e-9) + 1e-9)
    return (1 + decibels / _RANGE).clamp(0, 1)


def _mel(frequency: float) -> float:
    return 2595 * math.log10(1 + frequency / 700)


def _picture(levels: Tensor, coloured: bool) -> Iterator[Text]:
    """Lines from the highest bands down; in colour a line holds two bands, by half blocks."""
    rows = levels.flip(0).view(-1, 2, levels.shape[1])
    for upper, lower in rows:
        if coloured:
            cells = zip(upper.tolist(), lower.tolist(), strict=True)
            yield Text.assemble(*(("▀", Style(color=_colour(a), bgcolor=_colour(b))) for a, b in cells))
        else:
            shades = (torch.maximum(upper, lower) * (len(_SHADES) - 1)).round().int().tolist()
            yield Text("".join(_SHADES[shade] for shade in shades).rstrip())


def _colour(level: float) -> str:
    at = level * (len(_COLOURS) - 1)
    first = min(int(at), len(_COLOURS) - 2)
    mixed = (round(a + (b - a) * (at - first)) for a, b in zip(_COLOURS[first], _COLOURS[first + 1], strict=True))
    return "#{:02x}{:02x}{:02x}".format(*mixed)


def _clock(begin: float, columns: int) -> str:
    """A tick and its time at every full second."""
    line = [" "] * (columns + 4)
    for second in range(math.ceil(begin), math.ceil(begin + columns / _COLUMNS_PER_SECOND)):
        text = f"╵{second} s"
        at = round((second - begin) * _COLUMNS_PER_SECOND)
        line[at : at + len(text)] = text
    return "".join(line).rstrip()


def _labels(words: Sequence[tuple[str, int, float]], width: int) -> list[Text]:
    """Words under their sound; one that finds its place taken goes to the next line."""
    lines: list[Text] = []
    for text, speaker, at in words:
        column = round(at * _COLUMNS_PER_SECOND)
        line = next((line for line in lines if line.cell_len < column), None)
        if line is None:
            line = Text()
            lines.append(line)
        line.append(" " * (column - line.cell_len))
        line.append(printable(text), "blue" if speaker == 1 else "magenta")
        line.truncate(width)
    return lines
