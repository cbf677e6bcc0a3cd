"""What a phase did, in words and numbers: its trigger and the state before, its mutations and outputs.

Written at the time, while the objects are at hand; the trace keeps the sentences.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from dia2.assets import nano_folder
from dia2.hooks import Span

KEPT = "kept from an earlier run of this engine"

_LONGEST = 240  # characters of one cell


class Description(NamedTuple):
    """The four cells that one phase fills."""

    trigger: str = ""
    before: str = ""
    mutations: str = ""
    outputs: str = ""


Say = Callable[[Span], str]


def count(number: int, noun: str) -> str:
    """`3 words`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _shape(tensor: Any) -> str:
    return "[" + ", ".join(str(size) for size in tensor.shape) + "]"


def _words(entries: Sequence[Any]) -> str:
    words = [entry.text for entry in entries if entry.tokens]
    breaks = len(entries) - len(words)
    text = count(len(words), "word") + (f" and {count(breaks, 'break')}" if breaks else "")
    return f"{text}: {_quote(' '.join(words))}" if words else text


def _quote(text: str, most: int = 60) -> str:
    return f"“{text[:most]}{'…' if len(text) > most else ''}”"


def _steps(steps: Sequence[int]) -> str:
    shown = ", ".join(map(str, steps[:12]))
    return f"{shown}{', …' if len(steps) > 12 else ''}"


def _config(config: Any) -> str:
    return (
        f"text {config.text.temperature:g}/{config.text.top_k}, audio {config.audio.temperature:g}/"
        f"{config.audio.top_k} (temperature/top-k), cfg {config.cfg_scale:g} keeping {config.cfg_filter_k}"
    )


def _source(value: object) -> str:
    return str(value) if isinstance(value, str) or hasattr(value, "__fspath__") else "given as a list"


def _engine(span: Span) -> str:
    given = span.inputs
    return str(given["repo"] or f"{given['config_path']}, {given['weights_path']}")


def _cache(cache: Any) -> str:
    return _shape(cache.keys)


def _given_options(span: Span) -> str:
    given = {name: value for name, value in span.inputs["overrides"].items() if value is not None}  # type: ignore[attr-defined]  # a dict
    return ", ".join(f"{name}={_source(value) if 'prefix' in name else value}" for name, value in given.items())


def _result(span: Span) -> Any:
    return span.result


def _in(span: Span, name: str) -> Any:
    return span.inputs[name]


def _place(path: Path) -> str:
    """A path as it was given; of the embedded checkpoint without where the package lies."""
    package = nano_folder().parent.parent
    return str(path.relative_to(package) if path.is_relative_to(nano_folder()) else path)


def _nothing(_: Span) -> str:
    return "none"


def _loop_outputs(span: Span) -> str:
    loop = _result(span)
    return f"stopped by {loop.stop_reason}, first word at frame {loop.first_word_frame}, grid {_shape(loop.grid)}"


def _loop_mutations(span: Span) -> str:
    gen = _in(span, "gen")
    frames = gen.last_step - _in(span, "start_step") + 1
    return (
        f"{count(frames, 'frame')}: grid columns {_in(span, 'start_step') + 1} … {gen.last_step + 1} written, "
        f"transformer KV {span.notes['calls']} → {gen.calls} slots, "
        f"entries {span.notes['entries']} → {len(_in(span, 'state').entries)}"
    )


def kept_text(parts: Sequence[str]) -> str:
    """`codes and words kept from an earlier run of this engine`."""
    return f"{' and '.join(parts)} {KEPT}"


def _warmup_mutations(span: Span) -> str:
    frames, chunk = _in(span, "plan").aligned_frames, _in(span, "chunk")
    how = f"{-(-frames // chunk)} pass over {count(frames, 'frame')} instead of as many steps"
    if _in(span, "runtime").warm.hits > span.notes["hits"]:
        how = f"no pass: the KV of {count(frames, 'frame')} is taken from the warm cache, {KEPT}"
    taken = len(_in(span, "state").transcript)
    return f"{how}; transformer KV 0 → {_in(span, 'gen').calls} slots; {taken} words taken"


def _machine_counts(state: Any) -> str:
    return (
        f"{count(len(state.entries), 'entry').replace('entrys', 'entries')}, padding budget {state.padding_budget}, "
        f"forced padding {state.forced_padding}"
    )


# begin: trigger and state before. end: mutations and outputs.
_SAY: dict[str, tuple[Say, Say, Say, Say]] = {
    "cli.parse": (
        lambda s: " ".join(map(str, _in(s, "argv"))),
        _nothing,
        lambda s: "creates args",
        lambda s: f"device {_result(s).device or 'auto'}, dtype {_result(s).dtype}",
    ),
    "engine.init": (
        _engine,
        lambda s: "no runtime",
        lambda s: "notes where the checkpoint is",
        lambda s: f"device {_in(s, 'self')._device}, dtype {_in(s, 'self')._dtype}; nothing loaded yet",
    ),
    "script.load": (
        lambda s: _quote(str(_in(s, "source"))),
        _nothing,
        _nothing,
        lambda s: count(len(_result(s)), "character"),
    ),
    "config.validate": (
        lambda s: f"temperature {_in(s, 'temperature'):g}, top-k {_in(s, 'top_k')}, cfg {_in(s, 'cfg_scale'):g}",
        _nothing,
        _nothing,
        lambda s: "in range",
    ),
    "config.build": (
        lambda s: f"temperature {_in(s, 'temperature'):g}, top-k {_in(s, 'top_k')}, cfg {_in(s, 'cfg_scale'):g}",
        _nothing,
        lambda s: "creates GenerationConfig",
        lambda s: _config(_result(s)),
    ),
    "config.overrides": (
        lambda s: "flags of the command line",
        _nothing,
        lambda s: "creates overrides",
        lambda s: ", ".join(f"{k}={v}" for k, v in _result(s).items() if v is not None) or "none given",
    ),
    "runtime.ensure": (
        lambda s: "generate() begins",
        lambda s: "no runtime" if _in(s, "self")._runtime is None else "a runtime from before",
        lambda s: "loads config, weights, tokenizer, codec" if s.notes["fresh"] else "none: kept",
        lambda s: f"{_result(s).weight_bytes / 1e6:,.1f} MB of weights on {_result(s).device}",
    ),
    "runtime.build": (
        lambda s: f"{_place(_in(s, 'assets').config_path)}, {_place(_in(s, 'assets').weights_path)}",
        _nothing,
        lambda s: "builds the modules, fills them from safetensors, loads tokenizer and Mimi",
        lambda s: (
            f"{sum(p.numel() for p in _result(s).model.parameters()):,} parameters, {_result(s).dtype}, "
            f"{len(_result(s).audio_delays)} codebooks, {_result(s).frame_rate:g} frames/s"
        ),
    ),
    "runtime.tokens": (
        lambda s: "config and the tokenizer's vocabulary",
        _nothing,
        lambda s: "creates TokenIds",
        lambda s: (
            f"new_word {_result(s).new_word}, pad {_result(s).pad}, bos {_result(s).bos}, zero {_result(s).zero}, "
            f"[S1] {_result(s).spk1}, [S2] {_result(s).spk2}, audio pad {_result(s).audio_pad}, "
            f"bos {_result(s).audio_bos}"
        ),
    ),
    "machine.init": (
        lambda s: f"token ids, second_stream_ahead {_in(s, 'second_stream_ahead')}",
        _nothing,
        lambda s: "creates StateMachine",
        lambda s: f"max_padding {_in(s, 'self').max_padding}, initial_padding {_in(s, 'self').initial_padding}",
    ),
    "config.merge": (
        _given_options,
        lambda s: "defaults" if _in(s, "base") is None else _config(_in(s, "base")),
        lambda s: "creates the merged config" + ("" if _result(s).prefix is None else ", prefix in it"),
        lambda s: _config(_result(s)),
    ),
    "script.normalize": (
        lambda s: "one string" if isinstance(_in(s, "script"), str) else count(len(_in(s, "script")), "line"),
        _nothing,
        lambda s: "strips lines, joins them",
        lambda s: f"{count(len(_result(s)), 'character')}: {_quote(_result(s))}",
    ),
    "prefix.plan": (
        lambda s: (
            "no prefix"
            if _in(s, "prefix") is None or _in(s, "prefix").speaker_1 is None
            else ", ".join(str(x) for x in (_in(s, "prefix").speaker_1, _in(s, "prefix").speaker_2) if x is not None)
        ),
        _nothing,
        lambda s: "none: nothing to go on from" if _result(s) is None else "goes through rows 14 to 18",
        lambda s: (
            "no plan"
            if _result(s) is None
            else f"{count(len(_result(s).entries), 'word')}, {count(_result(s).aligned_frames, 'frame')}"
        ),
    ),
    "prefix.voice": (
        lambda s: str(_in(s, "source")),
        _nothing,
        lambda s: "reads one speaker",
        lambda s: f"codes {_shape(_result(s).codes)}" + (f"; {kept_text(_result(s).kept)}" if _result(s).kept else ""),
    ),
    "prefix.transcribe": (
        lambda s: f"{_in(s, 'samples').shape[0] / 16000:.2f} s at 16 kHz, Whisper {_in(s, 'whisper_model')}",
        _nothing,
        lambda s: "loads Whisper, transcribes",
        lambda s: f"{count(len(_result(s)), 'word')}: {_quote(' '.join(word.text for word in _result(s)))}",
    ),
    "prefix.encode": (
        lambda s: f"{_in(s, 'samples').shape[0]:,} samples at {_in(s, 'codec').sample_rate} Hz",
        _nothing,
        lambda s: "runs Mimi's encoder",
        lambda s: f"codes {_shape(_result(s))}, {int(_result(s).min())} … {int(_result(s).max())}",
    ),
    "prefix.words": (
        lambda s: f"{count(len(_in(s, 'words')), 'word')} of speaker {_in(s, 'speaker')}",
        _nothing,
        lambda s: "creates entries and new-word steps",
        lambda s: f"{_words(_result(s)[0])}; steps {_steps(_result(s)[1])}",
    ),
    "prefix.combine": (
        lambda s: " + ".join(f"codes {_shape(codes)}" for codes in _in(s, "codes")),
        _nothing,
        lambda s: f"speaker 1 moves by 3 frames, speaker 2 by {_in(s, 'codes')[0].shape[1]}; codes joined in time",
        lambda s: (
            f"PrefixPlan: {count(len(_result(s).entries), 'word')}, {count(_result(s).aligned_frames, 'frame')}, "
            f"new words at {_steps(_result(s).new_word_steps)}"
        ),
    ),
    "script.parse": (
        lambda s: _quote(" ".join(map(str, _in(s, "lines")))),
        _nothing,
        lambda s: "creates entries: speaker tags, tokens, padding",
        lambda s: _words(_result(s)),
    ),
    "entries.combine": (
        lambda s: (
            f"{0 if _in(s, 'plan') is None else len(_in(s, 'plan').entries)} of the prefix, "
            f"{len(_in(s, 'script'))} of the script"
        ),
        _nothing,
        lambda s: "prefix first, then the script",
        lambda s: f"{len(_result(s))} entries",
    ),
    "machine.padding": (
        lambda s: f"initial_padding {_in(s, 'frames')}",
        lambda s: f"machine.initial_padding {_in(s, 'machine').initial_padding}",
        lambda s: f"machine.initial_padding = {_in(s, 'machine').initial_padding}",
        lambda s: f"no word before frame {_in(s, 'frames')}",
    ),
    "machine.new_state": (
        lambda s: f"{len(_in(s, 'entries'))} entries",
        _nothing,
        lambda s: "queues the entries; nothing pending",
        lambda s: _machine_counts(_result(s)),
    ),
    "state.build": (
        lambda s: (
            f"seed {_in(s, 'seed')}, "
            + (
                "no prefix"
                if _in(s, "prefix") is None
                else f"prefix of {count(_in(s, 'prefix').aligned_frames, 'frame')}"
            )
        ),
        _nothing,
        lambda s: (
            f"{'allocates' if _result(s).loan is None else 'begins in kept tensors:'} step_tokens "
            f"{_shape(_result(s).step_tokens)}, audio_buf {_shape(_result(s).audio_buf)}"
            + ("" if _in(s, "prefix") is None else " with the delayed prefix")
        ),
        lambda s: (
            f"KV of transformer {_cache(_result(s).decode.transformer)}, of depformer "
            f"{_cache(_result(s).decode.depformer)}; uniforms {_shape(_result(s).uniforms)}"
        ),
    ),
    "warmup": (
        lambda s: (
            f"{count(_in(s, 'plan').aligned_frames, 'frame')}, {len(_in(s, 'plan').new_word_steps)} forced new words"
        ),
        lambda s: f"transformer KV empty; {_machine_counts(_in(s, 'state'))}",
        _warmup_mutations,
        lambda s: (
            f"start_step {_result(s)}; pending {list(_in(s, 'state').pending_tokens)}, "
            f"{_machine_counts(_in(s, 'state'))}"
        ),
    ),
    "loop": (
        lambda s: f"start_step {_in(s, 'start_step')}; {_config(_in(s, 'config'))}",
        lambda s: f"{_in(s, 'gen').calls} slots of transformer KV filled; {_machine_counts(_in(s, 'state'))}",
        _loop_mutations,
        _loop_outputs,
    ),
    "grid.undelay": (
        lambda s: f"delayed grid {_shape(_in(s, 'grid'))}, delays {_steps(_in(s, 'delays'))}",
        lambda s: "codebook k of frame t in column t + delay[k]",
        lambda s: "codebooks aligned",
        lambda s: f"aligned {_shape(_result(s))}",
    ),
    "grid.crop": (
        lambda s: (
            f"first word at frame {_in(s, 'first_word_frame')}, prefix "
            f"{'kept' if _in(s, 'self').includes_prefix else 'cut'}"
        ),
        lambda s: f"{count(_in(s, 'frames'), 'frame')} aligned",
        lambda s: f"cuts {count(_result(s), 'frame')} off the front" if _result(s) else "none: nothing to cut",
        lambda s: f"{count(_in(s, 'frames') - _result(s), 'frame')} left",
    ),
    "codec.decode": (
        lambda s: f"aligned {_shape(_in(s, 'aligned'))}",
        _nothing,
        lambda s: "runs Mimi's decoder",
        lambda s: f"{_result(s).shape[0]:,} samples",
    ),
    "words.place": (
        lambda s: f"{len(_in(s, 'session').state.transcript)} words begun, crop {_in(s, 'crop')}",
        lambda s: "(word, step)",
        lambda s: (
            "subtracts the crop, divides by the frame rate"
            + ("" if _in(s, "session").includes_prefix else "; leaves prefix words out")
        ),
        lambda s: f"{count(len(_result(s)), 'word')} with seconds",
    ),
    "wav.write": (
        lambda s: f"{_in(s, 'waveform').shape[0]:,} samples at {_in(s, 'sample_rate')} Hz",
        lambda s: "no file, or an older one",
        lambda s: "writes a file beside it, renames it",
        lambda s: str(_in(s, "path")),
    ),
}


def describe_begin(span: Span) -> Description:
    """Trigger and state before; also notes in the span what its end is compared with."""
    if span.name == "runtime.ensure":
        span.notes["fresh"] = _in(span, "self")._runtime is None
    if span.name == "warmup":
        span.notes["hits"] = _in(span, "runtime").warm.hits
    if span.name == "loop":
        span.notes |= {"calls": _in(span, "gen").calls, "entries": len(_in(span, "state").entries)}
    trigger, before, _, _ = _SAY[span.name]
    return Description(trigger=_cell(trigger(span)), before=_cell(before(span)))


def describe_end(span: Span) -> Description:
    """Mutations and outputs of a phase that ended well."""
    _, _, mutations, outputs = _SAY[span.name]
    return Description(mutations=_cell(mutations(span)), outputs=_cell(outputs(span)))


def _cell(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
