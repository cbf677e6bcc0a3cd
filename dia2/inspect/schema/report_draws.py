"""Draws in reports: what was drawn, among what, and how likely."""

from __future__ import annotations

from collections.abc import Mapping

from dia2.common.wording import finite, number
from dia2.inspect.schema.draw import BEST, Draw
from dia2.inspect.schema.report import Cell, Column, Facts, Part, Style, Table, Text

RANK = "rank: place of the choice by conditional logit; guidance decides which may be drawn, cond how likely."
NAMED = "by conditional logit; ▶ the choice; (in brackets) what might not be drawn"


def draw_facts(draw: Draw, names: Mapping[int, str]) -> Facts:
    """One draw; `names` has those of its tokens that are no code."""
    ids = [candidate.token for candidate in draw.candidates]
    rank = ids.index(draw.choice) + 1 if draw.choice in ids else None
    return {
        "name": draw.name,
        "choice": draw.choice,
        "probability": finite(draw.probability),
        "rank": None if rank == BEST else rank,  # the last place also holds a choice that is no candidate
        "candidates": [
            {
                "id": candidate.token,
                "name": names.get(candidate.token),
                "cond": finite(candidate.cond),
                "guided": finite(candidate.guided),
                "kept": candidate.kept,
            }
            for candidate in draw.candidates
        ],
    }


def draw_cells(draw: Facts | None) -> list[Cell]:
    """Probability, rank, conditional and guided logit of what was drawn."""
    if draw is None:
        return [("–", "dim")] * 4
    choice = next((part for part in draw["candidates"] if part["id"] == draw["choice"]), None)
    rank = f"{BEST} or on" if draw["rank"] is None else str(draw["rank"])
    logits = ["–", "–"] if choice is None else [number(choice["cond"]), number(choice["guided"])]
    return [number(draw["probability"], 4), (rank, "mark" if rank != "1" else ""), *logits]


def _best(draw: Facts, most: int) -> list[Facts]:
    """The best candidates by conditional logit, and the choice whatever its rank."""
    best, others = draw["candidates"][:most], draw["candidates"][most:]
    return [*best, *(part for part in others if part["id"] == draw["choice"])]


def candidates(draw: Facts, most: int) -> Table:
    """The best candidates, a line each."""

    def row(part: Facts) -> list[Cell]:
        chosen = part["id"] == draw["choice"]
        style: Style = "head" if chosen else "" if part["kept"] else "dim"
        fate, logits = "kept" if part["kept"] else "removed", [number(part[name]) for name in ("cond", "guided")]
        told: list[Cell] = [(text, style) for text in (part["name"] or part["id"], *logits, fate)]
        return [("▶" if chosen else "", "mark"), *told]

    columns = [Column("", 1), Column("candidate", 9), Column("cond", 9, "right"), Column("guided", 9, "right")]
    return Table([*columns, Column("guidance", 14)], [row(part) for part in _best(draw, most)], indent=1)


def named(draw: Facts, most: int) -> Text:
    """The best candidates in a line; (in brackets) what might not be drawn."""
    parts: list[Part] = []
    for part in _best(draw, most):
        chosen = part["id"] == draw["choice"]
        told = f"{part['name'] or part['id']} {number(part['cond'])}"
        told = told if part["kept"] else f"({told})"
        parts += ["  " if parts else "", ("▶ " if chosen else "", "mark"), (told, "head" if chosen else "")]
    return parts
