"""What replays of all families have in common: which calls, how much, and of which run."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch

from dia2.common.errors import TraceError, UsageError
from dia2.inspect.trace.replaying import check_replay, check_size, chosen_calls, digest, order_of, refuse_options
from dia2.inspect.trace.trace import Trace


class Run:
    """What of a trace is asked."""

    path = Path("run")
    adapter = SimpleNamespace(title="Hum")

    def __len__(self) -> int:
        return 5

    def check_call(self, call: int) -> int:
        if not 0 <= int(call) < 5:
            raise TraceError(f"There is no call {call}")
        return int(call)


RUN = cast("Trace[Any]", Run())


@pytest.mark.parametrize(("asked", "calls"), [
    (None, [0, 1, 2, 3, 4]),
    (slice(3, None), [3, 4]),
    (slice(-2, 99, 1), [3, 4]),
    ([4, 0, 4], [4, 0, 4]),
    (range(2), [0, 1]),
    (3, [3]),
    (np.int64(3), [3]),
    (torch.tensor(3), [3]),
    (np.array([3, 1]), [3, 1]),
])  # fmt: skip
def test_calls_are_those_that_were_asked_for(asked: Any, calls: list[int]) -> None:
    assert chosen_calls(RUN, asked) == calls


@pytest.mark.parametrize("asked", [[], slice(5, None), range(0)])
def test_no_calls_are_none_to_replay(asked: Any) -> None:
    with pytest.raises(TraceError, match=r"^run has no such calls to replay: it has 5\.$"):
        chosen_calls(RUN, asked)


def test_a_call_that_is_not_there_is_refused() -> None:
    with pytest.raises(TraceError, match="There is no call 5"):
        chosen_calls(RUN, [0, 5])


def test_a_replay_fills_two_gigabytes_at_most() -> None:
    check_size(2 << 30, "calls=[0]")
    with pytest.raises(UsageError, match=r"^This replay would fill 2\.5 GB: ask for fewer calls, such as calls=\[0\]"):
        check_size(5 << 29, "calls=[0]")
    with pytest.raises(UsageError):
        check_size((2 << 30) + 1, "")


def test_calls_come_back_in_the_order_of_asking() -> None:
    assert order_of([7, 3, 7, 5]) == [2, 0, 2, 1]


def test_a_digest_is_of_the_numbers_whatever_they_are_stored_in() -> None:
    tokens = np.arange(6).reshape(2, 3)
    assert digest({}, tokens.astype(np.int32).T) == digest({}, tokens.T) != digest({}, tokens)


def test_a_digest_is_of_the_checkpoint_too_and_of_all_parts() -> None:
    tokens = np.arange(6)
    hashes = {"weights": "a", "config": None}
    assert digest(hashes, tokens) == digest(dict(reversed(hashes.items())), tokens)
    others = [
        digest(hashes | {"weights": "b"}, tokens),
        digest(hashes, tokens, tokens[:1]),
        digest(hashes, tokens[:3], tokens[3:]),
        digest(hashes, tokens.reshape(2, 3)),
    ]
    assert len({digest(hashes, tokens), *others}) == 5


def read_by(count: int) -> str:
    return digest({}, np.arange(count))


@pytest.mark.parametrize(("calls", "read", "same"), [
    ([1, 4, 0], 5, True),
    ([2], 3, True),
    ([2], 2, False),  # of a run that had read otherwise
    ([5], 6, False),
    ([6], 7, False),
])  # fmt: skip
def test_a_replay_is_of_the_run_that_had_read_the_same(calls: list[int], read: int, same: bool) -> None:
    replay = SimpleNamespace(calls=calls, read=read_by(read))
    if same:
        check_replay(RUN, replay, SimpleNamespace, read_by)
    else:
        with pytest.raises(UsageError, match=r"^This replay is of another run than run: make it by"):
            check_replay(RUN, replay, SimpleNamespace, read_by)


def test_what_is_no_replay_is_told() -> None:
    with pytest.raises(UsageError, match=r"gives, not 7\.$"):
        check_replay(RUN, 7, SimpleNamespace, read_by)


def test_options_of_other_families_are_refused_where_they_are_given() -> None:
    refuse_options(RUN, layers=False, progress=None)
    with pytest.raises(UsageError, match=r"^run is a run of Hum, whose replays have no layers: leave it out\.$"):
        refuse_options(RUN, progress=None, layers=True)
