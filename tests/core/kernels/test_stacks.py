"""Both stacks of a small model, frame by frame: kernels beside the modules, caches included."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from dia2.core.cache import Span
from dia2.core.kernels import attention
from dia2.core.kernels import product as products
from dia2.core.kernels.launch import counted, power_of_two
from dia2.core.kernels.product import product
from dia2.core.kernels.stacks import depformer_stage, transformer_frame
from dia2.core.model import Dia2Model
from dia2.core.quantize import quantize
from dia2.runtime.forms import at_stage

from ...support.kernels import as_on_a_gpu
from ...support.models import random_model, tiny_config

FRAMES = 3


@pytest.fixture(autouse=True)
def _few_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "tile", lambda rows, inputs, sums: (64, power_of_two(inputs)))
    monkeypatch.setattr(attention, "_SPLITS", 2)


def model(kind: str) -> Dia2Model:
    plain = {"model.depformer.apply_rope": False, "model.depformer.text_embedding": False}
    made = random_model(tiny_config(plain if kind == "plain" else None), dtype=torch.float32)
    if kind == "int8":
        quantize(made)
        as_on_a_gpu(made)
    return made


def relative(ours: Tensor, theirs: Tensor) -> float:
    return float((ours - theirs).abs().max() / theirs.abs().max())


@pytest.mark.parametrize("kind", ["full", "plain", "int8"])
def test_frames_in_kernels_are_those_of_the_modules(kind: str) -> None:
    made, chance = model(kind), torch.Generator().manual_seed(1)
    ours, theirs = (
        made.new_decode_state(branches=2, slots=70, positions=70, device=torch.device("cpu")) for _ in range(2)
    )
    for frame in range(FRAMES):
        tokens = torch.randint(17, (2, 6, 1), generator=chance)
        tokens[1, 1] = made.config.data.text_pad_token_id
        slot, at = torch.tensor([frame]), slice(frame, frame + 1)
        rotation = ours.rotation[0][at], ours.rotation[1][at]
        with counted() as launches:
            found = transformer_frame(made.transformer, tokens, rotation, Span(ours.transformer, slot, 70))
        assert launches == {"product_kernel": 2 * 4 + 4, "add_codes_kernel": 1, "attend_kernel": 2, "join_kernel": 2}
        expected = made.transformer(tokens, rotation, Span(theirs.transformer, slot, frame + 1))
        for one, other in zip(found, expected, strict=True):
            assert one.shape == other.shape
            assert one.dtype == other.dtype
            assert relative(one, other) <= 1e-5
        hidden, text = expected.hidden[:, 0], (tokens[:, 0, 0], tokens[:, 1, 0])
        for stage in range(3):
            code, at = tokens[:, 2 + stage, 0], slice(stage, stage + 1)
            turn = at_stage(ours.stage_rotation, stage)
            projected = product(hidden, made.depformer.depformer_in[made.depformer.schedule[stage]])
            spans = [Span(state.depformer, state.stages[at], stage + 1) for state in (ours, theirs)]
            logits = depformer_stage(made.depformer, stage, projected, code, text, turn, spans[0])
            shared = made.depformer.begin(hidden, theirs.stage_rotation)
            theirs_logits = made.depformer.forward_stage(stage, shared, code, text, spans[1])
            assert logits.shape == theirs_logits.shape
            assert relative(logits, theirs_logits) <= 1e-5
    filled = slice(FRAMES)
    assert relative(ours.transformer.keys[:, :, :, filled], theirs.transformer.keys[:, :, :, filled]) <= 1e-5
    assert relative(ours.transformer.values[:, :, :, filled], theirs.transformer.values[:, :, :, filled]) <= 1e-5
    assert relative(ours.depformer.keys, theirs.depformer.keys) <= 1e-5
