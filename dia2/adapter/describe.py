"""What Dia2's phases did, in words and numbers; see `dia2.inspect.schema.saying`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dia2.common.hooks import Span
from dia2.common.wording import counted
from dia2.inspect.schema.saying import SOUND_WRITTEN, Sayings, arg, nothing, out, quote, shape, steps_text
from dia2.runtime.assets import nano_folder

KEPT = "kept from an earlier run of this engine"


def _words(entries: Sequence[Any]) -> str:
    words = [entry.text for entry in entries if entry.tokens]
    breaks = len(entries) - len(words)
    text = counted(len(words), "word") + (f" and {counted(breaks, 'break')}" if breaks else "")
    return f"{text}: {quote(' '.join(words))}" if words else text


def _config(config: Any) -> str:
    return (
        f"text {config.text.temperature:g}/{config.text.top_k}, audio {config.audio.temperature:g}/"
        f"{config.audio.top_k} (temperature/top-k), cfg {config.cfg_scale:g} keeping {config.cfg_filter_k}"
    )


def _source(value: object) -> str:
    return str(value) if isinstance(value, str) or hasattr(value, "__fspath__") else "given as a list"


def _given_options(span: Span) -> str:
    given = {name: value for name, value in span.inputs["overrides"].items() if value is not None}  # type: ignore[attr-defined]  # a dict
    return ", ".join(f"{name}={_source(value) if 'prefix' in name else value}" for name, value in given.items())


def _place(path: str | Path) -> str:
    """A path as it was given; of the embedded checkpoint without where the package lies."""
    package = nano_folder().parent.parent
    return str(Path(path).relative_to(package) if Path(path).is_relative_to(nano_folder()) else path)


def _loop_mutations(span: Span) -> str:
    gen = arg(span, "gen")
    frames = gen.last_step - arg(span, "start_step") + 1
    return (
        f"{counted(frames, 'frame')}: grid columns {arg(span, 'start_step') + 1} … {gen.last_step + 1} written, "
        f"transformer KV {span.notes['calls']} → {counted(gen.calls, 'slot')}, "
        f"entries {span.notes['entries']} → {len(arg(span, 'state').entries)}"
    )


def kept_text(parts: Sequence[str]) -> str:
    """`codes and words kept from an earlier run of this engine`."""
    return f"{' and '.join(parts)} {KEPT}"


def _warmup_mutations(span: Span) -> str:
    frames, chunk = arg(span, "plan").aligned_frames, arg(span, "chunk")
    how = f"{counted(-(-frames // chunk), 'pass')} over {counted(frames, 'frame')} instead of as many steps"
    if arg(span, "runtime").warm.hits > span.notes["hits"]:
        how = f"no pass: the KV of {counted(frames, 'frame')} is taken from the warm cache, {KEPT}"
    taken = len(arg(span, "state").transcript)
    return f"{how}; transformer KV 0 → {counted(arg(span, 'gen').calls, 'slot')}; {counted(taken, 'word')} taken"


def _machine_counts(state: Any) -> str:
    return (
        f"{counted(len(state.entries), 'entry')}, padding budget {state.padding_budget}, "
        f"forced padding {state.forced_padding}"
    )


# begin: trigger and state before. end: mutations and outputs.
SAY: Sayings = {
    "cli.parse": (
        lambda s: " ".join(map(str, arg(s, "argv"))),
        nothing,
        lambda s: "creates args",
        lambda s: f"device {out(s).device or 'auto'}, dtype {out(s).dtype}",
    ),
    "engine.init": (
        lambda s: str(arg(s, "repo") or f"{_place(arg(s, 'config_path'))}, {_place(arg(s, 'weights_path'))}"),
        lambda s: "no runtime",
        lambda s: "notes where the checkpoint is",
        lambda s: f"device {arg(s, 'self')._device}, dtype {arg(s, 'self')._dtype}; nothing loaded yet",
    ),
    "script.load": (
        lambda s: quote(str(arg(s, "source"))),
        nothing,
        nothing,
        lambda s: counted(len(out(s)), "character"),
    ),
    "config.validate": (
        lambda s: f"temperature {arg(s, 'temperature'):g}, top-k {arg(s, 'top_k')}, cfg {arg(s, 'cfg_scale'):g}",
        nothing,
        nothing,
        lambda s: "in range",
    ),
    "config.build": (
        lambda s: f"temperature {arg(s, 'temperature'):g}, top-k {arg(s, 'top_k')}, cfg {arg(s, 'cfg_scale'):g}",
        nothing,
        lambda s: "creates GenerationConfig",
        lambda s: _config(out(s)),
    ),
    "config.overrides": (
        lambda s: "flags of the command line",
        nothing,
        lambda s: "creates overrides",
        lambda s: ", ".join(f"{k}={v}" for k, v in out(s).items() if v is not None) or "none given",
    ),
    "runtime.ensure": (
        lambda s: "generate() begins",
        lambda s: "no runtime" if arg(s, "self")._runtime is None else "a runtime from before",
        lambda s: "loads config, weights, tokenizer, codec" if s.notes["fresh"] else "none: kept",
        lambda s: f"{out(s).weight_bytes / 1e6:,.1f} MB of weights on {out(s).device}",
    ),
    "runtime.build": (
        lambda s: f"{_place(arg(s, 'assets').config_path)}, {_place(arg(s, 'assets').weights_path)}",
        nothing,
        lambda s: "builds the modules, fills them from safetensors, loads tokenizer and Mimi",
        lambda s: (
            f"{sum(p.numel() for p in out(s).model.parameters()):,} parameters, {out(s).dtype}, "
            f"{counted(len(out(s).audio_delays), 'codebook')}, {out(s).frame_rate:g} frames/s"
        ),
    ),
    "runtime.tokens": (
        lambda s: "config and the tokenizer's vocabulary",
        nothing,
        lambda s: "creates TokenIds",
        lambda s: (
            f"new_word {out(s).new_word}, pad {out(s).pad}, bos {out(s).bos}, zero {out(s).zero}, "
            f"[S1] {out(s).spk1}, [S2] {out(s).spk2}, audio pad {out(s).audio_pad}, "
            f"bos {out(s).audio_bos}"
        ),
    ),
    "machine.init": (
        lambda s: f"token ids, second_stream_ahead {arg(s, 'second_stream_ahead')}",
        nothing,
        lambda s: "creates StateMachine",
        lambda s: f"max_padding {arg(s, 'self').max_padding}, initial_padding {arg(s, 'self').initial_padding}",
    ),
    "config.merge": (
        _given_options,
        lambda s: "defaults" if arg(s, "base") is None else _config(arg(s, "base")),
        lambda s: "creates the merged config" + ("" if out(s).prefix is None else ", prefix in it"),
        lambda s: _config(out(s)),
    ),
    "script.normalize": (
        lambda s: "one string" if isinstance(arg(s, "script"), str) else counted(len(arg(s, "script")), "line"),
        nothing,
        lambda s: "strips lines, joins them",
        lambda s: f"{counted(len(out(s)), 'character')}: {quote(out(s))}",
    ),
    "prefix.plan": (
        lambda s: (
            "no prefix"
            if arg(s, "prefix") is None or arg(s, "prefix").speaker_1 is None
            else ", ".join(str(x) for x in (arg(s, "prefix").speaker_1, arg(s, "prefix").speaker_2) if x is not None)
        ),
        nothing,
        lambda s: "none: nothing to go on from" if out(s) is None else "goes through rows 14 to 18",
        lambda s: (
            "no plan"
            if out(s) is None
            else f"{counted(len(out(s).entries), 'word')}, {counted(out(s).aligned_frames, 'frame')}"
        ),
    ),
    "prefix.voice": (
        lambda s: str(arg(s, "source")),
        nothing,
        lambda s: "reads one speaker",
        lambda s: f"codes {shape(out(s).codes)}" + (f"; {kept_text(out(s).kept)}" if out(s).kept else ""),
    ),
    "prefix.transcribe": (
        lambda s: f"{arg(s, 'samples').shape[0] / 16000:.2f} s at 16 kHz, Whisper {arg(s, 'whisper_model')}",
        nothing,
        lambda s: "loads Whisper, transcribes",
        lambda s: f"{counted(len(out(s)), 'word')}: {quote(' '.join(word.text for word in out(s)))}",
    ),
    "prefix.encode": (
        lambda s: f"{counted(arg(s, 'samples').shape[0], 'sample')} at {arg(s, 'codec').sample_rate} Hz",
        nothing,
        lambda s: "runs Mimi's encoder",
        lambda s: f"codes {shape(out(s))}, {int(out(s).min())} … {int(out(s).max())}",
    ),
    "prefix.words": (
        lambda s: f"{counted(len(arg(s, 'words')), 'word')} of speaker {arg(s, 'speaker')}",
        nothing,
        lambda s: "creates entries and new-word steps",
        lambda s: f"{_words(out(s)[0])}; steps {steps_text(out(s)[1])}",
    ),
    "prefix.combine": (
        lambda s: " + ".join(f"codes {shape(codes)}" for codes in arg(s, "codes")),
        nothing,
        lambda s: f"speaker 1 moves by 3 frames, speaker 2 by {arg(s, 'codes')[0].shape[1]}; codes joined in time",
        lambda s: (
            f"PrefixPlan: {counted(len(out(s).entries), 'word')}, {counted(out(s).aligned_frames, 'frame')}, "
            f"new words at {steps_text(out(s).new_word_steps)}"
        ),
    ),
    "script.parse": (
        lambda s: quote(" ".join(map(str, arg(s, "lines")))),
        nothing,
        lambda s: "creates entries: speaker tags, tokens, padding",
        lambda s: _words(out(s)),
    ),
    "entries.combine": (
        lambda s: (
            f"{0 if arg(s, 'plan') is None else len(arg(s, 'plan').entries)} of the prefix, "
            f"{len(arg(s, 'script'))} of the script"
        ),
        nothing,
        lambda s: "prefix first, then the script",
        lambda s: counted(len(out(s)), "entry"),
    ),
    "machine.padding": (
        lambda s: f"initial_padding {arg(s, 'frames')}",
        lambda s: f"machine.initial_padding {arg(s, 'machine').initial_padding}",
        lambda s: f"machine.initial_padding = {arg(s, 'machine').initial_padding}",
        lambda s: f"no word before frame {arg(s, 'frames')}",
    ),
    "machine.new_state": (
        lambda s: counted(len(arg(s, "entries")), "entry"),
        nothing,
        lambda s: "queues the entries; nothing pending",
        lambda s: _machine_counts(out(s)),
    ),
    "state.build": (
        lambda s: (
            f"seed {arg(s, 'seed')}, "
            + (
                "no prefix"
                if arg(s, "prefix") is None
                else f"prefix of {counted(arg(s, 'prefix').aligned_frames, 'frame')}"
            )
        ),
        nothing,
        lambda s: (
            f"{'allocates' if out(s).lease is None else 'begins in kept tensors:'} step_tokens "
            f"{shape(out(s).step_tokens)}, audio_buf {shape(out(s).audio_buf)}"
            + ("" if arg(s, "prefix") is None else " with the delayed prefix")
        ),
        lambda s: (
            f"KV of transformer {shape(out(s).decode.transformer.keys)}, of depformer "
            f"{shape(out(s).decode.depformer.keys)}; uniforms {shape(out(s).uniforms)}"
        ),
    ),
    "warmup": (
        lambda s: (
            f"{counted(arg(s, 'plan').aligned_frames, 'frame')}, "
            f"{counted(len(arg(s, 'plan').new_word_steps), 'forced new word')}"
        ),
        lambda s: f"transformer KV empty; {_machine_counts(arg(s, 'state'))}",
        _warmup_mutations,
        lambda s: (
            f"start_step {out(s)}; pending {list(arg(s, 'state').pending_tokens)}, {_machine_counts(arg(s, 'state'))}"
        ),
    ),
    "loop": (
        lambda s: f"start_step {arg(s, 'start_step')}; {_config(arg(s, 'config'))}",
        lambda s: (
            f"{counted(arg(s, 'gen').calls, 'slot')} of transformer KV filled; {_machine_counts(arg(s, 'state'))}"
        ),
        _loop_mutations,
        lambda s: (
            f"stopped by {out(s).stop_reason}, first word at frame {out(s).first_word_frame}, grid {shape(out(s).grid)}"
        ),
    ),
    "grid.undelay": (
        lambda s: f"delayed grid {shape(arg(s, 'grid'))}, delays {steps_text(arg(s, 'delays'))}",
        lambda s: "codebook k of frame t in column t + delay[k]",
        lambda s: "codebooks aligned",
        lambda s: f"aligned {shape(out(s))}",
    ),
    "grid.crop": (
        lambda s: (
            f"first word at frame {arg(s, 'first_word_frame')}, prefix "
            f"{'kept' if arg(s, 'self').includes_prefix else 'cut'}"
        ),
        lambda s: f"{counted(arg(s, 'frames'), 'frame')} aligned",
        lambda s: f"cuts {counted(out(s), 'frame')} off the front" if out(s) else "none: nothing to cut",
        lambda s: f"{counted(arg(s, 'frames') - out(s), 'frame')} left",
    ),
    "codec.decode": (
        lambda s: f"aligned {shape(arg(s, 'aligned'))}",
        nothing,
        lambda s: "runs Mimi's decoder",
        lambda s: counted(out(s).shape[0], "sample"),
    ),
    "words.place": (
        lambda s: f"{counted(len(arg(s, 'session').state.transcript), 'word')} begun, crop {arg(s, 'crop')}",
        lambda s: "(word, step)",
        lambda s: (
            "subtracts the crop, divides by the frame rate"
            + ("" if arg(s, "session").includes_prefix else "; leaves prefix words out")
        ),
        lambda s: f"{counted(len(out(s)), 'word')} with seconds",
    ),
    "wav.write": SOUND_WRITTEN,
}


def note(span: Span) -> None:
    """Keep in a phase that begins what its end is compared with."""
    if span.name == "runtime.ensure":
        span.notes["fresh"] = arg(span, "self")._runtime is None
    if span.name == "warmup":
        span.notes["hits"] = arg(span, "runtime").warm.hits
    if span.name == "loop":
        span.notes |= {"calls": arg(span, "gen").calls, "entries": len(arg(span, "state").entries)}
