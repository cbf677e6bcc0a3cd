"""Finished calls as the columns of a shard."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import accumulate, chain

import torch
from torch import Tensor

from dia2.adapter.draws import draw_table
from dia2.inspect.record.draws import draw_columns
from dia2.runtime.observed import Frames

_OF_CALL = ("call", "step", "position", "slot")  # columns that are fields of a call, and of the machine after it
_OF_MACHINE = ("action", "padding_budget", "forced_padding", "entries_left")


def copied(frames: Frames) -> Frames:
    """The same with tensors of its own: those that an observer is given are used again."""
    return replace(
        frames,
        step_tokens=frames.step_tokens.clone(),
        codes=None if frames.codes is None else frames.codes.clone(),
        logits={name: value.clone() for name, value in frames.logits.items()},
    )


def held_bytes(frames: Frames) -> int:
    """Bytes of logits a call."""
    return sum(value[0].nbytes for value in frames.logits.values())


def merged(parts: Sequence[Frames]) -> Frames:
    """Calls in a row as one; all of one phase of the run, and with one config."""
    if len(parts) == 1:
        return parts[0]
    codes = [part.codes for part in parts if part.codes is not None]
    return Frames(
        config=parts[0].config,
        calls=[call for part in parts for call in part.calls],
        machine=[row for part in parts for row in part.machine],
        times=[times for part in parts for times in part.times],
        step_tokens=torch.cat([part.step_tokens for part in parts]),
        codes=torch.cat(codes) if codes else None,
        logits={name: torch.cat([part.logits[name] for part in parts]) for name in parts[0].logits},
    )


def frame_columns(
    frames: Frames, draws: Sequence[str], specials: Tensor, logits: dict[str, Tensor]
) -> dict[str, Tensor]:
    """Columns as `layout.COLUMNS` lists them.

    Args:
        frames: n calls of one phase.
        draws: names of the draws to describe; `None` in warm-up.
        specials: [audio vocabulary] bool, see `draws.filtered`.
        logits: those to keep as they are.
    """
    calls, rows = frames.calls, frames.machine
    tokens = frames.step_tokens[:, 0].to(device="cpu", dtype=torch.int32)  # [n, 2 + K]
    count, codebooks = tokens.shape[0], tokens.shape[1] - 2
    main = frames.codes is not None
    columns = {name: _integers(getattr(call, name) for call in calls) for name in _OF_CALL}
    columns |= {name: _integers(getattr(row, name) for row in rows) for name in _OF_MACHINE}
    columns |= {
        "phase": torch.full((count,), int(main), dtype=torch.uint8),
        "text": tokens[:, :2].clone(),
        "audio": tokens[:, 2:].clone(),
        "codes": torch.full((count, codebooks), -1, dtype=torch.int32)
        if frames.codes is None
        else frames.codes.to(device="cpu", dtype=torch.int32),
        "end_step": _integers(-1 if row.end_step is None else row.end_step for row in rows),
        "emitted": torch.tensor([(row.main, row.second) for row in rows], dtype=torch.int32),
        "forced": _integers(row.forced for row in rows).to(torch.uint8),
        "consumed": _integers(row.consumed for row in rows).to(torch.uint8),
        "times": torch.tensor([(t.first, t.machine, t.second, t.frame) for t in frames.times], dtype=torch.float32)
        if frames.times
        else torch.full((count, 4), torch.nan, dtype=torch.float32),
    }
    for name, lists in (("pending", [row.pending for row in rows]), ("lookahead", [row.lookahead for row in rows])):
        columns[name] = _integers(chain.from_iterable(lists))
        columns[f"{name}_end"] = _integers(accumulate(map(len, lists)))
    if draws:
        columns |= draw_columns(draw_table(frames, draws, specials))
    return columns | {f"logits.{name}": value.to(torch.float32) for name, value in logits.items()}


def _integers(values: Iterable[int]) -> Tensor:
    return torch.tensor(list(values), dtype=torch.int32)
