"""What the front end is given of a trace: its packed view, with sound."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dia2.errors import UsageError
from dia2.inspect.explorer.pack import pack
from dia2.inspect.explorer.schema import text
from dia2.inspect.explorer.sound import MIME, codebook_sound, trace_sound
from dia2.inspect.explorer.view import view_of

if TYPE_CHECKING:
    from dia2.engine import Dia2
    from dia2.inspect.trace import Trace


def payload(trace: Trace, tts: Dia2 | None = None, books: Sequence[Sequence[int]] = ()) -> bytes:
    """The packed view of a trace with its sound, and with those of some of its codebooks.

    Raises:
        TraceError: it holds no calls, or is damaged.
        UsageError: there is no such codebook, or `books` without `tts`.
    """
    if books and tts is None:
        raise UsageError("To hear codebooks apart, give the engine too: tts=Dia2.nano(), or whichever made the trace.")
    view = view_of(trace)
    whole = trace_sound(trace)
    sounds = [] if whole is None else [whole]
    if tts is not None:
        sounds += [codebook_sound(trace, tts, part) for part in books]
    extra = {f"sound_{i}": sound.data for i, sound in enumerate(sounds)}
    view.header["mime"] = MIME
    view.header["sounds"] = [{"label": sound.label, "column": f"sound_{i}"} for i, sound in enumerate(sounds)]
    return pack(view, extra)


def difference_of(a: Trace, b: Trace) -> dict[str, Any] | None:
    """Where two traces part, as the front end says it; none if they do not."""
    found = a.diff(b)
    if not found.parts:
        return None
    return {"call": found.shared, "what": text("; ".join(f"{p.what} {p.a} | {p.b}" for p in found.parts[:3]))}
