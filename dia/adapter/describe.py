"""What Dia's phases did, in words and numbers; see `dia2.inspect.schema.saying`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dia2.common.hooks import Span
from dia2.common.wording import counted
from dia2.inspect.schema.saying import SOUND_WRITTEN, Sayings, arg, nothing, out, quote, shape, steps_text


def _place(path: Path) -> str:
    """A path as it was given; of the embedded checkpoint without where the package lies."""
    from dia.assets import toy_folder

    toy = toy_folder()
    return str(path.relative_to(toy.parent.parent) if path.is_relative_to(toy) else path)


def _dac(source: str) -> str:
    return _place(Path(source)) if Path(source).is_absolute() else source


def _parameters(span: Span) -> str:
    dia = out(span)
    codec = "no codec" if dia.codec is None else f"DAC at {dia.codec.sample_rate:,} Hz"
    return (
        f"{sum(p.numel() for p in dia.model.parameters()):,} parameters, {str(dia.model.dtype).removeprefix('torch.')} "
        f"on {dia.device}; {codec}"
    )


def _state_outputs(span: Span) -> str:
    config = arg(span, "config")
    heat = f"temperature {config.temperature:g}, top-p {config.top_p:g}"
    most = counted(arg(span, "rows"), "row")
    return f"{heat}, cfg {config.cfg_scale:g} keeping {config.cfg_filter_top_k}; at most {most}"


def _ends(state: Any) -> str:
    """Where scripts have ended."""
    said = []
    for i, (row, drawn) in enumerate(zip(state.ended_at.tolist(), state.drew_eos.tolist(), strict=True)):
        how = "has not ended" if row < 0 else f"ends at row {row}, {'eos drawn' if drawn else 'forced'}"
        said.append(how if len(state.ended_at) == 1 else f"script {i + 1} {how}")
    return ", ".join(said)


def _loop_mutations(span: Span) -> str:
    steps, interrupted = out(span)
    first = min(arg(span, "state").output.prefill_steps)
    return (
        f"{counted(steps, 'step')}: rows {first} … {first + steps - 1} written, self-attention KV {first - 1} → "
        + counted(first - 1 + steps, "slot")
        + ("; interrupted" if interrupted else "")
    )


def _prefill_mutations(span: Span) -> str:
    rows = out(span)
    return f"one pass: self-attention KV 0 → {counted(rows, 'slot')}" if rows else "none: the loop reads BOS itself"


# begin: trigger and state before. end: mutations and outputs.
SAY: Sayings = {
    "dia.load": (
        lambda s: f"{_place(arg(s, 'source').config)}, {_place(arg(s, 'source').weights)}",
        nothing,
        lambda s: "builds the modules, fills them" + (f", loads DAC {_dac(arg(s, 'source').dac)}" * arg(s, "load_dac")),
        _parameters,
    ),
    "dia.text": (
        lambda s: f"{counted(len(arg(s, 'texts')), 'script')}: {quote(' | '.join(arg(s, 'texts')))}",
        nothing,
        lambda s: "[S1] → 1, [S2] → 2, UTF-8 bytes, padded with 0",
        lambda s: f"bytes {shape(out(s)[0])}, of text {steps_text(out(s)[1].sum(dim=1).tolist())}",
    ),
    "dia.state": (
        lambda s: f"seed {arg(s, 'seed')}",
        lambda s: f"given rows {steps_text(arg(s, 'prefill_steps'))}",
        lambda s: (
            f"fills uniforms {shape(arg(s, 'state').uniforms)}; KV of {counted(arg(s, 'state').decoder.slots, 'slot')}"
        ),
        _state_outputs,
    ),
    "dia.encoder": (
        lambda s: f"bytes {shape(arg(s, 'tokens'))}",
        nothing,
        lambda s: "adds an empty text for guidance to each script; reads both ways",
        lambda s: f"output {shape(out(s)[0])}",
    ),
    "dia.cross": (
        lambda s: f"encoder output {shape(arg(s, 'text'))}",
        lambda s: "cross-attention KV of no text",
        lambda s: f"cross-attention KV of {counted(len(arg(s, 'state').decoder.cross_attention), 'layer')} filled",
        lambda s: f"KV {shape(arg(s, 'state').decoder.cross_attention[0].keys)} a layer",
    ),
    "dia.prompt": (
        lambda s: _prompt(arg(s, "prompt")),
        nothing,
        lambda s: "runs DAC's encoder" if isinstance(arg(s, "prompt"), str | Path) else "none",
        lambda s: f"codes {shape(out(s))}",
    ),
    "dia.delay": (
        lambda s: f"table {shape(arg(s, 'codes'))}, delays {steps_text(arg(s, 'delays'))}",
        lambda s: "channel c of frame t in row t + 1",
        lambda s: "channel c of frame t in row t + 1 + delay[c]; BOS before it",
        lambda s: f"delayed {shape(out(s))}",
    ),
    "dia.prefill": (
        lambda s: f"given rows {steps_text(arg(s, 'state').output.prefill_steps)}",
        lambda s: "self-attention KV empty",
        _prefill_mutations,
        lambda s: f"the loop begins with row {out(s)}",
    ),
    "dia.loop": (
        lambda s: f"row {min(arg(s, 'state').output.prefill_steps) - 1}, at most {counted(arg(s, 'rows'), 'row')}",
        lambda s: f"{counted(min(arg(s, 'state').output.prefill_steps) - 1, 'slot')} of self-attention KV filled",
        _loop_mutations,
        lambda s: _ends(arg(s, "state")),
    ),
    "dia.undelay": (
        lambda s: f"delayed rows {shape(arg(s, 'delayed'))}",
        lambda s: "channel c of frame t in row t + delay[c]",
        lambda s: "channels aligned",
        lambda s: f"codes {shape(out(s))}",
    ),
    "dia.decode": (
        lambda s: f"codes {shape(arg(s, 'codes'))}",
        nothing,
        lambda s: "runs DAC's decoder" if len(arg(s, "codes")) else "none: there is nothing to decode",
        lambda s: counted(out(s).shape[0], "sample"),
    ),
    "dia.write": SOUND_WRITTEN,
}


def _prompt(prompt: Any) -> str:
    if prompt is None:
        return "no prompt"
    return str(prompt) if isinstance(prompt, str | Path) else f"codes {shape(prompt)}"
