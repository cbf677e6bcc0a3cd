"""Every case of the public reference, token for token, through the public API."""

import pytest

from .support.reference import Case, assert_agrees, cases, engine


@pytest.mark.parametrize("case", cases())
def test_a_run_equals_the_reference(case: Case) -> None:
    assert_agrees(engine(case.checkpoint), case)


def test_all_cases_are_here() -> None:
    assert len(cases()) == 33
