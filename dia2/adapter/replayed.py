"""What the explorer shows of a replay of Dia2."""

from __future__ import annotations

from functools import partial

import numpy as np

from dia2.adapter.replay import Replay, read_by
from dia2.adapter.trace import Dia2Trace
from dia2.inspect.schema.draw import book_of
from dia2.inspect.schema.view_replay import Looks, Replayed
from dia2.inspect.trace.replaying import check_replay


def replayed(trace: Dia2Trace, replay: Replay, script: int) -> Replayed:
    """See `Replayed`; of the conditional branch, which is the first.

    Raises:
        UsageError: it is no replay of this trace.
    """
    check_replay(trace, replay, Replay, partial(read_by, trace))
    weights = [layer[:, 0].numpy() for layer in replay.attention]
    return Replayed(
        calls=replay.calls,
        looks=[Looks("past calls", "calls", weights)] if weights else [],
        logits=[_logits(replay, book_of(name)) for name in trace.manifest.draws],
    )


def _logits(replay: Replay, book: int | None) -> np.ndarray:
    if not book:
        found: np.ndarray = (replay.action if book is None else replay.cb0)[:, 0].numpy()
        return found
    stage: np.ndarray = replay.dep[:, book - 1, 0].numpy()
    return stage
