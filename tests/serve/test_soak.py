"""A server under mixed load; `python -m tests.support.soak` does it for longer."""

from __future__ import annotations

import sys

import pytest

from ..support.soak import ACTS, soak

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")]


def test_a_minute_of_mixed_load() -> None:
    report = soak(minutes=1)
    assert report.wrong == []
    assert set(report.done) == set(ACTS)
    assert report.growth < 0.2, "caches still fill"
