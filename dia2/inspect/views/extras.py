"""What is installed only where somebody asked for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from dia2.common.errors import UsageError


@contextmanager
def notebook_extra(what: str, otherwise: str = "") -> Iterator[None]:
    """Import inside this block what `what` needs; `otherwise` says how to do without.

    Raises:
        UsageError: it is not installed; says how to.
    """
    try:
        yield
    except ImportError as error:
        raise UsageError(f"{what} needs {error.name}: pip install 'dia2-inspect[notebooks]'{otherwise}.") from error
