"""The tour of a run of Dia2."""

from __future__ import annotations

from dia2.inspect.schema.view_tour import KEYS, OVERVIEW, UNSURE, VERDICT, WHY, stop

TOUR = [
    VERDICT,
    OVERVIEW,
    stop(
        "Words you can read",
        "Each stands where it sounds, the current one is framed. Space plays: sound, words and tokens move together.",
        "word",
        track="words",
    ),
    stop(
        "Two text streams go in",
        "Main says the word, second looks ahead to the next. The action of a call decides whether a word begins.",
        track="text",
    ),
    stop(
        "What the recordings say",
        "Where each word is said, where it was asked for, and the call that took it. Lines that lean are late words.",
        track="taken",
    ),
    UNSURE,
    stop(
        "The delayed grid",
        "A call writes the framed column, and the green stair is the frame that it completes. A click on a cell shows "
        "its draw.",
        track="grid",
    ),
    WHY,
    stop(
        "The state machine",
        "Which words wait, which tokens are due, and why an action was overruled.",
        tab="Machine",
    ),
    stop(
        "Three lenses",
        "Run shows what a call needs, Voice how a recording was understood, Grid the codes. A track's name folds it.",
        lens="run",
    ),
    KEYS,
]
