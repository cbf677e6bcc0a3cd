"""What phases say of themselves, in cells that stay short."""

from pathlib import Path

import numpy as np
import pytest

from dia2.common.hooks import Span
from dia2.inspect.schema.saying import (
    SOUND_WRITTEN,
    Description,
    Sayings,
    arg,
    describe_begin,
    describe_end,
    nothing,
    out,
    quote,
    shape,
    steps_text,
)

SPAN = Span("hum.loop", {"tune": "la\n  la", "mood": "m" * 241}, 0.0)
SPAN.result = 7


def test_a_begin_has_two_cells_and_an_end_the_others() -> None:
    say: Sayings = {
        "hum.loop": (lambda s: arg(s, "tune"), lambda s: arg(s, "mood"), nothing, lambda s: f"{out(s)} notes")
    }
    assert describe_begin(SPAN, say) == Description("la la", "m" * 239 + "…", "", "")
    assert describe_end(SPAN, say) == Description("", "", "none", "7 notes")


@pytest.mark.parametrize("length", [239, 240, 241])
def test_a_cell_has_240_characters(length: int) -> None:
    say: Sayings = {"hum.loop": (lambda s: "x" * length, nothing, nothing, nothing)}
    found = describe_begin(SPAN, say).trigger
    assert found == ("x" * length if length <= 240 else "x" * 239 + "…")


def test_words() -> None:
    assert shape(np.zeros((2, 15))) == "[2, 15]"
    assert (quote("a" * 60), quote("a" * 61)) == (f"“{'a' * 60}”", f"“{'a' * 60}…”")
    assert steps_text(range(12)) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11"
    assert steps_text(range(13)) == f"{steps_text(range(12))}, …"


def test_every_family_writes_its_sound_alike() -> None:
    span = Span("wav.write", {"waveform": np.zeros(1), "sample_rate": 24_000, "path": Path("a.wav")}, 0.0)
    said = {"wav.write": SOUND_WRITTEN}
    assert describe_begin(span, said).trigger == "1 sample at 24000 Hz"
    assert describe_end(span, said).outputs == "a.wav"
