"""The hook points of Dia2; docs/hooks.md lists them."""

from __future__ import annotations

from typing import Any

from dia2.common.hooks import EVERY_CALL, MAIN_CALL, HookPoint, act, declare, phases

_LAYER: dict[str, Any] = {"layers": "layers"}
_STAGES: dict[str, Any] = {"layers": "depformer layers", "when": MAIN_CALL}
ACTIVATIONS = (
    act("act.embed", ("B", "n_embd"), "hook_embed", "the residual stream before the first layer", edited=True),
    act(
        "act.{l}.resid", ("B", "n_embd"), "hook_resid_post", "the residual stream after layer l", edited=True, **_LAYER
    ),
    act(
        "act.{l}.attn", ("B", "n_embd"), "hook_attn_out", "what its attention adds to the stream", edited=True, **_LAYER
    ),
    act("act.{l}.mlp", ("B", "n_embd"), "hook_mlp_out", "what its MLP adds to the stream", edited=True, **_LAYER),
    act(
        "act.{l}.heads",
        ("B", "heads", "head_dim"),
        "hook_z",
        "what each head gives, before the output projection",
        edited=True,
        **_LAYER,
    ),
    act(
        "act.{l}.q", ("B", "heads", "head_dim"), "hook_rot_q", "queries as they are compared: normed, rotated", **_LAYER
    ),
    act("act.{l}.k", ("B", "kv_heads", "head_dim"), "hook_rot_k", "the call's keys, likewise", **_LAYER),
    act("act.{l}.v", ("B", "kv_heads", "head_dim"), "hook_v", "the call's values", **_LAYER),
    act("act.{l}.pattern", ("B", "heads", "slots"), "hook_pattern", "attention to each slot of the cache", **_LAYER),
    act(
        "act.hidden",
        ("B", "n_embd"),
        "ln_final",
        "after the final norm: what is drawn is computed from it",
        edited=True,
    ),
    act(
        "act.dep.{l}.resid",
        ("B", "K-1", "dep_embd"),
        "hook_resid_post",
        "of the depformer, of each stage",
        edited=True,
        **_STAGES,
    ),
    act(
        "act.dep.{l}.heads",
        ("B", "K-1", "dep_heads", "dep_head_dim"),
        "hook_z",
        "likewise",
        edited=True,
        **_STAGES,
    ),
)
_POINTS = (
    *phases(
        ("cli.parse", "arguments of the command line → parsed flags"),
        ("engine.init", "where the checkpoint is → an engine that has loaded nothing"),
        ("script.load", "what --input names → the script"),
        ("config.validate", "sampling values of the command line, checked"),
        ("config.build", "sampling values of the command line → GenerationConfig"),
        ("config.overrides", "flags → overrides of generate()"),
        ("runtime.ensure", "engine → RuntimeContext, loaded or kept from before"),
        ("runtime.build", "files → RuntimeContext"),
        ("runtime.tokens", "config and tokenizer → TokenIds"),
        ("machine.init", "token ids and lookahead → StateMachine"),
        ("config.merge", "base config and overrides → GenerationConfig"),
        ("script.normalize", "script → one string"),
        ("prefix.plan", "recordings → PrefixPlan, or none"),
        ("prefix.voice", "one speaker's recording → codes and words"),
        ("prefix.transcribe", "samples → words with times, by Whisper"),
        ("prefix.encode", "samples → codes [K, frames]"),
        ("prefix.words", "words with times → entries and new-word steps"),
        ("prefix.combine", "entries, steps and codes of each speaker → PrefixPlan"),
        ("script.parse", "text → entries"),
        ("entries.combine", "prefix entries and script entries → all entries"),
        ("machine.padding", "initial padding → the machine"),
        ("machine.new_state", "entries → the machine's state before step 0"),
        ("state.build", "config, seed and prefix → GenerationState"),
        ("warmup", "the prefix through transformer and machine"),
        ("loop", "the main loop → delayed grid [B, K, columns]"),
        ("grid.undelay", "delayed grid [K, columns] → aligned codes [K, T]"),
        ("grid.crop", "first word's frame → frames cut off the front"),
        ("codec.decode", "aligned codes [K, T] → waveform [N]"),
        ("words.place", "what the machine took when → words with seconds"),
        ("wav.write", "waveform → file"),
    ),
    HookPoint("call", "value", EVERY_CALL, "CallInfo: which call this is"),
    HookPoint("machine.before", "value", EVERY_CALL, "MachineRow: the state machine before the step"),
    HookPoint("machine.after", "value", EVERY_CALL, "MachineRow: the state machine after the step"),
    HookPoint("step_tokens", "value", EVERY_CALL, "[B, 2 + K] int64: the frame as the transformer sees it"),
    HookPoint("audio_buf.column", "value", MAIN_CALL, "[K] int64: codes drawn, written to grid column step + 1"),
    HookPoint(
        "kv.transformer.length", "value", EVERY_CALL, "int: filled slots of the transformer's cache after the call"
    ),
    HookPoint("kv.depformer.length", "value", EVERY_CALL, "int: filled slots of the depformer's cache; 0 in warm-up"),
    HookPoint(
        "logits.action", "value", MAIN_CALL, "[B, actions] float32; row 0 conditional, row 1 unconditional", "full"
    ),
    HookPoint("logits.cb0", "value", MAIN_CALL, "[B, audio vocabulary] float32, likewise", "full"),
    HookPoint("logits.dep.{k}", "value", MAIN_CALL, "[B, codes] float32 of codebook k = 1 … K-1, likewise", "full"),
    HookPoint(
        "draw.action",
        "value",
        MAIN_CALL,
        "Draw: best candidates before and after guidance, choice, probability",
        "topk",
    ),
    HookPoint("draw.cb0", "value", MAIN_CALL, "Draw, likewise", "topk"),
    HookPoint("draw.dep.{k}", "value", MAIN_CALL, "Draw of codebook k = 1 … K-1, likewise", "topk"),
    HookPoint(
        "time.first", "time", MAIN_CALL, "seconds until the action was known: transformer and the first two draws"
    ),
    HookPoint("time.machine", "time", MAIN_CALL, "seconds of the state machine"),
    HookPoint("time.second", "time", MAIN_CALL, "seconds of the depformer (on a GPU: of handing it over)"),
    HookPoint("time.frame", "time", MAIN_CALL, "seconds of the whole frame"),
    *ACTIVATIONS,
)
declare("dia2", _POINTS)
