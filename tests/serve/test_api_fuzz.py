"""What the server's description promises, tried with requests that are made of it."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.slow


def test_answers_are_those_of_the_description() -> None:
    pytest.importorskip("schemathesis")
    from ..support.api_fuzz import fuzz

    statuses, wrong = fuzz(600)
    assert wrong == []
    assert sum(statuses.values()) > 500
    assert statuses["POST /v1/audio/speech: 200"] > 20
    assert statuses["POST /v1/audio/speech: 400"] > 20
