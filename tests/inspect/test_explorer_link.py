"""Links to a place in the explorer, as `trace.explore(link=…)` takes them; and which columns it takes for calls."""

from __future__ import annotations

import numpy as np
import pytest

from dia2.common.errors import UsageError
from dia2.inspect import sample
from dia2.inspect.schema.view import by_call
from dia2.inspect.views.explorer import view as module
from dia2.inspect.views.explorer.link import call_of, fragment_of


def test_a_link_is_what_stands_behind_its_sign() -> None:
    assert fragment_of(None) == ""
    assert fragment_of("#call=3&track=surprise") == fragment_of("call=3&track=surprise") == "#call=3&track=surprise"
    assert fragment_of("file:///tmp/run.html?a=1#call=3") == "#call=3"
    with pytest.raises(UsageError, match=r"link is a text such as .*, not 311\.$"):
        fragment_of(311)  # type: ignore[arg-type]  # that is the test


@pytest.mark.parametrize(
    ("link", "call"),
    [
        ("#call=3", 3),
        ("#track=x&call=0", 0),
        ("#call=999999999", 76),  # the last one, as on a page
        ("#call=-1", None),
        ("#call=1.5", None),
        ("#call=9999999999", None),
        ("#call=&call=5", None),  # the first one counts
        ("#call=\u0663", None),  # a digit, of another script
        ("#recall=3", None),
        ("", None),
    ],
)
def test_a_call_is_named_as_the_page_reads_it(link: str, call: int | None) -> None:
    assert call_of(link, 77) == call


def test_the_explorer_opens_there() -> None:
    trace = sample()
    explorer = trace.explore(call=5, link="#call=12&track=surprise")
    assert (explorer.call, explorer._link) == (12, "#call=12&track=surprise")
    assert trace.explore(call=5, link="#lens=<script>&call=x").call == 5  # the front end leaves it out
    assert explorer.kept().link == explorer._link
    long = trace.explore(link="#call=999")
    assert long.call == len(trace) - 1
    with pytest.raises(UsageError, match="link is a text"):
        trace.explore(link=b"#call=3")  # type: ignore[arg-type]  # that is the test


def test_only_what_the_family_counts_by_calls_is_by_call(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = {"a": np.zeros(3), "codes": np.zeros((3, 2)), "frames": np.zeros(4)}
    assert by_call(columns, 3) == ["a"]

    def as_many(samples: np.ndarray, rate: int, frame_rate: float) -> np.ndarray:
        return np.zeros(len(sample()), np.uint8)

    monkeypatch.setattr(module, "loudness", as_many)
    view = module.view_of(sample())
    assert len(view.columns["loudness"]) == view.header["calls"]
    assert "padding_budget" in view.header["by_call"]
    assert {"loudness", "peaks", "pending", "grid", "surprise"}.isdisjoint(view.header["by_call"])
