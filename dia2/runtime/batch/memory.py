"""How many rows there is memory for, worked out before any of it is taken."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from dia2.common.memory import free_bytes, in_words
from dia2.runtime.batch.state import bytes_of

if TYPE_CHECKING:
    from dia2.runtime.context import RuntimeContext

logger = logging.getLogger("dia2")

_SHARE = 0.8  # of what is free: frames, codecs and recordings need some, too
_SPARE = 0.3  # likewise, of what only makes a batch faster


def spare(runtime: RuntimeContext) -> int:
    """Bytes that what only makes a batch faster may take."""
    return int((free_bytes(runtime.device) or 0) * _SPARE)


def fits(runtime: RuntimeContext, rows: int, branches: int, frames: int) -> bool:
    """Whether there is memory for so many rows, as far as the system tells."""
    free = free_bytes(runtime.device)
    return free is None or bytes_of(runtime, rows, branches, frames) <= free * _SHARE


def planned_rows(runtime: RuntimeContext, most: int, branches: int, frames: int = 0) -> int:
    """The most rows, up to `most`, that there is memory for; one in any case, as a single run would try, too."""
    free, one = free_bytes(runtime.device), bytes_of(runtime, 1, branches, frames)
    if free is None or one * most <= free * _SHARE:
        return most
    rows = max(1, int(free * _SHARE) // one)
    logger.warning(
        "a batch of %d rows, not %d: each takes %s, and %s are free", rows, most, in_words(one), in_words(free)
    )
    return rows
