"""The spectrogram in the terminal: exact text without colours, half blocks with them."""

from __future__ import annotations

import io
from collections.abc import Sequence

import pytest
import torch
from rich.console import Console

from dia2.audio.spectrogram import print_spectrogram, spectrogram
from dia2.generation import GenerationResult
from tests.support.results import made_result

RATE = 24_000


def tones(*frequencies: float, seconds: float = 0.5) -> torch.Tensor:
    at = torch.arange(int(RATE * seconds)) / RATE
    return torch.cat([0.5 * torch.sin(2 * torch.pi * f * at) for f in frequencies])


def result(waveform: torch.Tensor, words: Sequence[tuple[str, float, int]] = ()) -> GenerationResult:
    return made_result(words, waveform, RATE)


def drawn(made: GenerationResult, width: int, colours: bool = False) -> str:
    file = io.StringIO()
    system = "truecolor" if colours else None
    console = Console(file=file, width=width, force_terminal=colours, color_system=system)  # type: ignore[arg-type]
    print_spectrogram(made, console)
    return file.getvalue()


def test_two_tones_and_their_words() -> None:
    made = result(tones(300, 3000, seconds=1.0), [("low", 0.1, 1), ("then", 0.25, 1), ("high", 1.0, 2)])
    assert drawn(made, 40) == EXPECTED


EXPECTED = """\
           ░           ░
           ░           ░
           ▓████████████
░          ▒           ▒
░          ▒           ▒
▒          ▒           ░
████████████           ░
▓          ▓           ░
╵0 s        ╵1 s
 low        high
   then
"""


def test_bands_are_where_the_tones_are() -> None:
    levels = spectrogram(tones(150, 900, 6000), RATE, columns=9, bands=16)
    assert levels.shape == (16, 9)
    loudest = levels.argmax(0).tolist()
    assert loudest[1] < loudest[4] < loudest[7]
    assert float(levels.max()) == pytest.approx(1.0)
    assert float(levels.min()) >= 0


def test_long_sound_goes_on_in_the_next_panel() -> None:
    text = drawn(result(tones(300, seconds=3.5)), 21)
    assert "╵0 s" in text
    assert "╵2 s" in text
    assert text.count("╵0 s") == 1


def test_colours_only_where_there_are_some() -> None:
    made = result(tones(300), [("hi", 0.0, 1)])
    assert "\x1b[" not in drawn(made, 40)
    assert "▀" in drawn(made, 40, colours=True)


def test_a_hostile_word_is_only_text() -> None:
    assert "\x1b" not in drawn(result(tones(300), [("\x1b[31mred", 0.0, 1)]), 40)


def test_silence_and_a_moment_of_sound_can_be_drawn() -> None:
    assert "╵0 s" in drawn(result(torch.zeros(RATE)), 40)
    assert "╵0 s" in drawn(result(torch.zeros(1)), 40)
