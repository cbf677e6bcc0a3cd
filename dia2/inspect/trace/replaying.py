"""What replays of all families have in common: which calls are computed again, and how much that may be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any

import numpy as np

from dia2.common.checks import short
from dia2.common.errors import TraceError, UsageError
from dia2.inspect.trace.trace import Trace

CHUNK = 256  # calls a pass; bounds the attention mask
MOST = 2 << 30  # bytes that one replay may return


def chosen_calls(trace: Trace[Any], calls: Sequence[int] | slice | None) -> list[int]:
    """The calls that were asked for; `None`: all.

    Raises:
        TraceError: one is not there.
    """
    everything = range(len(trace))
    if calls is None or isinstance(calls, slice):
        chosen = list(everything if calls is None else everything[calls])
    else:
        listed: Any = [calls] if not isinstance(calls, Iterable) or getattr(calls, "ndim", None) == 0 else calls
        chosen = [trace.check_call(call) for call in listed]
    if not chosen:
        raise TraceError(f"{trace.path} has no such calls to replay: it has {len(trace)}.")
    return chosen


def check_size(size: int, example: str) -> None:
    """Refuse a replay that would return `size` bytes, where that is too many; `example` asks for fewer calls.

    Raises:
        UsageError: it is.
    """
    if size > MOST:
        raise UsageError(f"This replay would fill {size / 2**30:.1f} GB: ask for fewer calls, such as {example}.")


def order_of(wanted: Sequence[int]) -> list[int]:
    """Where each wanted call stands among the sorted, distinct ones."""
    place = {call: i for i, call in enumerate(sorted(set(wanted)))}
    return [place[call] for call in wanted]


def digest(hashes: Mapping[str, str | None], *read: np.ndarray) -> str:
    """By which a replay is known to be of a trace: the SHA-256 of its checkpoint and of all that it read.

    Runs of one checkpoint that have read the same so far have the same attention and logits.

    Args:
        hashes: of the checkpoint's files, as the trace has them.
        read: tokens up to the last call of the replay, and whatever else decides them.
    """
    found = sha256(repr(sorted(hashes.items())).encode())
    for part in read:
        found.update(repr(part.shape).encode())
        found.update(np.ascontiguousarray(part, np.int64).tobytes())
    return found.hexdigest()


def check_replay(trace: Trace[Any], replay: Any, kind: type, read_by: Callable[[int], str]) -> None:
    """Refuse what is no replay of the trace: its numbers would be shown as those of other calls.

    Args:
        trace: that it is shown with.
        replay: with `calls`, and `read` as `digest` gives it.
        kind: of the trace's replays.
        read_by: `digest` of what the first so many calls of the trace read.

    Raises:
        UsageError: says which of both.
    """
    if not isinstance(replay, kind):
        raise UsageError(f"replay takes what trace.replay(tts, calls, attention=True) gives, not {short(replay)}.")
    found: Any = replay
    last = max(found.calls)
    if last >= len(trace) or read_by(last + 1) != found.read:
        raise UsageError(f"This replay is of another run than {trace.path}: make it by this trace's replay().")


def refuse_options(trace: Trace[Any], **options: object) -> None:
    """Refuse options that replays of the trace's family do not have.

    Raises:
        UsageError: one is given; says which.
    """
    for name, value in options.items():
        if value:
            raise UsageError(
                f"{trace.path} is a run of {trace.adapter.title}, whose replays have no {name}: leave it out."
            )
