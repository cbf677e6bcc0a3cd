"""The network against transformers' Dia with the same weights, in both stored layouts.

transformers lets padding attend to text, so positions of text are compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import DiaConfig, DiaForConditionalGeneration

from dia.config import load_config, parse_config
from dia.layers import DiaModel
from dia.loop import GenerationState, encode, fill_cross_cache, new_state
from dia.weights import load_model

from ..support.dia import CPU, tiny_dia
from ..support.reference import relative

SHAPES: dict[str, dict[str, object]] = {
    "grouped heads": {},
    "one kv head": {"decoder_config.num_key_value_heads": 1, "encoder_config.num_key_value_heads": 1},
    "as many kv heads as heads": {"decoder_config.num_key_value_heads": 4},
    "grouped cross-attention": {
        "decoder_config.cross_num_attention_heads": 6,
        "decoder_config.cross_num_key_value_heads": 3,
        "decoder_config.cross_head_dim": 4,
    },
    "grouped encoder": {
        "encoder_config.num_attention_heads": 4,
        "encoder_config.num_key_value_heads": 2,
        "encoder_config.head_dim": 10,
    },
    "other widths and rotations": {
        "decoder_config.hidden_size": 34,
        "decoder_config.head_dim": 14,
        "decoder_config.num_hidden_layers": 3,
        "decoder_config.rope_theta": 50.0,
        "encoder_config.rope_theta": 700.0,
        "encoder_config.num_hidden_layers": 1,
        "encoder_config.norm_eps": 1e-2,
        "decoder_config.norm_eps": 1e-3,
    },
    "one channel": {"decoder_config.num_channels": 1, "delay_pattern": [3]},
}
TEXTS = [7, 12, 1]  # bytes of each script
ROWS = 9  # of the delayed grid


@dataclass
class Pair:
    """One network, theirs and ours, and the same inputs to both."""

    theirs: Any
    ours: DiaModel
    folder: Path

    @property
    def text(self) -> tuple[Tensor, Tensor]:
        """Tokens [B, S] and mask [B, S]."""
        mask = torch.arange(max(TEXTS)) < torch.tensor(TEXTS)[:, None]
        tokens = torch.randint(1, 250, mask.shape, generator=torch.Generator().manual_seed(1))
        return tokens.masked_fill(~mask, 0), mask

    @property
    def rows(self) -> Tensor:
        """Rows [2B, T, C] of the delayed grid, the same for both rows of a script, as in a run."""
        decoder = self.ours.config.model.decoder
        shape = (len(TEXTS), ROWS, decoder.num_channels)
        drawn = torch.randint(0, decoder.vocab_size - 1, shape, generator=torch.Generator().manual_seed(2))
        return drawn.repeat_interleave(2, dim=0)

    def their_run(self) -> tuple[Tensor, Tensor]:
        """Encoder output [2B, S, D] and logits [2B, T, C, V]."""
        tokens, mask = self.text
        both = torch.stack((torch.zeros_like(tokens), tokens), dim=1).flatten(0, 1)
        with torch.no_grad():
            out = self.theirs(
                input_ids=both,
                attention_mask=mask.repeat_interleave(2, dim=0).long(),
                decoder_input_ids=self.rows,
                use_cache=False,
            )
        rows, steps, channels = self.rows.shape
        logits = out.logits.view(rows, channels, steps, -1).transpose(1, 2)  # theirs are [2B · C, T, V]
        return out.encoder_last_hidden_state, logits

    def begun(self) -> tuple[GenerationState, Tensor]:
        """Our state with the text in it, and the encoder's output."""
        tokens, mask = self.text
        state = new_state(
            self.ours.config, scripts=len(TEXTS), rows=ROWS, text=tokens.shape[1], dtype=torch.float32, device=CPU
        )
        with torch.no_grad():
            out, rows = encode(self.ours, tokens, mask)
            fill_cross_cache(self.ours, state, out, rows)
        return state, out


def run(model: DiaModel, state: GenerationState, rows: Tensor, first: int) -> Tensor:
    """Logits [2B, T, C, V] of T rows from number `first` on, in one pass."""
    slots = torch.arange(first, first + rows.shape[1])
    causal = (torch.arange(first + rows.shape[1])[None] <= slots[:, None])[None]
    with torch.no_grad():
        rotation = state.decoder.rotation_of(slots)
        hidden = model.decoder(rows, rotation, state.decoder, slots, first + rows.shape[1], causal)
        return model.decoder.logits(hidden)


def transformers_config(raw: dict[str, Any]) -> Any:
    """Their config; rope_theta goes where this version wants it, the special tokens to the decoder."""
    blocks = {}
    for name in ("encoder_config", "decoder_config"):
        block = dict(raw[name])
        theta = block.pop("rope_theta", 10000.0)
        blocks[name] = block | {"rope_parameters": {"rope_type": "default", "rope_theta": theta}}
    specials = {name: raw[name] for name in ("eos_token_id", "pad_token_id", "bos_token_id")}
    blocks["decoder_config"] |= specials
    return DiaConfig(**blocks, delay_pattern=raw["delay_pattern"], **specials)


@cache
def pair(shape: str, root: Path) -> Pair:
    """Their network with random weights, and ours of what they saved."""
    folder = root / shape.replace(" ", "_")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = DiaForConditionalGeneration(transformers_config(tiny_dia(SHAPES[shape]))).eval()
        with torch.no_grad():
            for parameter in theirs.parameters():  # every weight counts, norms too
                scale = 0.3 if parameter.ndim == 1 else parameter.shape[1] ** -0.5
                parameter.copy_(torch.randn_like(parameter) * scale + (parameter.ndim == 1))
    theirs.save_pretrained(folder)
    config = load_config(folder / "config.json")
    ours = load_model(config, folder / "model.safetensors", device=CPU, dtype=torch.float32, strict=True)
    return Pair(theirs, ours, folder)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("oracle")


def multi_axis(flat: dict[str, Tensor], raw: dict[str, Any]) -> dict[str, Tensor]:
    """The first layout, written out by hand from tensors in transformers' layout."""
    encoder, decoder = raw["encoder_config"], raw["decoder_config"]
    stored = {}
    for name, value in flat.items():
        name = name.removeprefix("model.")
        dim = (encoder if name.startswith("encoder") else decoder)["head_dim"]
        dim = decoder["cross_head_dim"] if "cross_attention" in name else dim
        if name.endswith(("q_proj.weight", "k_proj.weight", "v_proj.weight")):
            stored[name] = torch.stack([value[h : h + dim].T for h in range(0, len(value), dim)], dim=1)
        elif name.endswith("o_proj.weight"):
            stored[name] = torch.stack([value[:, h : h + dim].T for h in range(0, value.shape[1], dim)])
        elif name.endswith("gate_up_proj.weight"):
            half = len(value) // 2
            stored[name.replace("gate_up_proj", "wi_fused")] = torch.stack((value[:half].T, value[half:].T), dim=1)
        elif name.endswith("down_proj.weight"):
            stored[name.replace("down_proj", "wo")] = value.T
        elif name == "logits_dense.weight":
            size = len(value) // decoder["num_channels"]
            parts = [value[first : first + size].T for first in range(0, len(value), size)]
            stored["decoder.logits_dense.weight"] = torch.stack(parts, dim=1)
        elif name == "decoder.embeddings.embed.weight":
            size = decoder["vocab_size"]
            for channel in range(decoder["num_channels"]):
                stored[f"decoder.embeddings.{channel}.weight"] = value[channel * size : (channel + 1) * size]
        else:
            stored[name] = value
    return {name: value.contiguous().clone() for name, value in stored.items()}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_network_is_transformers_own(shape: str, root: Path) -> None:
    both = pair(shape, root)
    out, logits = both.their_run()
    state, ours = both.begun()
    text = both.text[1].repeat_interleave(2, dim=0)  # [2B, S]
    # Also of the unconditional rows: theirs are padding throughout to the mask's eye, but embedded alike.
    assert relative(ours[text], out[text]) <= 1e-4
    assert relative(run(both.ours, state, both.rows, 0), logits) <= 1e-4


@pytest.mark.parametrize("shape", SHAPES)
def test_cross_keys_and_values_are_their_projections(shape: str, root: Path) -> None:
    both = pair(shape, root)
    _, out = both.begun()
    with torch.no_grad():
        for layer, (keys, values) in zip(
            both.theirs.model.decoder.layers, both.ours.decoder.keys_values(out), strict=True
        ):
            for ours, projection in ((keys, layer.cross_attention.k_proj), (values, layer.cross_attention.v_proj)):
                split = projection(out).view(*out.shape[:2], -1, ours.shape[-1]).transpose(1, 2)
                assert relative(ours, split) <= 1e-5


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("pieces", [[1] * ROWS, [4, 1, 1, 3], [8, 1]], ids=str)
def test_rows_one_by_one_and_together_give_the_same(shape: str, pieces: list[int], root: Path) -> None:
    both = pair(shape, root)
    _, logits = both.their_run()
    state, _ = both.begun()
    first, found = 0, []
    for size in pieces:
        found.append(run(both.ours, state, both.rows[:, first : first + size], first))
        first += size
    assert relative(torch.cat(found, dim=1), logits) <= 1e-4


@pytest.mark.parametrize("shape", SHAPES)
def test_both_layouts_are_the_same_weights(shape: str, root: Path) -> None:
    both = pair(shape, root)
    flat = load_file(both.folder / "model.safetensors")
    path = both.folder / "multi-axis.safetensors"
    save_file(multi_axis(flat, tiny_dia(SHAPES[shape])), path)
    other = load_model(both.ours.config, path, device=CPU, dtype=torch.float32, strict=True)
    for (name, ours), theirs in zip(both.ours.state_dict().items(), other.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs), name


@pytest.mark.parametrize("shape", SHAPES)
def test_the_config_that_transformers_writes_is_read(shape: str, root: Path) -> None:
    assert load_config(pair(shape, root).folder / "config.json") == parse_config(tiny_dia(SHAPES[shape]))


def test_a_config_with_special_tokens_in_the_decoder_alone_is_read(tmp_path: Path) -> None:
    raw = tiny_dia()
    config = transformers_config(raw)
    config.eos_token_id = config.pad_token_id = config.bos_token_id = None
    config.save_pretrained(tmp_path)
    assert load_config(tmp_path / "config.json") == parse_config(raw)


def test_the_weights_matter_in_these_tests(root: Path) -> None:
    """Each kind of tensor that is left out changes the logits by far more than is allowed."""
    both = pair("grouped heads", root)
    _, logits = both.their_run()
    for name, parameter in both.ours.named_parameters():
        before = parameter.clone()
        parameter.copy_(before.roll(1, 0))
        state, _ = both.begun()
        assert relative(run(both.ours, state, both.rows, 0), logits) > 1e-3, name
        parameter.copy_(before)
