"""What a view of a run is made of, whichever model ran: a header of texts and numbers, and columns of arrays.

The header tells the front end which rows, tracks, grid, caches and draws there are, so that it knows no model by name.
All texts come from a trace, which can come from anybody: they are cut short and rid of control characters here, and
the front end only ever sets them as text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from dia2.common.messages import printable

if TYPE_CHECKING:
    from dia2.inspect.schema.row import FilledRow

PEAK_RATE = 100  # minimum and maximum of the waveform, so many pairs a second
_LONGEST = 200  # characters of a text

Header = dict[str, Any]
Columns = dict[str, np.ndarray]


@dataclass(frozen=True)
class View:
    """A trace as the front end gets it."""

    header: Header  # what JSON can hold
    columns: Columns = field(default_factory=dict)  # [calls, …], but for `grid…`, `peaks`, `pending`, `lookahead`


def by_call(columns: Columns, calls: int) -> list[str]:
    """Names of the columns of one number a call, as a family made them: frames can be as many, and join them later."""
    return [name for name, array in columns.items() if array.shape == (calls,)]


def text(value: str, longest: int = _LONGEST) -> str:
    """A text of the trace, safe to show and not too long."""
    return printable(value if len(value) <= longest else value[: longest - 1] + "…")


def guided(scale: float, keep: int) -> str:
    """What guidance does to candidates, in words."""
    return f"Guidance (cfg {scale:g}, keeps {keep}) decides which stay; cond decides how likely each is."


def row_header(filled: FilledRow, lit: Sequence[tuple[int, int | None]]) -> Header:
    """A row of the pipeline as the front end gets it.

    Args:
        filled: the row.
        lit: stretches of calls, from and up to (`None`: the last), at which the run is in this row if it was run.
    """
    there = [] if filled.status == "not run" else lit  # one that failed, or was killed, has calls too
    return {
        "number": filled.row.number,
        "title": filled.row.title,
        "where": filled.row.where,
        "status": filled.status,
        "cells": {
            name: text(getattr(filled, name))
            for name in ("trigger", "before", "mutations", "outputs")
            if getattr(filled, name) not in ("", "none")
        },
        "seconds": filled.seconds,
        "note": text(filled.note),
        "lit": there,
        "call": there[0][0] if there else None,
    }


def peaks(samples: np.ndarray, rate: int) -> np.ndarray:
    """Least and largest of samples [N] in every 1 / PEAK_RATE second, [n, 2] int8 in −127 … 127."""
    width = max(1, round(rate / PEAK_RATE))
    count = -(-len(samples) // width)
    padded = np.zeros(count * width, np.float32)
    padded[: len(samples)] = np.clip(np.nan_to_num(samples), -1, 1)
    blocks = padded.reshape(count, width)
    return np.round(np.stack((blocks.min(1), blocks.max(1)), axis=1) * 127).astype(np.int8)
