"""The published checkpoints fit: their sizes on the meta device, and the reference's state dicts by name and shape."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from dia2.core.config import load_config, parse_config
from dia2.core.model import Dia2Model
from dia2.runtime.weights import weight_bytes

from ..support.published import dia2_1b, dia2_2b

CONFORMANCE = Path(__file__).parents[1] / "conformance"


def on_meta(config: Any, dtype: torch.dtype | None = None) -> Dia2Model:
    with torch.device("meta"):
        return Dia2Model(config, dtype)


@pytest.mark.parametrize(
    ("raw", "parameters", "tensors"),
    [(dia2_2b, 1_919_556_608, 450), (dia2_1b, 1_076_244_736, 440)],
    ids=["2B", "1B"],
)
def test_a_published_config_gives_the_published_number_of_parameters(
    raw: Callable[[], dict[str, Any]], parameters: int, tensors: int
) -> None:
    config = parse_config(raw())
    model = on_meta(config)
    assert sum(tensor.numel() for tensor in model.state_dict().values()) == parameters
    assert len(model.state_dict()) == tensors
    assert weight_bytes(model) == 4 * parameters
    assert config.data.num_codebooks == 32
    assert model.depformer.stages == 31


def test_in_bfloat16_only_the_heads_stay_float32() -> None:
    model = on_meta(parse_config(dia2_2b()), torch.bfloat16)
    heads = {"transformer.action_head.weight", "transformer.cb0_head.weight"}
    heads |= {f"depformer.logits.{stage}.weight" for stage in range(31)}
    state = model.state_dict()
    assert {name for name, tensor in state.items() if tensor.dtype == torch.float32} == heads
    assert {tensor.dtype for name, tensor in state.items() if name not in heads} == {torch.bfloat16}


@pytest.mark.parametrize("checkpoint", ["tiny8", "tiny4", "tiny3"])
def test_names_and_shapes_are_those_of_the_reference(checkpoint: str) -> None:
    folder = CONFORMANCE / checkpoint
    model = on_meta(load_config(folder / "config.json"))
    assert {name: list(tensor.shape) for name, tensor in model.state_dict().items()} == json.loads(
        (folder / "keys.json").read_text(encoding="utf-8")
    )
