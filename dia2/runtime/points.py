"""The hook points of Dia2; docs/hooks.md lists them."""

from __future__ import annotations

from dia2.common.hooks import EVERY_CALL, MAIN_CALL, HookPoint, declare, phases

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
)
declare("dia2", _POINTS)
