"""Build the embedded checkpoint `dia2/nano/` with random weights: the full published format at toy size.

    python training/random_nano.py [FOLDER]

Deterministic: the same versions of torch and tokenizers write the same bytes. It makes noise, not speech; its use
is that everything runs without a network.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import MimiConfig, MimiModel, PreTrainedTokenizerFast

from dia2.assets import nano_folder
from dia2.config import parse_config
from dia2.core.model import Dia2Model

SEED = 2
CODEBOOKS = 8
CODES = 64  # per codebook; BOS and pad follow
QUIET = 0.02  # scale of the codec's last layer, to be kind to ears
SPECIALS = ("<bos>", "<unused1>", "<new_word>", "<pad>", "<unused4>", "<unused5>", "<unused6>", "<zero>")
TEXT_VOCAB = 512  # with [S1] and [S2] at its end
SENTENCES = (
    "Hello there. Hi! How are you today? I am fine, thank you. And you? Not too bad.",
    "What is that? This is a test of the text to speech model. Really? Yes, really. No, not yet.",
    "Good morning. Good evening. See you tomorrow. I don't know. It's all right. We'll see. They're here.",
    "Where is the station? Turn left and go straight on. Can you help me? Of course I can.",
    "One two three four five six seven eight nine ten. Monday Tuesday Wednesday Thursday Friday.",
    "The weather is nice. It was cold yesterday. Would you like some coffee or some tea? Coffee, please.",
    "I think so too. That would be great. Let me think about it. Who was that? Nobody said anything.",
)


def config_dict() -> dict[str, Any]:
    """`config.json`, with the ids and quirks of the published files."""
    return {
        "data": {
            "channels": 2 + CODEBOOKS,
            "text_vocab_size": TEXT_VOCAB,
            "audio_vocab_size": CODES + 2,
            "action_vocab_size": 2,
            "text_pad_token_id": SPECIALS.index("<pad>"),
            "text_new_word_token_id": SPECIALS.index("<new_word>"),
            "text_zero_token_id": SPECIALS.index("<zero>"),
            "audio_pad_token_id": CODES + 1,
            "audio_bos_token_id": CODES,
            "action_pad_token_id": 0,
            "action_new_word_token_id": 1,
            "delay_pattern": [2, *[4] * (CODEBOOKS - 1)],
            "second_stream_ahead": 2,
        },
        "model": {
            "decoder": {
                "n_layer": 2,
                "n_embd": 96,
                "n_hidden": 192,
                "gqa_query_heads": 4,
                "kv_heads": 2,
                "gqa_head_dim": 24,
            },
            "depformer": {
                "n_layer": 1,
                "n_embd": 64,
                "n_hidden": 128,
                "gqa_query_heads": 4,
                "kv_heads": 4,
                "gqa_head_dim": 16,
                "text_embedding": False,
            },
            "normalization_layer_epsilon": 1e-6,
        },
        "runtime": {"weights_schedule": [0, 1, 1, 2, 2, 2, 2], "max_context_steps": 1500},
        "assets": {"tokenizer": "tokenizer", "mimi": "mimi"},
    }


def build_model() -> dict[str, torch.Tensor]:
    """A state dict: normal weights that keep the residual stream's size, norms at 1."""
    torch.manual_seed(SEED)
    model = Dia2Model(parse_config(config_dict()))
    for name, parameter in model.named_parameters():
        if parameter.dim() == 2:
            embedding = "embed" in name and "proj" not in name
            torch.nn.init.normal_(parameter, std=1.0 if embedding else parameter.shape[1] ** -0.5)
    return {name: tensor.contiguous() for name, tensor in model.state_dict().items()}


def build_mimi() -> MimiModel:
    """A codec of Mimi's architecture, 24 kHz and 12.5 frames a second."""
    torch.manual_seed(SEED)
    config = MimiConfig(
        num_filters=4,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=16,
        codebook_size=CODES,
        codebook_dim=16,
        vector_quantization_hidden_dimension=16,
        num_quantizers=CODEBOOKS,
        upsample_groups=32,
    )
    model = MimiModel(config).eval()
    for name, buffer in model.named_buffers():
        if name.endswith("embed_sum"):  # new codebooks are all zero, which would make silence
            buffer.copy_(torch.randn(buffer.shape))
    for module in model.modules():
        if isinstance(module, torch.nn.Conv1d) and module.out_channels == 1:  # the layer that gives the samples
            module.weight.data.mul_(QUIET)
    return model


def build_tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer like the published one: special tokens first, speaker tags last."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=TEXT_VOCAB - 2,
        special_tokens=list(SPECIALS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    tokenizer.add_special_tokens(["[S1]", "[S2]"])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<bos>", pad_token="<pad>")


def write_checkpoint(folder: Path) -> None:
    """Write config, weights, tokenizer and codec to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config_dict(), indent=1) + "\n", encoding="utf-8")
    save_file(build_model(), folder / "model.safetensors")
    build_mimi().save_pretrained(folder / "mimi")
    build_tokenizer().save_pretrained(folder / "tokenizer")
    for file in folder.rglob("*.safetensors"):
        file.chmod(0o644)  # safetensors makes them private; package data is for everybody


if __name__ == "__main__":
    write_checkpoint(Path(sys.argv[1]) if len(sys.argv) > 1 else nano_folder())
