"""Which tests a mutant is tried with."""

from __future__ import annotations

import ast

import pytest

from .mutants import Mutant, Survey, lines_of_functions, lines_of_statement, own_tests

CODE = '''\
"""A module."""
LIMIT = 3


@cached
def first(
    value=LIMIT,
):
    if (
        value
        > 1
    ):
        for one in value: yield one
    else:
        total = (
            1
            + 2
        )


class Second:
    size: int = 4

    def area(self): return self.size
'''


def test_lines_of_functions_run_when_they_are_called() -> None:
    assert lines_of_functions(ast.parse(CODE)) == {*range(9, 19), 24}


@pytest.mark.parametrize(("line", "lines"), [
    (2, {2}),
    (9, {9, 10, 11, 12}),
    (11, {9, 10, 11, 12}),
    (13, {13}),
    (16, {15, 16, 17, 18}),
    (14, {14}),
    (24, {24}),
])  # fmt: skip
def test_a_statement_has_the_lines_before_its_body(line: int, lines: set[int]) -> None:
    assert lines_of_statement(ast.parse(CODE), line) == lines


def mutant(line: int) -> Mutant:
    return Mutant("store", "dia2/inspect/trace/stretches.py", line, "", "", "", "")


def test_tests_of_a_line_are_those_that_reach_it_its_module_s_own_first() -> None:
    path, own = "dia2/inspect/trace/stretches.py", "tests/inspect/test_stretches.py"
    assert own_tests(path) == (own,)
    reached = {
        own: {path: {15, 16}},
        "slow": {path: {15}},
        "quick": {path: {15}},
        "import": {path: {1, 10}},
        "tests/test_frozen.py": {path: {1, 10}},
    }
    seconds = {"slow": 9.0, "quick": 1.0, own: 5.0, "import": 0.1, "tests/test_frozen.py": 3.0}
    survey = Survey(seconds, {test: {name: set(lines) for name, lines in of.items()} for test, of in reached.items()})
    assert survey.tests_of(mutant(15)) == [own, "quick", "slow"]
    assert survey.tests_of(mutant(16)) == [own]
    assert survey.tests_of(mutant(10)) == [own, "quick", "tests/test_frozen.py", "slow"], "what is imported is used"
