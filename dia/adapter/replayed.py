"""What the explorer shows of a replay of Dia: one script of it."""

from __future__ import annotations

from functools import partial

import numpy as np

from dia.adapter.replay import DiaReplay, read_by
from dia.adapter.trace import DiaTrace
from dia.text import TAGS
from dia2.common.errors import UsageError
from dia2.inspect.schema.draw import book_of
from dia2.inspect.schema.view_replay import Looks, Replayed
from dia2.inspect.trace.replaying import check_replay

_NAMES = {byte[0]: tag.decode() for tag, byte in TAGS.items()}


def replayed(trace: DiaTrace, replay: DiaReplay, script: int) -> Replayed:
    """See `Replayed`; of the conditional branch, which is the second of each script.

    Raises:
        UsageError: it is no replay of this trace, or lacks the script.
    """
    check_replay(trace, replay, DiaReplay, partial(read_by, trace))
    if script not in replay.scripts:
        known = ", ".join(map(str, replay.scripts))
        raise UsageError(f"This replay lacks script {script}: it has {known}. Make one with scripts=[{script}].")
    row = 2 * replay.scripts.index(script) + 1
    own, cross = ([layer[:, row].numpy() for layer in maps] for maps in (replay.self_attention, replay.cross_attention))
    labels = [_NAMES.get(byte, chr(byte)) if byte < 128 else f"{byte:02x}" for byte in trace.run.text_bytes[script]]
    labels += [""] * (trace.run.text_length - len(labels))  # of a batch the longest script
    looks = [Looks("past rows", "calls", own), Looks("text", "text", cross, labels)] if own else []
    return Replayed(replay.calls, looks, [_logits(trace, replay, row, name) for name in trace.manifest.draws])


def _logits(trace: DiaTrace, replay: DiaReplay, row: int, name: str) -> np.ndarray:
    channel = book_of(name)
    assert channel is not None, "every draw of Dia is of a channel"
    found = replay.logits[:, row, channel].numpy().copy()
    found[np.asarray(replay.calls) < trace.prefill_calls] = np.nan  # there nothing is drawn
    return found
