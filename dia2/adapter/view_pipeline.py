"""The picture of a call of Dia2: from the tokens that it reads to the column that it writes."""

from __future__ import annotations

from dia2.adapter.trace import Dia2Trace
from dia2.inspect.schema.view_pipeline import Arrow, Box, Choice, Codes, Line, Meter, Pipeline, Stage, Token

# What the machine does, as a text says it of it; by the outcomes of a call, see view_calls.py.
OUTCOMES = ("takes no word", "takes a word", "takes a break", "wants a word, but none is left")
ACTIONS = ("pad", "new_word")
_CALLS = (24, 25)  # rows: warm-up, main loop
_LEFT, _RIGHT = (0.0, 0.5), (0.5, 1.0)
_NOT_RUN = "not run: the codes are given"


def pipeline(trace: Dia2Trace) -> Pipeline:
    """See `Pipeline`."""
    model = trace.model
    books, branches, latest = model.codebooks, model.branches, max(model.delays)
    both = "two branches, with the text and without" if branches == 2 else "one branch, without guidance"
    before = (
        Box("settings", "Settings", (1, 2, 3, 4, 5, 6, 11), lane=(0.0, 0.25)),
        Box("runtime", "Runtime", (7, 8, 9, 10), lane=(0.25, 0.5)),
        Box("voice", "Voice", (13, 14, 15, 16, 17, 18), lane=(0.5, 0.75)),
        Box("script", "Script", (12, 19, 20, 21, 22, 23), lane=(0.75, 1.0)),
    )
    reads = Stage(
        Line("Call {call} reads two text tokens, and the codes in column {step} of the grid."),
        (
            Box("text", "text tokens", _CALLS, (Token("main", "main"), Token("second", "second")), _LEFT, "data"),
            Box("codes", f"{books} codes", _CALLS, (Line("column {step}", strong=True), Codes("step")), _RIGHT, "data"),
        ),
    )
    thinks = Stage(
        Line(f"Their {2 + books} embeddings are added. The transformer looks back over {{kv_transformer:slot}}."),
        (
            Box(
                "transformer",
                "Transformer",
                _CALLS,
                (
                    Line(f"[{branches}, {2 + books}, 1] → {model.layers} layers, {model.heads} heads"),
                    Line(both),
                    Line(f"cache: {{kv_transformer}} of {model.max_context_steps:,} slots"),
                    Meter("kv_transformer", model.max_context_steps),
                ),
                paint="net",
            ),
        ),
    )
    draws = Stage(
        Line("Two heads draw from its last state: the action, {drawn}, and the code of codebook 0."),
        (
            Box("action", "action", _CALLS, (Choice(None),), _LEFT, given="given: {drawn}"),
            Box("cb0", "codebook 0", _CALLS, (Choice(0),), _RIGHT, given="given"),
        ),
        given="The prefix gives action and codes: nothing is drawn.",
    )
    decides = Stage(
        Line("The machine {outcome}. With its two text tokens the depformer draws the other codes, one by one."),
        (
            Box(
                "machine",
                "State machine",
                _CALLS,
                (
                    Line("takes “{word}”", "{outcome}", strong=True),
                    Line("{entries_left:word} left"),
                    Line("budget {padding_budget}, forced {forced_padding}"),
                ),
                _LEFT,
                "net",
            ),
            Box(
                "depformer",
                "Depformer",
                _CALLS,
                (Line(f"{books - 1} codes in turn", strong=True), Codes("writes", 1)),
                _RIGHT,
                "net",
                given=_NOT_RUN,
            ),
        ),
        given="The machine {outcome}, as it is told. The depformer is not run.",
    )
    writes = Stage(
        Line("Column {writes} is written. Call {next} reads it, and the machine's text tokens."),
        (
            Box(
                "grid",
                "Delayed grid",
                _CALLS,
                (
                    Line("writes column {writes}", strong=True),
                    Codes("writes"),
                    Line("completes frame {frame}", "completes no frame of the sound"),
                ),
                paint="data",
                given="holds the prefix",
            ),
        ),
        given="The grid holds the recordings' codes. Call {next} reads the next column.",
    )
    sounds = Stage(
        Line(
            "Column {writes} completes frame {frame}, of which Mimi makes the sound at {second}.",
            f"No frame of the sound is complete: the last codebooks are written {latest} columns late.",
        ),
        (
            Box("undelay", "Undelay", (26, 27), (Line("frame {frame}", "no frame"),), (0.0, 1 / 3), "data"),
            Box("codec", "Mimi", (28,), (Line("at {second}", "–"),), (1 / 3, 2 / 3), "net"),
            Box("file", "WAV, words", (29, 30), (), (2 / 3, 1.0), "data"),
        ),
        given="What the prefix gave is heard only where the run includes it.",
        once=True,
    )
    arrows = (
        ("text", "transformer"),
        ("codes", "transformer"),
        ("transformer", "action"),
        ("transformer", "cb0"),
        ("action", "machine"),
        ("cb0", "depformer"),
        ("machine", "depformer"),
        ("depformer", "grid"),
        ("grid", "undelay"),
        ("undelay", "codec"),
        ("codec", "file"),
        ("machine", "text"),
        ("grid", "codes"),
    )
    told = f"{2 + books} numbers in, {1 + books} drawn. What call {{call}} writes is read by call {{next}}."
    stages = (reads, thinks, draws, decides, writes, sounds)
    return Pipeline(told, before, stages, tuple(Arrow(*ends) for ends in arrows))
