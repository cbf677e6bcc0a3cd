"""Tests that need a process of their own, since what they look at changes torch, or Triton, for the whole process."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run_apart(
    tests: Sequence[str],
    *,
    slow: bool = False,
    options: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> None:
    """Run pytest on `tests`, files or folders; all that are chosen must pass, and at least one must be.

    Args:
        tests: below the project's root.
        slow: those that are marked slow, in place of all others.
        options: more of pytest's.
        environment: more variables of the environment.
    """
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:nbval", *options]
    done = subprocess.run(
        [*command, "-m", "slow" if slow else "not slow", *tests],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=variables | {"OMP_NUM_THREADS": "1"} | dict(environment or {}),
    )
    assert done.returncode == 0, done.stdout[-20000:] + done.stderr[-4000:]
    assert re.search(r"\d+ passed", done.stdout), done.stdout
    assert "skipped" not in done.stdout, done.stdout
