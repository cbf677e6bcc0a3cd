"""Where two runs part: the first cause among what differs, and calls compared column by column."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dia2.common.errors import TraceError, UsageError
from dia2.inspect.schema import adapter as families
from dia2.inspect.store import phases
from dia2.inspect.trace.diff import Diff, Difference, diff
from dia2.inspect.trace.load import load

from ..support.traces import recorded_quickly
from .test_console_declared import ADAPTER, SIZES, recorded

SETTING = Difference(None, "seed", "1", "2")
EARLY, LATE = Difference(4, "edit", "none", "x"), Difference(9, "edit", "x", "none")
PART, WHOLE = Difference(6, "main", "3", "5"), Difference(None, "main", "3", "5")


@pytest.mark.parametrize(
    ("settings", "edits", "parts", "first"),
    [
        ([], [], [], None),
        ([SETTING], [], [], SETTING),
        ([SETTING], [], [PART], PART),
        ([SETTING], [EARLY], [], EARLY),  # an edit that changed nothing
        ([], [EARLY, LATE], [PART], EARLY),
        ([], [LATE], [PART], PART),  # which it cannot have caused
        ([], [Difference(6, "edit", "none", "x")], [PART], Difference(6, "edit", "none", "x")),
        ([], [Difference(None, "edit", "none", "x"), LATE], [PART], PART),
        ([], [LATE], [WHOLE], LATE),
    ],
)
def test_the_first_cause(
    settings: list[Difference], edits: list[Difference], parts: list[Difference], first: Difference | None
) -> None:
    found = Diff(settings, edits, parts, 6, (10, 10))
    assert found.first == first
    assert found.same == (first is None)


@pytest.fixture
def pair(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[Any, Any]:
    """Two traces of one run of five calls, whose columns can be changed."""
    monkeypatch.setattr(families, "installed", lambda: {"hum": ADAPTER})
    monkeypatch.setattr(phases, "PHASES", {"hum.loop", "hum.rest"})
    path = recorded(tmp_path / "hum.dia2trace")
    return load(path), load(path)


def test_runs_part_at_the_first_call_that_differs_in_what_is_not_ignored(pair: tuple[Any, Any]) -> None:
    a, b = pair
    assert diff(a, b).same
    b.column("sung")[2, 1, 0] += 1
    b.column("heat")[4] += 1
    assert (diff(a, b).shared, [part.what for part in diff(a, b).parts]) == (2, ["script 2 codebook 0 sung"])
    later = diff(a, b, ["* sung"])
    assert (later.shared, later.parts) == (4, [Difference(4, "heat", "38", "39")])
    assert diff(a, b, ["*"]).shared == 5


@pytest.mark.parametrize(("ahead", "ends"), [(0, ("ends", "goes on")), (1, ("goes on", "ends"))])
def test_the_shorter_of_two_runs_ends(ahead: int, ends: tuple[str, str], pair: tuple[Any, Any]) -> None:
    cut = pair[ahead]._columns
    cut |= {name: values[:3] for name, values in cut.items()}
    found = diff(*pair)
    assert (found.shared, found.parts) == (3, [Difference(3, "length", *ends)])
    assert found.calls == ((3, 5) if ahead == 0 else (5, 3))
    assert diff(*pair, ["length"]).parts == []
    pair[1 - ahead].column("heat")[1] = 7
    assert [part.what for part in diff(*pair).parts] == ["heat"], "how a run goes on after they part is not told"


def test_calls_of_other_shapes_all_differ(pair: tuple[Any, Any]) -> None:
    a, b = pair
    b._columns["sung"] = np.concatenate([b.column("sung"), b.column("sung")[:, :, :1]], axis=2)
    found = diff(a, b)
    assert (found.shared, [part.what for part in found.parts]) == (0, [f"script {i} codebook 3 sung" for i in (1, 2)])


def test_lists_are_compared_call_by_call(tmp_path: Path) -> None:
    """A call's tokens that wait stand in one joined list, in which they begin elsewhere in each run."""
    a, b = load(recorded_quickly()), load(recorded_quickly())
    ends = b.column("pending_end")
    call = int(np.flatnonzero(np.diff(ends, prepend=0))[-1])
    b.column("pending")[ends[call] - 1] += 1
    found = diff(a, b)
    assert (found.shared, {part.what for part in found.parts}) == (call, {"machine.pending"})


def test_edits_that_only_one_has_are_told_in_the_order_of_their_calls(
    pair: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = pair
    monkeypatch.setattr(a, "edits", lambda: [(3, "both"), (9, "hush")])
    monkeypatch.setattr(b, "edits", lambda: [(3, "both"), (9, "sing"), (1, "hum")])
    assert diff(a, b).edits == [
        Difference(1, "edit", "none", "hum"),
        Difference(9, "edit", "hush", "none"),
        Difference(9, "edit", "none", "sing"),
    ]


def test_of_one_script_it_is_not_said_which(monkeypatch: pytest.MonkeyPatch, pair: tuple[Any, Any]) -> None:
    for trace in pair:
        monkeypatch.setattr(trace, "_sizes", lambda: SIZES | {"voices": 1, "D": 3})
        for name in ("left", "heard", "sung"):
            trace._columns[name] = trace.column(name)[:, :1].copy()
    pair[1].column("left")[2, 0] = 8
    assert [part.what for part in diff(*pair).parts] == ["left"]


def test_what_cannot_be_compared_is_refused(pair: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    a, _ = pair
    with pytest.raises(UsageError, match=r"^'run' is not a trace: open it by dia2\.inspect\.load"):
        diff(a, "run")
    monkeypatch.undo()
    other = load(recorded_quickly())
    with pytest.raises(TraceError, match=r"is a run of Hum and .* one of Dia2: compare runs of one model\."):
        diff(a, other)
