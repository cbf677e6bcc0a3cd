"""The word list of a recording with its times set right, as far as the drift of its words is told."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from dia2.adapter.prefix_words import PrefixWord


def mended(words: Sequence[PrefixWord], drift: Sequence[float | None], seconds: float) -> list[dict[str, Any]] | None:
    """The words with the times at which they sound, as `prefix_words_1` of the runtime takes them.

    A word of which nothing is told stays where it was asked for, but where the next one, mended, begins before it: then
    it moves with that one.

    Args:
        words: of one recording, in their order.
        drift: [words] seconds by which each comes late; `None`: cannot be told.
        seconds: length of the recording.

    Returns:
        `text`, `start` and `end` of each; `None` where no drift is told, or the trace does not know the words' times.
    """
    if not any(drift):
        return None
    rows: list[dict[str, Any]] = []
    following, moved = seconds, 0.0  # start of the next word, and by how much it was moved
    for word, late in zip(reversed(words), reversed(drift), strict=True):
        if word.start is None or word.end is None:
            return None
        own = late or 0.0
        if word.start - own > following:
            own = moved
        start = max(0.0, min(word.start - own, following))
        end = min(max(word.end - own, start), following)
        rows.append({"text": word.text, "start": round(start, 3), "end": round(end, 3)})
        following, moved = start, own
    return rows[::-1]


def word_list(rows: Sequence[dict[str, Any]]) -> str:
    """The list as JSON, a word a line; what does not print is escaped, so that the text is safe wherever it is put."""
    return "[\n" + ",\n".join(f"  {_row(row)}" for row in rows) + "\n]\n"


def _row(row: dict[str, Any]) -> str:
    readable = json.dumps(row, ensure_ascii=False)
    return readable if readable.isprintable() else json.dumps(row)
