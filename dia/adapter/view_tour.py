"""The tour of a run of Dia."""

from __future__ import annotations

from dia2.inspect.schema.view_tour import KEYS, OVERVIEW, UNSURE, VERDICT, WHY, stop

TOUR = [
    VERDICT,
    OVERVIEW,
    stop(
        "What each row is",
        "Rows of the prefill are given, then one is drawn a step, until eos and its countdown.",
        "drawn",
        track="phase",
    ),
    UNSURE,
    stop(
        "The delayed grid",
        "A call writes the framed row, and the green stair is the frame that it completes. A click on a cell shows its "
        "draw.",
        track="grid",
    ),
    WHY,
    stop(
        "What the encoder read",
        "Dia reads the whole script before its first row, so no word has a time of its own.",
        tab="Script",
    ),
    KEYS,
]
