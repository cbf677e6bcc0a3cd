"""What a config of Dia may say."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from dia2.common.checks import short
from dia2.common.fields import requirement

if TYPE_CHECKING:
    from dia.config import DecoderConfig, DiaConfig, EncoderConfig

_MOST_CHANNELS = 64


def check(config: DiaConfig, where: str, called: Callable[[str, str], str]) -> None:
    """Refuse numbers that contradict one another, and ids that no model can have, before anything is allocated by them.

    Args:
        config: what was read.
        where: what errors call the file.
        called: what the file calls a field, by its stack and its name here.

    Raises:
        CheckpointError: names the field.
    """
    need = requirement(where)
    data, model = config.data, config.model
    encoder, decoder = model.encoder, model.decoder
    need(
        1 <= data.channels <= _MOST_CHANNELS, f"the channels must be 1 to {_MOST_CHANNELS}, not {short(data.channels)}"
    )
    need(
        len(data.delay_pattern) == data.channels,
        f"delay_pattern has {len(data.delay_pattern)} entries for {data.channels} channels",
    )
    need(all(0 <= delay <= 4096 for delay in data.delay_pattern), "delay_pattern entries must be 0 to 4096")
    stacks: dict[str, EncoderConfig | DecoderConfig] = {"encoder": encoder, "decoder": decoder}
    for name, stack in stacks.items():
        need(
            stack.num_attention_heads % stack.num_key_value_heads == 0,
            f"the {name}'s {stack.num_attention_heads} heads are not a multiple of its {stack.num_key_value_heads} "
            "key/value heads",
        )
        need(stack.head_dim % 2 == 0, f"{called(name, 'head_dim')} must be even (rotary halves), not {stack.head_dim}")
        need(stack.norm_eps >= 0, f"{called(name, 'norm_eps')} must not be negative")
        need(stack.rope_theta > 0, f"{called(name, 'rope_theta')} must be positive")
        need(stack.hidden_act in ("silu", "swish"), f"the {name}'s activation {short(stack.hidden_act)} is not silu")
    need(
        decoder.cross_num_attention_heads % decoder.cross_num_key_value_heads == 0,
        f"the decoder's {decoder.cross_num_attention_heads} cross-attention heads are not a multiple of its "
        f"{decoder.cross_num_key_value_heads} key/value heads",
    )
    need(
        decoder.cross_hidden_size == encoder.hidden_size,
        f"the decoder attends to a width of {decoder.cross_hidden_size}, the encoder's is {encoder.hidden_size}",
    )
    specials = (data.audio_eos_value, data.audio_pad_value, data.audio_bos_value)
    need(
        all(0 < token < decoder.vocab_size for token in specials),
        f"eos, pad and bos are {', '.join(map(short, specials))}, outside a vocabulary of {decoder.vocab_size}",
    )
    need(len(set(specials)) == len(specials), "eos, pad and bos must differ")
    need(
        data.audio_eos_value == min(specials),
        "eos must be the first token after the codes, below pad and bos",
    )
    need(0 <= data.text_pad_value < encoder.vocab_size, "text_pad_value is outside the text vocabulary")
    need(model.rope_min_timescale > 0, "rope_min_timescale must be positive")
    need(encoder.vocab_size >= 3, "the text vocabulary must hold bytes and the two speaker tags")
    need(decoder.max_position_embeddings > data.max_delay + 1, "the decoder has fewer positions than the delays need")
