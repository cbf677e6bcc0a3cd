"""How the long commands of training end: what failed is one line, and what was stopped goes on later."""

from __future__ import annotations

import sys
from collections.abc import Callable

from dia2.common.errors import Dia2Error, UsageError
from dia2.common.memory import shortage


def resumable(run: Callable[[], None], save_memory: str | None = None) -> int:
    """Run a command of which Ctrl-C loses nothing that is finished; returns its exit code.

    Args:
        run: what it does.
        save_memory: what to give or leave out where memory runs short; `None`: that is raised.
    """
    try:
        run()
    except Dia2Error as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on from here", file=sys.stderr)
        return 130
    except (RuntimeError, MemoryError, OSError) as error:
        if save_memory is None or (lack := shortage(error)) is None:
            raise
        print(f"error: {lack}: {save_memory}.", file=sys.stderr)
        return 1
    return 0
