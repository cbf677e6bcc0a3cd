"""flite's voices by their parameters."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from dia2.common.errors import Dia2Error
from training import flite
from training.flite import HOP, PAUSE, UnreadError, read

from ..support.speech import has_flite

needs_flite = pytest.mark.skipif(not has_flite(), reason="flite is not installed")


@needs_flite
@pytest.mark.parametrize(("voice", "pitch"), [("rms", 100), ("slt", 174)])
def test_a_reading_has_phones_and_parameters(voice: str, pitch: float) -> None:
    found = read("Where's the well-known station?", voice)
    said = [(phone.name, phone.word) for phone in found.phones if phone.name != PAUSE]
    assert [name for name, word in said if word == 0] == ["w", "eh", "r", "z"]
    assert "".join(name for name, word in said if word == 2) == "wehlnown"
    assert said == sorted(said, key=lambda phone: phone[1])
    assert found.phones[0].start == 0
    assert all(a.end == b.start for a, b in zip(found.phones, found.phones[1:], strict=False))
    hops = len(found.pitch)
    assert abs(found.phones[-1].end / HOP - hops) <= 1
    assert found.cepstra.shape == (hops, 25)
    assert found.voicing.shape == (hops, 5)
    assert found.voicing.min() >= 0
    assert found.voicing.max() <= 1
    assert np.median(found.pitch[found.pitch > 0]) == pytest.approx(pitch, rel=0.15)


@needs_flite
def test_a_reading_does_not_depend_on_what_was_read_before() -> None:
    first = read("Good morning.", "slt")
    read("Something else, quite long.", "rms")
    again = read("Good morning.", "slt")
    assert first.phones == again.phones
    assert np.array_equal(first.cepstra, again.cepstra)
    assert np.array_equal(first.pitch, again.pitch)


@needs_flite
def test_a_text_that_is_not_read_word_by_word_is_refused() -> None:
    with pytest.raises(UnreadError, match=r"flite (says nothing for|finds \d+ words in) '"):
        read("Well , . indeed.", "slt")


def test_a_missing_library_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str, **_: object) -> None:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", missing)
    flite._library.cache_clear()
    try:
        with pytest.raises(Dia2Error) as caught:
            read("Hello.", "slt")
    finally:
        flite._library.cache_clear()
    assert str(caught.value) == (
        "flite cannot be loaded (libflite.so.1: cannot open shared object file): "
        "install Debian's package flite (apt install flite)."
    )
