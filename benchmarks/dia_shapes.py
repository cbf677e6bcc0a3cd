"""Dia with random weights at chosen shapes, and a run of it that is made step by step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from shapes import fill
from torch import Tensor

from dia.config import DiaConfig, parse_config
from dia.generation import GenerationConfig
from dia.layers import DiaModel
from dia.loop import GenerationState, begin, encode, fill_cross_cache, new_state
from dia.runner import EagerStep, GraphStep
from dia.text import encode_text
from dia2.core.state_dict import NoInit
from dia2.runtime.graphs import GraphBackend

SCRIPT = "[S1] Hello there, how are you today? [S2] Not too bad, thank you. And you? (laughs)"
TINY: dict[str, dict[str, int]] = {
    "encoder_config": {"num_hidden_layers": 2, "hidden_size": 128, "intermediate_size": 256, "head_dim": 32}
    | {"num_attention_heads": 4, "num_key_value_heads": 4},
    "decoder_config": {"num_hidden_layers": 3, "hidden_size": 256, "intermediate_size": 512, "head_dim": 32}
    | {"num_attention_heads": 8, "num_key_value_heads": 2, "cross_head_dim": 32, "cross_num_attention_heads": 8}
    | {"cross_num_key_value_heads": 8, "cross_hidden_size": 128},
}
SPECIAL = {"eos_token_id": 1024, "pad_token_id": 1025, "bos_token_id": 1026}


def config_of(shape: str) -> DiaConfig:
    """`1.6b`, whose sizes are the defaults, or `tiny`."""
    if shape != "tiny":
        return DiaConfig()
    return parse_config({"encoder_config": TINY["encoder_config"], "decoder_config": TINY["decoder_config"] | SPECIAL})


def random_model(config: DiaConfig, dtype: torch.dtype, device: str = "cpu") -> DiaModel:
    """A model of these sizes; norms are one, matrices noise."""
    with NoInit(), torch.device(device):
        model = DiaModel(config, dtype).eval().requires_grad_(False)
    noise = torch.randn(1 << 22, generator=torch.Generator().manual_seed(0)).to(device)
    for weights in model.parameters():
        if weights.ndim == 1:
            weights.fill_(1.0)
        else:
            fill(weights, (noise * weights.shape[-1] ** -0.5).to(weights.dtype))
    return model


class Ours:
    """A run of ours, step by step."""

    def __init__(
        self,
        model: DiaModel,
        config: GenerationConfig,
        rows: int,
        backend: Callable[[], GraphBackend] | None = None,
    ) -> None:
        """Begin a run of so many rows; `backend`: as one graph a row."""
        self._model, self._config = model, config
        tokens, mask = encode_text([SCRIPT], model.config)
        text = tokens.shape[1] if backend is None else model.config.model.encoder.max_position_embeddings
        self.state: GenerationState = new_state(
            model.config, scripts=1, rows=rows, text=text, dtype=model.dtype, device=model.device
        )
        encoded, text_mask = encode(model, tokens, mask)
        fill_cross_cache(model, self.state, encoded, text_mask)
        data = model.config.data
        given = torch.full((1, 1, data.channels), data.audio_bos_value, device=model.device)
        begin(self.state, given, [1], rows=rows, seed=1, data=data)
        self.encoded, self.text_mask = encoded, text_mask
        self._step: EagerStep | GraphStep = (
            EagerStep(model, self.state, config, None)
            if backend is None
            else GraphStep(model, self.state, config, None, backend())
        )
        self._row = 0

    def step(self) -> None:
        """The next row."""
        self._step(self._row)
        bool(self.state.finished)
        self._row += 1

    def forward(self) -> Tensor:
        """The row that the next step reads, to its logits; the step writes the same into its slot."""
        state, decoder = self.state, self._model.decoder
        tokens = state.output.generated_tokens.index_select(1, state.row).repeat_interleave(2, dim=0)
        rotation = state.decoder.rotation_of(state.row)
        hidden = decoder(
            tokens, rotation, state.decoder, state.row, self._row + 1, None, compiled=self._config.use_torch_compile
        )
        return decoder.logits(hidden)


def weight_bytes(model: DiaModel) -> int:
    """Bytes of weights that a step reads: the decoder without its embedding and without what makes cross keys."""
    decoder = model.decoder
    size = sum(parameter.nbytes for parameter in decoder.parameters()) - decoder.embeddings.weight.nbytes
    layers: Any = decoder.layers
    return size - sum(layer.cross_attention.kv_proj.weight.nbytes for layer in layers)
