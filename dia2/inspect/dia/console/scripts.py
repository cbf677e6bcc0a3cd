"""The scripts of a batch, counted from 1 as its files are: `hello-1.wav`."""

from __future__ import annotations

from dia2.errors import UsageError
from dia2.inspect.dia.trace import DiaTrace


def choose_script(trace: DiaTrace, number: int | None) -> int:
    """The script to show, counted from 0; `number` counts from 1, none is the first.

    Raises:
        UsageError: there is no such one.
    """
    number = 1 if number is None else number
    if not 1 <= number <= trace.run.batch:
        has = "one script" if trace.run.batch == 1 else f"scripts 1 … {trace.run.batch}"
        raise UsageError(f"There is no script {number}: {trace.path} has {has}.")
    return number - 1


def whose(trace: DiaTrace, script: int) -> str:
    """Of which script a view is, where there are several."""
    return f"script {script + 1} of {trace.run.batch}" if trace.run.batch > 1 else ""
