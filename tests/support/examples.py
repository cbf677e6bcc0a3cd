"""How many examples a property is tried with: all of them in `make test-all`, a third of them in `make test`."""

from __future__ import annotations

import os


def examples(most: int) -> int:
    """So many; they are drawn in one order, so that those of `make test` are the first of all."""
    return most if os.environ.get("DIA2_HOSTILE_SHARE") == "1" else -(-most // 3)
