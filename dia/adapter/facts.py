"""What a manifest says of Dia's checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dia.assets import Source
from dia.model import Dia
from dia2.common.hashing import hash_files, hash_path

SHAPING = (  # facts that shapes and ids follow from; the others say where and how it ran
    "channels",
    "delays",
    "vocabulary",
    "eos",
    "pad",
    "bos",
    "text_vocabulary",
    "encoder_positions",
    "decoder_positions",
    "encoder_width",
    "decoder_layers",
    "heads",
    "cross_heads",
)


def model_facts(dia: Dia) -> dict[str, Any]:
    """What a reader needs to know of the checkpoint without having it."""
    data, encoder, decoder = dia.config.data, dia.config.model.encoder, dia.config.model.decoder
    return {
        "channels": data.channels,
        "delays": data.delay_pattern,
        "vocabulary": decoder.vocab_size,
        "eos": data.audio_eos_value,
        "pad": data.audio_pad_value,
        "bos": data.audio_bos_value,
        "text_vocabulary": encoder.vocab_size,
        "encoder_positions": encoder.max_position_embeddings,
        "decoder_positions": decoder.max_position_embeddings,
        "encoder_width": encoder.hidden_size,
        "encoder_layers": encoder.num_hidden_layers,
        "decoder_layers": decoder.num_hidden_layers,
        "heads": decoder.num_attention_heads,
        "kv_heads": decoder.num_key_value_heads,
        "cross_heads": decoder.cross_num_attention_heads,
        "sample_rate": None if dia.codec is None else dia.codec.sample_rate,
        "frame_rate": None if dia.codec is None else dia.codec.frame_rate,
        "device": str(dia.device),
        "dtype": str(dia.model.dtype).removeprefix("torch."),
    }


def fingerprint(source: Source, *, codec: bool) -> dict[str, str | None]:
    """Hashes of config, weights and codec; `None` for a part that is no local file or folder."""
    return {
        "config": hash_path(source.config),
        "weights": hash_files(source.weight_files),
        "codec": hash_path(Path(source.dac)) if codec else None,
    }
