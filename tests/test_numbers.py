"""What counts as a number: scalars of NumPy and torch do, and are kept as plain Python numbers."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from typing import Any

import numpy as np
import pytest
import torch

import dia
from dia2 import GenerationConfig, PrefixConfig, SamplingConfig
from dia2.common.checks import plain, whole
from dia2.common.errors import UsageError
from dia2.generation import merge_generation_config
from dia2.runtime.edits import ChangeSampling, ForceAction, ReplaceToken, edit_to_json
from dia2.runtime.words import read_words

WHOLE = [np.int8, np.uint8, np.int32, np.int64, np.uint64, np.array, torch.tensor, lambda n: torch.arange(n, n + 1)[0]]
FINITE = [np.float16, np.float32, np.float64, np.longdouble, np.array, torch.tensor, torch.tensor(0.0).bfloat16().add]
NONE = [True, np.True_, torch.tensor(True), None, "3", 2.5, np.float32(2.5), 3.0, np.array([3]), torch.tensor([3])]
NONE += [
    np.datetime64(3, "ns"),
    np.timedelta64(3, "ns"),
    np.complex64(3),
    torch.tensor(3j),
    torch.tensor(3, device="meta"),
]


@pytest.mark.parametrize("kind", WHOLE)
def test_whole_scalars_are_ints(kind: Any) -> None:
    assert (type(plain(kind(3))), plain(kind(3)), whole(kind(3))) == (int, 3, 3)


@pytest.mark.parametrize("kind", FINITE)
def test_scalars_of_floats_are_floats(kind: Any) -> None:
    assert (type(plain(kind(1.5))), plain(kind(1.5))) == (float, 1.5)
    assert whole(kind(1.5)) is None


@pytest.mark.parametrize("value", NONE, ids=repr)
def test_what_is_no_whole_number(value: Any) -> None:
    assert whole(value) is None
    for made in (lambda: GenerationConfig(cfg_filter_k=value), lambda: dia.GenerationConfig(cfg_filter_top_k=value)):
        with pytest.raises(UsageError, match="whole number"):
            made()
    with pytest.raises(UsageError, match="whole number"):
        ForceAction(value, "pad")


@pytest.mark.parametrize("value", [np.nan, np.float32("inf"), torch.tensor(torch.nan), np.array([1.5]), np.True_])
def test_what_is_no_finite_number(value: Any) -> None:
    for made in (lambda: GenerationConfig(cfg_scale=value), lambda: dia.GenerationConfig(cfg_scale=value)):
        with pytest.raises(UsageError, match="finite number"):
            made()


def numbers(config: Any) -> list[Any]:
    """Every value in a dataclass and those within."""
    found = [getattr(config, field.name) for field in fields(config)]
    return [part for value in found for part in (numbers(value) if hasattr(value, "__dataclass_fields__") else [value])]


@pytest.mark.parametrize("kind", [np.array, torch.tensor, lambda value: np.asarray(value)[()]])
def test_every_number_of_every_config_is_kept_plain(kind: Any) -> None:
    sampling = SamplingConfig(kind(0.75), kind(20))
    given = {"cfg_scale": 1.5, "cfg_filter_k": 40, "initial_padding": 3, "seed": 7, "use_cuda_graph": False}
    scalars = {name: kind(value) for name, value in given.items()}
    made = GenerationConfig(sampling, sampling, prefix=PrefixConfig(include_audio=kind(True)), **scalars)
    single = {"temp_text": 0.75, "topk_text": 20, "temp_audio": 0.75, "topk_audio": 20, "include_prefix": True}
    overrides = scalars | {name: kind(value) for name, value in single.items()}
    assert merge_generation_config(None, overrides) == made
    of_dia = {"max_tokens": 90, "temperature": 1.25, "top_p": 0.5, "cfg_filter_top_k": 9, "cfg_scale": 2.0, "seed": 1}
    other = dia.GenerationConfig(**{name: kind(value) for name, value in of_dia.items()})
    for config in (made, other):
        assert {type(value) for value in numbers(config)} <= {int, float, bool, str, type(None)}
        json.dumps(asdict(config))


@pytest.mark.parametrize("kind", [np.array, torch.tensor, np.int64])
def test_edits_are_kept_plain(kind: Any) -> None:
    scale: Any = torch.tensor(2.5)
    changed = ChangeSampling(kind(3), cfg_scale=scale, topk_audio=kind(9))
    for edit in (ForceAction(kind(3), "pad"), ReplaceToken(kind(3), kind(17), codebook=kind(2)), changed):
        assert {type(value) for value in numbers(edit)} <= {int, float, str, type(None)}
        json.dumps(edit_to_json(edit))
    assert str(changed) == "from call 3 on: cfg_scale = 2.5, topk_audio = 9"


def test_word_times_of_an_aligner_are_numbers() -> None:
    rows = [{"text": "so", "start": np.float32(0.25), "end": torch.tensor(0.5)}, {"text": "on", "start": np.float64(1)}]
    found = read_words(rows, 2.0)
    assert [(word.start, word.end) for word in found] == [(0.25, 0.5), (1.0, 1.5)]
    assert {type(time) for word in found for time in (word.start, word.end)} == {float}
