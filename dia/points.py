"""The hook points of Dia; docs/hooks.md lists them."""

from __future__ import annotations

from dia2.common.hooks import EVERY_CALL, MAIN_CALL, ONCE, HookPoint, declare, phases

_POINTS = (
    *phases(
        ("dia.load", "files → config, model, codec"),
        ("dia.text", "scripts → bytes [B, S] and their mask"),
        ("dia.encoder", "bytes [2B, S] → encoder output [2B, S, width]"),
        ("dia.cross", "encoder output → keys and values of every layer's cross-attention"),
        ("dia.prompt", "recordings or codes → codes [T, C] of each script's prompt"),
        ("dia.delay", "codes [B, T, C] → delayed table [B, T, C]"),
        ("dia.state", "table of given rows, config and seed → the run's state before its first row"),
        ("dia.prefill", "the rows that all scripts are given, through the decoder in one pass"),
        ("dia.loop", "decoder steps → rows of the delayed grid"),
        ("dia.undelay", "delayed rows [B, T, C] → codes [B, T, C]"),
        ("dia.decode", "codes [T, C] → waveform [N], by DAC"),
        ("dia.write", "waveform → file"),
    ),
    HookPoint("encoder.tokens", "value", ONCE, "[B, S] int64: bytes of the scripts, tags as 1 and 2"),
    HookPoint("encoder.output", "value", ONCE, "[2B, S, width]: for each script unconditional first", "full"),
    HookPoint("kv.cross.length", "value", ONCE, "int: positions of the text that cross-attention looks at"),
    HookPoint("call", "value", EVERY_CALL, "CallInfo: which call this is"),
    HookPoint("step_tokens", "value", EVERY_CALL, "[B, C]: the row that the decoder reads"),
    HookPoint("audio_buf.column", "value", MAIN_CALL, "[B, C]: the row written"),
    HookPoint("eos.countdown", "value", MAIN_CALL, "[B] int64: steps since a script's end began; -1 before"),
    HookPoint("kv.self.length", "value", EVERY_CALL, "int: filled slots of the decoder's self-attention cache"),
    HookPoint("logits.channel.{c}", "value", MAIN_CALL, "[2B, V] float32 of channel c, unconditional first", "full"),
    HookPoint("draw.channel.{c}", "value", MAIN_CALL, "[B] Draw of channel c, before the countdown forces any", "topk"),
    HookPoint("time.frame", "time", MAIN_CALL, "seconds of the whole frame"),
)
declare("dia", _POINTS)
