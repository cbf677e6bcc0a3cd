"""A tiny Whisper checkpoint, in openai-whisper's own format, that hears the same few words in any audio.

All its weights are random but those that make the decoder speak: the feed-forward layer maps each token to the one that
follows it in `SPOKEN`, and with each token the cross attention looks at a later moment of the audio. So all of Whisper
runs: spectrogram, encoder, language detection, decoding by the timestamp rules, alignment of the words by attention,
words put together from tokens and punctuation.
"""

from __future__ import annotations

from dataclasses import asdict
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor
from whisper.model import ModelDimensions, MultiHeadAttention, ResidualAttentionBlock, Whisper
from whisper.tokenizer import Tokenizer, get_tokenizer

SPOKEN = " Hello there, friend."  # no token twice: what follows depends on the last token only

_WIDTH = 32  # at least one axis for each token that is spoken or controls speech
_DIMS = ModelDimensions(
    n_mels=80,
    n_audio_ctx=1500,  # 30 s in steps of 0.02 s, which the timestamps assume
    n_audio_state=_WIDTH,
    n_audio_head=1,
    n_audio_layer=1,
    n_vocab=51865,  # that of the multilingual tokenizer
    n_text_ctx=64,
    n_text_state=_WIDTH,
    n_text_head=1,
    n_text_layer=1,
)
_STEPS_PER_TOKEN = 8  # 0.16 s, so that `SPOKEN` fits in a second
_CERTAIN = 8.0  # makes a token's logit lead by far; unsure of its words, Whisper would draw others at random


def write_tiny_whisper(path: Path, seed: int = 0) -> Path:
    """Write the checkpoint to `path`, for `whisper.load_model(str(path), device="cpu")`, and return `path`."""
    model = Whisper(_DIMS)
    tokenizer = get_tokenizer(multilingual=True, num_languages=model.num_languages, language="en", task="transcribe")
    with torch.no_grad():
        _randomize(model, torch.Generator().manual_seed(seed))
        _teach_to_speak(model, tokenizer)
    torch.save({"dims": asdict(_DIMS), "model_state_dict": dict(model.state_dict())}, path)
    return path


def _randomize(model: Whisper, generator: torch.Generator) -> None:
    for name, parameter in model.named_parameters():
        if "ln" not in name:  # layer norms stay the identity they are made as
            parameter.normal_(std=0.05, generator=generator)


def _teach_to_speak(model: Whisper, tokenizer: Tokenizer) -> None:
    words = tokenizer.encode(SPOKEN)
    start = tokenizer.timestamp_begin
    end = start + _DIMS.n_audio_ctx  # "speech up to the end of the window": Whisper does not read the rest once more
    spoken = [*tokenizer.sot_sequence, start, *words, end, tokenizer.eot]
    aligned = [tokenizer.no_timestamps, *words]  # Whisper aligns the words as if spoken without timestamps
    following = {**dict(pairwise(spoken)), **dict(pairwise(aligned))}
    axes = dict(zip(dict.fromkeys([*spoken, *aligned]), torch.eye(_WIDTH), strict=False))

    block = model.decoder.blocks[0]
    for token, axis in axes.items():
        model.decoder.token_embedding.weight[token] = _CERTAIN * axis
    _map_to_following(block, axes, following)
    _look_ahead(block.cross_attn, axes, aligned, model.encoder.positional_embedding)


def _map_to_following(block: ResidualAttentionBlock, axes: dict[int, Tensor], following: dict[int, int]) -> None:
    detect, _, emit = block.mlp
    for unit, (token, next_token) in enumerate(following.items()):
        # Layer-normed, a token is about √width on its own axis and 0 on the others; the bias stops the latter.
        detect.weight[unit] = 2 * axes[token]
        detect.bias[unit] = -(_WIDTH**0.5)
        emit.weight[:, unit] = _CERTAIN**2 * axes[next_token]  # outweighs the token itself, which the residual adds


def _look_ahead(attention: MultiHeadAttention, axes: dict[int, Tensor], tokens: list[int], positions: Tensor) -> None:
    # The keys are the audio's positional sinusoids; they agree best with the query that is the same sinusoids.
    attention.key.weight.copy_(torch.eye(_WIDTH))
    for count, token in enumerate(tokens):
        attention.query.weight += torch.outer(positions[round((count + 0.5) * _STEPS_PER_TOKEN)], axes[token])
