"""Dia, the first generation: reference cases, small configs, random models, and an observer of steps."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from dia.capture import Steps
from dia.config import parse_config
from dia.layers import DiaModel
from dia.model import Dia
from dia2.common.hooks import Span, select

from .fakecuda import place
from .models import put, randomized
from .reference import relative

DIA5 = Path(__file__).parents[1] / "conformance" / "dia5"
CPU = torch.device("cpu")


@dataclass(frozen=True)
class DiaCase:
    """One case of the reference."""

    name: str

    @property
    def expected(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads((DIA5 / f"{self.name}.json").read_text(encoding="utf-8"))
        return loaded

    @property
    def tensors(self) -> dict[str, Tensor]:
        return load_file(DIA5 / f"{self.name}.safetensors")

    @property
    def prompts(self) -> list[Tensor | None] | None:
        """Codes [T, 5] for each script."""
        names = self.expected["audio_prompt"]
        stored = load_file(DIA5 / "prompts.safetensors")
        return names and [None if name is None else stored[name] for name in names]

    def settings(self, **changes: Any) -> dict[str, Any]:
        """What the reference ran with, for `speak`."""
        names = ("max_tokens", "cfg_scale", "cfg_filter_top_k", "temperature", "top_p")
        return {name: self.expected[name] for name in names} | {"audio_prompt": self.prompts} | changes


def dia_cases() -> list[DiaCase]:
    """Every case there is."""
    stems = sorted(path.stem for path in DIA5.glob("*.json"))
    return [DiaCase(stem) for stem in stems if stem not in ("config", "keys")]


@cache
def dia5() -> Dia:
    """The reference checkpoint, loaded once a process."""
    return Dia.from_local(DIA5 / "config.json", DIA5 / "model.safetensors", "float32", place(), load_dac=False)


@cache
def toy() -> Dia:
    """The embedded toy with its codec, loaded once a process."""
    return Dia.toy(compute_dtype="float32", device=place())


class StepRecorder:
    """An observer that keeps every batch of steps, and the phases."""

    def __init__(self, points: str = "*") -> None:
        self.points = select(points) | {"logits.channel.0"}  # those of one channel bring all
        self.steps: list[Steps] = []
        self.spans: list[Span] = []

    def begin(self, span: Span, /) -> None:
        self.spans.append(span)

    def end(self, span: Span, /) -> None:
        assert span.ended

    def frames(self, frames: Steps, /) -> None:
        kept = copy.copy(frames)
        for name, value in vars(frames).items():
            if isinstance(value, Tensor):  # valid only until this returns
                object.__setattr__(kept, name, value.clone())
        self.steps.append(kept)

    def joined(self, name: str) -> Tensor:
        """A tensor of all steps of the loop."""
        return torch.cat([getattr(steps, name) for steps in self.steps if steps.written is not None])


def assert_agrees(dia: Dia, case: DiaCase, **changes: Any) -> None:
    """A run of the case, with `changes` of its settings, has the codes, rows and logits of the reference."""
    tensors, recorder = case.tensors, StepRecorder()
    result = dia.speak(case.expected["text"], observer=recorder, **case.settings(**changes))
    theirs = tensors["generated_tokens"].long()  # [B, positions, C]

    assert [len(spoken.codes) for spoken in result.scripts] == tensors["lengths"].tolist()
    for i, spoken in enumerate(result.scripts):
        assert torch.equal(spoken.codes, tensors[f"codes.{i}"].long())
    given = min(case.expected["prefill_steps"])
    rows = torch.cat([recorder.joined("tokens")[:1], recorder.joined("written")]).transpose(0, 1)  # [B, rows, C]
    assert torch.equal(rows, theirs[:, given - 1 : given + result.steps])
    assert bool((theirs[:, given + result.steps :] == -1).all())
    if given > 1:
        (prefill,) = (steps for steps in recorder.steps if steps.written is None)
        assert torch.equal(prefill.tokens.transpose(0, 1), theirs[:, : given - 1])

    logits = recorder.joined("logits")[: len(tensors["step_logits"])]  # [steps, 2B, C, V]
    assert relative(logits, tensors["step_logits"]) <= 1e-4

    delayed = [span.inputs["delayed"] for span in recorder.spans if span.name == "dia.undelay"]
    assert len(delayed) == len(result.scripts)
    for ours, wanted in zip(delayed, tensors["delayed_codes"].long(), strict=True):
        assert isinstance(ours, Tensor)
        assert torch.equal(ours[0].cpu(), wanted[: ours.shape[1]])
        assert bool((wanted[ours.shape[1] :] == dia.config.data.audio_pad_value).all())


_TINY: dict[str, Any] = {
    "delay_pattern": [0, 2, 3],
    "eos_token_id": 16,
    "pad_token_id": 17,
    "bos_token_id": 18,
    "encoder_config": {
        "max_position_embeddings": 40,
        "num_hidden_layers": 2,
        "hidden_size": 24,
        "intermediate_size": 28,
        "num_attention_heads": 3,
        "num_key_value_heads": 3,
        "head_dim": 6,
        "vocab_size": 256,
    },
    "decoder_config": {
        "max_position_embeddings": 32,
        "num_hidden_layers": 2,
        "hidden_size": 20,
        "intermediate_size": 36,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "cross_num_attention_heads": 2,
        "cross_num_key_value_heads": 2,
        "cross_head_dim": 10,
        "cross_hidden_size": 24,
        "vocab_size": 20,
        "num_channels": 3,
    },
}

_FIRST: dict[str, Any] = {
    "version": "0.1",
    "data": {
        "text_length": 40,
        "audio_length": 200,
        "channels": 3,
        "text_pad_value": 0,
        "audio_eos_value": 16,
        "audio_pad_value": 17,
        "audio_bos_value": 18,
        "delay_pattern": [0, 2, 3],
    },
    "model": {
        "encoder": {"n_layer": 2, "n_embd": 24, "n_hidden": 28, "n_head": 3, "head_dim": 6},
        "decoder": {
            "n_layer": 2,
            "n_embd": 20,
            "n_hidden": 36,
            "gqa_query_heads": 4,
            "kv_heads": 2,
            "gqa_head_dim": 8,
            "cross_query_heads": 2,
            "cross_head_dim": 10,
        },
        "src_vocab_size": 128,
        "tgt_vocab_size": 20,
        "dropout": 0.0,
        "normalization_layer_epsilon": 1e-5,
        "weight_dtype": "float32",
        "rope_min_timescale": 1,
        "rope_max_timescale": 10000,
    },
    "training": {"dtype": "bfloat16", "logits_dot_in_fp32": False},
}


def tiny_dia(changes: Mapping[str, object] | None = None) -> dict[str, Any]:
    """A valid `config.json` in transformers' form, as parsed JSON; `changes` maps dotted field names to values."""
    return _changed(_TINY, changes)


def first_form(changes: Mapping[str, object] | None = None) -> dict[str, Any]:
    """Likewise, in the first published form."""
    return _changed(_FIRST, changes)


def _changed(raw: dict[str, Any], changes: Mapping[str, object] | None) -> dict[str, Any]:
    raw = copy.deepcopy(raw)
    for name, value in (changes or {}).items():
        put(raw, name, value)
    return raw


def random_dia(raw: object, seed: int = 0, dtype: torch.dtype | None = None) -> DiaModel:
    """A model of that config whose every weight matters: logits of the order of 1, no norm weight 1."""
    model = DiaModel(parse_config(raw), dtype)
    return randomized(model, seed, lambda name: "embedding" not in name).requires_grad_(False)
