"""A codec that computes NaN or infinite numbers is named, and nothing is written of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from torch import nn

from dia.adapter.trace import DiaTrace
from dia2.audio.finite import require_numbers, within_one
from dia2.audio.streaming_decoder import AtOnce
from dia2.common.errors import CheckpointError
from dia2.inspect import Dia2Trace

from ..support.dia import toy
from ..support.reference import engine
from .test_codec import codec as random_codec
from .test_codec import random_codes

NO_NUMBERS = "Codec .* computes numbers that are NaN or infinite"
SCRIPT = "[S1] Hi."


@contextmanager
def damaged(module: nn.Module, value: float = float("nan")) -> Iterator[None]:
    """All weights and buffers of a module are that."""
    kept = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    with torch.no_grad():
        for tensor in module.state_dict().values():
            if tensor.is_floating_point():
                tensor.fill_(value)
    try:
        yield
    finally:
        module.load_state_dict(kept)


def test_samples_that_are_no_numbers_stay_so_when_the_others_are_clamped() -> None:
    made = within_one(torch.tensor([0.5, 7.0, -7.0, torch.inf, -torch.inf, torch.nan]))
    assert made[:3].tolist() == [0.5, 1.0, -1.0]
    assert bool(made[3:].isnan().all())
    with pytest.raises(CheckpointError, match="Codec it computes"):
        require_numbers(made, "it")
    assert require_numbers(made[:3], "it") is not None


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("part", ["decoder", "quantizer", "encoder"])
def test_mimi_with_a_damaged_part(part: str, value: float) -> None:
    codec, codes = random_codec(), random_codes(6, 4)
    sound = torch.linspace(-0.5, 0.5, 480)
    uses: list[Any] = [lambda: codec.encode(sound)]
    if part != "encoder":
        uses = [lambda: codec.decode(codes), lambda: AtOnce(codec).begin(codes)()]
        uses += [lambda: codec.encode(sound)] if part == "quantizer" else []
    expected = [use() for use in uses]
    with damaged(getattr(codec._model, part), value):
        for use in uses:
            with pytest.raises(CheckpointError, match=NO_NUMBERS):
                use()
    for use, before in zip(uses, expected, strict=True):
        assert torch.equal(use(), before)


@pytest.mark.parametrize("part", ["decoder", "quantizer", "encoder"])
def test_dac_with_a_damaged_part(part: str) -> None:
    codec = toy().codec
    assert codec is not None
    codes = torch.zeros(3, codec.channels, dtype=torch.int64)
    with damaged(getattr(codec._model, part)):
        if part != "encoder":
            with pytest.raises(CheckpointError, match=NO_NUMBERS):
                codec.decode(codes)
        if part != "decoder":
            with pytest.raises(CheckpointError, match=NO_NUMBERS):
                codec.encode(torch.linspace(-0.5, 0.5, 5000))
    assert bool(codec.decode(codes).isfinite().all())


def test_nothing_is_written_of_a_codec_that_computes_no_numbers(tmp_path: Path) -> None:
    tts, recording = engine("tiny4"), tmp_path / "a.wav"
    tts.generate(SCRIPT, seed=1, trace=tmp_path / "whole")
    soundfile.write(recording, (0.3 * np.sin(np.arange(24_000) / 25)).astype(np.float32), 24_000)
    words = [{"text": "Hello", "start": 0.2, "end": 0.6}]
    with damaged(tts.runtime.mimi._model):
        with pytest.raises(CheckpointError, match=NO_NUMBERS):
            tts.generate(SCRIPT, seed=1, output_wav=tmp_path / "o.wav", trace=tmp_path / "run")
        with pytest.raises(CheckpointError, match=NO_NUMBERS):
            next(tts.stream(SCRIPT, seed=1))
        with pytest.raises(CheckpointError, match=NO_NUMBERS):
            tts.save_voice(recording, tmp_path / "a.voice", words=words)
        with pytest.raises(CheckpointError, match=NO_NUMBERS):
            Dia2Trace.load(tmp_path / "whole").to_html(tmp_path / "o.html", tts=tts, books=[[0]])
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.wav", "run", "whole"]
    trace = Dia2Trace.load(tmp_path / "run")  # which tells what the run came to
    assert (trace.audio, trace.manifest.status) == (None, "failed")
    assert "NaN" in trace.state


def test_nothing_is_written_of_a_dia_codec_that_computes_no_numbers(tmp_path: Path) -> None:
    dia = toy()
    assert dia.codec is not None
    with damaged(dia.codec._model), pytest.raises(CheckpointError, match=NO_NUMBERS):
        dia.speak(SCRIPT, max_tokens=40, seed=1, trace=tmp_path / "run")
    assert DiaTrace.load(tmp_path / "run").audio() is None
