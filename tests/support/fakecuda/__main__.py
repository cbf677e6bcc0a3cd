"""Builds the pretended device, where that can be done: `python -m tests.support.fakecuda`."""

import sys

from .build import build, cannot_be_built

if __name__ == "__main__":
    if (why := cannot_be_built()) is not None:
        sys.exit(f"Tests of CUDA will be skipped: {why}.")
    build()
