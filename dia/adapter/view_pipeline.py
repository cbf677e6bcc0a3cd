"""The picture of a call of Dia: from the row that it reads to the row that it writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dia2.inspect.schema.view_pipeline import Arrow, Box, Choice, Codes, Line, Meter, Pipeline, Stage

if TYPE_CHECKING:
    from dia.adapter.trace import DiaTrace

_LEFT, _RIGHT = (0.0, 0.5), (0.5, 1.0)
_STEP = (7, 8)  # rows: prefill, decoder step
_GIVEN = "given"


def pipeline(trace: DiaTrace) -> Pipeline:
    """See `Pipeline`."""
    model, scripts = trace.model, trace.run.batch
    channels, rows = model.channels, 2 * scripts
    before = (
        Box("checkpoint", "Checkpoint", (1,), lane=(0.0, 0.3)),
        Box("text", "Text", (2,), (Line(f"{trace.run.text_length} bytes"),), (0.3, 0.5), "data"),
        Box("encoder", "Encoder", (3,), (Line(f"{model.encoder_layers} layers"),), (0.5, 0.75), "net"),
        Box("prompt", "Prompt", (5, 6), lane=(0.75, 1.0), paint="data"),
    )
    reads = Stage(
        Line("Call {call} reads row {call} of the grid, and what the encoder made of the text."),
        (
            Box(
                "memory",
                "text memory",
                (4,),
                (Line("{kv_cross} positions", strong=True), Line("filled once")),
                _LEFT,
                "data",
            ),
            Box("codes", f"{channels} codes", _STEP, (Line("row {call}", strong=True), Codes("call")), _RIGHT, "data"),
        ),
    )
    thinks = Stage(
        Line(f"The {channels} embeddings are added. The decoder looks back over {{kv_self:row}}, and at the text."),
        (
            Box(
                "decoder",
                "Decoder",
                _STEP,
                (
                    Line(f"[{rows}, {channels}] → {model.decoder_layers} layers, {model.heads} heads"),
                    Line("each script without its text, and with it"),
                    Line(f"cache: {{kv_self}} of {trace.run.rows:,} rows"),
                    Meter("kv_self", trace.run.rows),
                ),
                paint="net",
            ),
        ),
    )
    draws = Stage(
        Line(f"All {channels} channels are drawn at once, each from logits of {model.vocabulary:,} ids."),
        (
            Box("first", "channel 0", (9,), (Choice(0),), _LEFT, given=_GIVEN),
            Box("others", f"channel {channels - 1}", (9,), (Choice(channels - 1),), _RIGHT, given=_GIVEN),
        ),
        given="The row is given, and read in one pass with the others that are: nothing is drawn.",
    )
    decides = Stage(
        Line("What the prompt or the countdown puts into row {writes} stands there instead of what was drawn."),
        (
            Box(
                "countdown",
                "EOS countdown",
                (10,),
                (Line("phase: {phase}", strong=True), Line(f"countdown {{countdown}} of {model.max_delay}")),
                paint="net",
            ),
        ),
        given="The script goes on as it was given.",
    )
    writes = Stage(
        Line("Row {writes} is written. Call {next} reads it."),
        (
            Box(
                "grid",
                "Delayed grid",
                _STEP,
                (
                    Line("writes row {writes}", strong=True),
                    Codes("writes"),
                    Line("completes frame {frame}", "completes no frame of the sound"),
                ),
                paint="data",
            ),
        ),
        given="Row {writes} is given too.",
    )
    sounds = Stage(
        Line(
            "Row {writes} completes frame {frame}; after the last call the codec makes sound of all.",
            f"No frame of the sound is complete: the last channels are written {model.max_delay} rows late.",
        ),
        (
            Box("undelay", "Revert delay", (11,), (Line("frame {frame}", "no frame"),), (0.0, 0.36), "data"),
            Box("codec", "DAC", (12,), (Line("at {second}", "–"),), (0.36, 0.68), "net"),
            Box("file", "Write", (13,), (), (0.68, 1.0), "data"),
        ),
        once=True,
    )
    arrows = (
        ("text", "encoder"),
        ("encoder", "memory"),
        ("memory", "decoder"),
        ("codes", "decoder"),
        ("decoder", "first"),
        ("decoder", "others"),
        ("first", "countdown"),
        ("others", "countdown"),
        ("countdown", "grid"),
        ("grid", "undelay"),
        ("undelay", "codec"),
        ("codec", "file"),
        ("grid", "codes"),
    )
    told = f"{channels} numbers in, {channels} drawn. What call {{call}} writes is read by call {{next}}."
    stages = (reads, thinks, draws, decides, writes, sounds)
    return Pipeline(told, before, stages, tuple(Arrow(*ends) for ends in arrows))
