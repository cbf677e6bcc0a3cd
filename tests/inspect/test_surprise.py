"""How unlikely each call's codes were: as numbers, and as a plot."""

import numpy as np
import pytest

from dia2.common.errors import TraceError, UsageError
from dia2.inspect import Dia2Trace, plots, sample
from dia2.inspect.trace.trace import Trace

from .test_console_trace import recorded


def by_hand(trace: Dia2Trace, call: int) -> float:
    """From the chances that the frames tell."""
    return float(np.mean([-np.log2(draw.probability) for draw in trace.draws(call) if draw.name != "action"]))


def test_surprise_is_the_mean_of_the_codes_and_nan_where_none_were_drawn() -> None:
    trace = Dia2Trace.load(recorded())
    bits = trace.surprise()
    assert bits.shape == (len(trace),)
    assert np.isnan(bits[: trace.warmup_calls]).all()
    assert trace.warmup_calls > 0
    for call in (trace.warmup_calls, len(trace) // 2 + 20, len(trace) - 1):
        assert bits[call] == pytest.approx(by_hand(trace, call), rel=1e-6)


def test_the_line_of_the_plot_is_the_surprise_and_the_pale_one_the_other_runs() -> None:
    trace, other = Dia2Trace.load(recorded()), sample()
    (axes,) = plots.surprise(trace, other).axes
    pale, line = axes.lines
    assert np.array_equal(line.get_ydata(), trace.surprise(), equal_nan=True)
    assert np.array_equal(pale.get_ydata(), other.surprise(), equal_nan=True)


def test_what_the_plot_says_of_itself() -> None:
    trace = sample()
    bits = trace.surprise()
    told = plots.describe(plots.surprise(trace))
    assert told == f"Surprise: mean {bits.mean():.1f} bits, most {bits.max():.1f} at call {int(bits.argmax())}"


def test_a_trace_without_chances_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    trace = sample()
    monkeypatch.setattr(Trace, "surprise", lambda self, script: np.full(len(self), np.nan))
    with pytest.raises(TraceError, match="has no chances to draw: record it at the level topk or full"):
        plots.surprise(trace)
    with pytest.raises(UsageError, match=r"plots\.surprise needs a trace, not 'sample'"):
        plots.surprise(trace, "sample")  # type: ignore[arg-type]
