"""Finished calls as the columns of a shard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

import torch
from torch import Tensor

from dia2.adapter.draws import draw_table
from dia2.common.hooks import Frames
from dia2.inspect.record.draws import draw_columns


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
    state = torch.tensor(
        [
            (
                call.call,
                call.step,
                call.position,
                call.slot,
                row.action,
                row.padding_budget,
                row.forced_padding,
                row.entries_left,
                -1 if row.end_step is None else row.end_step,
                row.main,
                row.second,
                row.forced,
                row.consumed,
            )
            for call, row in zip(calls, rows, strict=True)
        ],
        dtype=torch.int32,
    )
    names = (
        "call",
        "step",
        "position",
        "slot",
        "action",
        "padding_budget",
        "forced_padding",
        "entries_left",
        "end_step",
    )
    columns = {name: state[:, i].clone() for i, name in enumerate(names)}
    columns |= {
        "phase": torch.full((count,), int(main), dtype=torch.uint8),
        "text": tokens[:, :2].clone(),
        "audio": tokens[:, 2:].clone(),
        "codes": torch.full((count, codebooks), -1, dtype=torch.int32)
        if frames.codes is None
        else frames.codes.to(device="cpu", dtype=torch.int32),
        "emitted": state[:, 9:11].clone(),
        "forced": state[:, 11].to(torch.uint8),
        "consumed": state[:, 12].to(torch.uint8),
        "times": torch.tensor([(t.first, t.machine, t.second, t.frame) for t in frames.times], dtype=torch.float32)
        if frames.times
        else torch.full((count, 4), torch.nan, dtype=torch.float32),
    }
    for name, lists in (("pending", [row.pending for row in rows]), ("lookahead", [row.lookahead for row in rows])):
        columns[name] = torch.tensor([token for part in lists for token in part], dtype=torch.int32)
        columns[f"{name}_end"] = torch.tensor(list(accumulate(map(len, lists))), dtype=torch.int32)
    if draws:
        columns |= draw_columns(draw_table(frames, draws, specials))
    return columns | {f"logits.{name}": value.to(torch.float32) for name, value in logits.items()}
