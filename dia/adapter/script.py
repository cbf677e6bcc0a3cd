"""A script as the explorer shows it: by speaker, with what was too long for the encoder."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from dia.text import TAGS, as_bytes, as_text
from dia2.common.wording import counted
from dia2.inspect.schema.view import Header, text

if TYPE_CHECKING:
    from dia.adapter.trace import DiaTrace

_LONGEST = 4000  # characters of a script that are shown
_NAMES = {byte[0]: (number, tag.decode()) for number, (tag, byte) in enumerate(TAGS.items(), 1)}


def script_header(trace: DiaTrace, script: int) -> Header:
    """What the encoder read of a script, and what it did not."""
    kept = bytes(trace.run.text_bytes[script])
    cut = as_bytes(trace.run.scripts[script])[len(kept) :]
    return {
        "note": f"{len(kept):,} of {counted(trace.model.encoder_positions, 'byte')}, all read before row 0: "
        "no word has a time",
        "parts": _parts(kept),
        "cut": {"bytes": len(cut), "text": text(as_text(cut, "replace"))} if cut else None,
    }


def _parts(kept: bytes) -> list[Header]:
    """Turns: who speaks (0: no tag says it), the tag, the text."""
    parts: list[Header] = []
    for is_tag, group in groupby(kept, key=lambda byte: byte in _NAMES):
        part = bytes(group)
        if is_tag:
            parts += [{"speaker": _NAMES[byte][0], "tag": _NAMES[byte][1], "text": ""} for byte in part]
            continue
        if not parts:
            parts.append({"speaker": 0, "tag": None, "text": ""})
        parts[-1]["text"] = text(part.decode("utf-8", "replace"), _LONGEST)
    return parts
