"""The embedded toy of Dia: random weights in the published format, with a random DAC beside them.

    python -m training.toy_dia [FOLDER]

It makes noise. It is there so that everything runs anywhere: its channels, delays and frame rate are those of the
published model, its sizes and codebooks are small.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import DacConfig, DacModel

from dia.assets import toy_folder
from dia.config import parse_config
from dia.layers import DiaModel
from dia.weights import multi_axis_views

CODES = 64  # of a codebook
CONFIG: dict[str, Any] = {
    "model_type": "dia",
    "delay_pattern": [0, 8, 9, 10, 11, 12, 13, 14, 15],
    "eos_token_id": CODES,
    "pad_token_id": CODES + 1,
    "bos_token_id": CODES + 2,
    "encoder_config": {
        "max_position_embeddings": 256,
        "num_hidden_layers": 2,
        "hidden_size": 48,
        "intermediate_size": 96,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "head_dim": 16,
        "vocab_size": 256,
        "norm_eps": 1e-5,
        "rope_theta": 10000.0,
    },
    "decoder_config": {
        "max_position_embeddings": 512,
        "num_hidden_layers": 3,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "cross_num_attention_heads": 4,
        "cross_num_key_value_heads": 4,
        "cross_head_dim": 16,
        "cross_hidden_size": 48,
        "vocab_size": CODES + 4,
        "num_channels": 9,
        "norm_eps": 1e-5,
        "rope_theta": 10000.0,
    },
}
SEED = 5  # of the weights
_LOUDNESS = 0.2  # peak of the codec's noise, about


def main(argv: list[str] | None = None) -> None:
    """Write the checkpoint."""
    parser = argparse.ArgumentParser(prog="python -m training.toy_dia", description="Write the embedded toy of Dia.")
    parser.add_argument("folder", nargs="?", default=str(toy_folder()), help="where to (default: into the package)")
    write(Path(parser.parse_args(argv).folder))


def write(folder: Path) -> None:
    """Write config.json, model.safetensors and dac/ into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(CONFIG, indent=1) + "\n", encoding="utf-8")
    generator = torch.Generator().manual_seed(SEED)
    model = DiaModel(parse_config(CONFIG)).requires_grad_(False)
    for name, parameter in model.named_parameters():
        if parameter.ndim > 1:
            spread = 1.0 if "embedding" in name else parameter.shape[1] ** -0.5
            parameter.copy_(spread * torch.randn(parameter.shape, generator=generator))
    stored = {name: view.to(torch.bfloat16).contiguous() for name, view in multi_axis_views(model).items()}
    save_file(stored, folder / "model.safetensors")
    codec(generator).save_pretrained(folder / "dac")
    for weights in folder.rglob("*.safetensors"):
        weights.chmod(0o644)  # safetensors' own choice is the owner only


@torch.no_grad()
def codec(generator: torch.Generator) -> Any:
    """A DAC of random weights, whose noise is not too loud."""
    config = DacConfig(
        encoder_hidden_size=4,
        downsampling_ratios=[2, 4, 8, 8],
        decoder_hidden_size=48,
        upsampling_ratios=[8, 8, 4, 2],
        n_codebooks=9,
        codebook_size=CODES,
        codebook_dim=4,
        sampling_rate=44100,
    )
    model = DacModel(config).eval()
    for parameter in model.parameters():
        if parameter.ndim > 1:
            fan_in = parameter[0].numel()
            parameter.copy_(fan_in**-0.5 * torch.randn(parameter.shape, generator=generator))
    codes = torch.randint(0, CODES, (1, config.n_codebooks, 40), generator=generator)
    last = [part for part in model.decoder.modules() if isinstance(part, torch.nn.Conv1d)][-1]
    for _ in range(4):  # tanh stands behind it
        peak = float(model.decode(audio_codes=codes).audio_values.abs().max())
        last.weight.mul_(_LOUDNESS / peak)
        assert last.bias is not None, "DAC's convolutions have one"
        last.bias.zero_()
    return model


if __name__ == "__main__":
    main()
