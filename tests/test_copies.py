"""Copies and pickles: an engine is loaded again, a run under way says why it cannot be had twice."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from dia import Dia
from dia2 import Dia2
from dia2.common.errors import Dia2Error
from dia2.inspect import load, record

from .support.dia import toy
from .support.reference import Case, engine, local_files
from .support.traces import recorded_dia, recorded_quickly

COPIES: list[Callable[[Any], Any]] = [copy.copy, copy.deepcopy, lambda given: pickle.loads(pickle.dumps(given))]
SCRIPT = "[S1] Hello. [S2] Hi!"


@pytest.mark.parametrize("copied", COPIES)
def test_an_engine_that_is_copied_loads_again_and_speaks_the_same(copied: Callable[[Dia2], Dia2]) -> None:
    tts = engine("tiny3")
    expected = tts.generate(SCRIPT, Case("tiny3", "plain_cfg2").config(seed=1))
    other = copied(tts)
    assert "not loaded" in repr(other)
    found = other.generate(SCRIPT, Case("tiny3", "plain_cfg2").config(seed=1))
    assert other.runtime is not tts.runtime
    assert torch.equal(found.audio_tokens, expected.audio_tokens)


def test_a_copy_keeps_device_dtype_and_options() -> None:
    tts = Dia2.from_local(**local_files("tiny3"), device="cpu", dtype="bfloat16", quantize="int8", strict=True)
    other = copy.deepcopy(tts)
    assert other.__dict__ == tts.__dict__
    assert len(pickle.dumps(tts)) < 10_000  # no weights


@pytest.mark.parametrize("copied", COPIES)
def test_dia_that_is_copied_loads_again_and_speaks_the_same(copied: Callable[[Dia], Dia]) -> None:
    expected = toy().speak("[S1] Hi.", seed=1, max_tokens=20)
    other = copied(toy())
    assert other.model is not toy().model
    found = other.speak("[S1] Hi.", seed=1, max_tokens=20)
    assert torch.equal(found.scripts[0].codes, expected.scripts[0].codes)
    assert (other.codec is None) is (toy().codec is None)


@pytest.mark.parametrize("copied", COPIES)
@pytest.mark.parametrize("recorded", [recorded_quickly, recorded_dia])
def test_a_trace_is_copied(copied: Callable[[Any], Any], recorded: Callable[[], Path]) -> None:
    trace = load(recorded())
    expected = trace.draws(37)
    other = copied(trace)
    assert other.draws(37) == expected
    assert repr(other) == repr(trace)


@pytest.mark.parametrize("copied", COPIES)
def test_what_is_open_says_what_to_copy_instead(copied: Callable[[Any], Any], tmp_path: Path) -> None:
    stream = engine("tiny3").stream(SCRIPT, seed=1)
    with record(tmp_path / "run.dia2trace") as recorder:
        for part in (stream, recorder, engine("tiny3").runtime):
            with pytest.raises(Dia2Error, match=r"copy the Dia2|copy its Dia2") as told:
                copied(part)
            assert "\n" not in str(told.value)
    stream.close()
