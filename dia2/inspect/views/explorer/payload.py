"""What the front end is given of a trace: its packed view, with sound."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from dia2.common.checks import short
from dia2.common.errors import UsageError
from dia2.inspect.schema.view import text
from dia2.inspect.trace.noted import readable_notes
from dia2.inspect.trace.trace import Trace
from dia2.inspect.views.explorer.pack import pack
from dia2.inspect.views.explorer.recordings import add_recordings
from dia2.inspect.views.explorer.replayed import add_replay
from dia2.inspect.views.explorer.sound import MIME, codebook_sound, trace_sound
from dia2.inspect.views.explorer.view import view_of

_MOST_SOUNDS = 128  # of one page
_SHA256 = re.compile("[0-9a-f]{64}")


def check_engine(trace: Trace[Any], tts: Any) -> None:
    """Refuse an engine where the codebooks of a run cannot be heard apart, or one of another family.

    Raises:
        UsageError: says which.
    """
    if tts is not None and trace.adapter.codebooks is None:
        raise UsageError(
            f"{trace.path} is a run of {trace.adapter.title}: its codebooks cannot be heard apart, so leave out tts."
        )
    if tts is not None:
        trace.adapter.check_engine(tts, "To hear codebooks apart, the explorer")


def payload(
    trace: Trace[Any],
    tts: Any = None,
    books: Sequence[Sequence[int]] = (),
    *,
    script: int = 0,
    voice: bool = True,
    notes: bool = True,
    replay: Any = None,
) -> bytes:
    """The packed view of a trace with its sound, and with those of some of its codebooks.

    Args:
        trace: what to show.
        tts: an engine with the run's codec.
        books: which codebooks are to be heard apart.
        script: which, from 0.
        voice: with the recordings that the run was given, and what else would tell how they sound.
        notes: with those that are pinned to its calls.
        replay: what `trace.replay` gave, whose attention and logits are to be shown.

    Raises:
        TraceError: it holds no calls, or is damaged.
        UsageError: there is no such codebook, or `books` without `tts`; or `tts` with a run of Dia; or the replay is
            of another run.
    """
    if not isinstance(books, list | tuple) or len(books) > _MOST_SOUNDS:
        raise UsageError(
            f"Codebooks to be heard apart are at most {_MOST_SOUNDS} lists such as [[0], [0, 1]], not {short(books)}."
        )
    if books and tts is None:
        raise UsageError("To hear codebooks apart, give the engine too: tts=Dia2.nano(), or whichever made the trace.")
    check_engine(trace, tts)
    view = view_of(trace, script=script, voice=voice)
    add_replay(view, trace, replay, script, voice=voice)
    whole = trace_sound(trace, script, voice=voice)
    sounds = [] if whole is None else [whole]
    if tts is not None:
        sounds += [codebook_sound(trace, tts, part, voice=voice) for part in books]
    extra = {f"sound_{i}": sound.data for i, sound in enumerate(sounds)} | add_recordings(view, trace, voice=voice)
    view.header["mime"] = MIME
    view.header["sounds"] = [{"label": sound.label, "column": f"sound_{i}"} for i, sound in enumerate(sounds)]
    view.header["notes"] = readable_notes(trace) if notes else []
    return pack(view, extra)


def check_alone(other: Trace[Any] | None, replay: Any) -> None:
    """Refuse a replay beside a second trace.

    Raises:
        UsageError: there are both.
    """
    if other is not None and replay is not None:
        raise UsageError("A replay is shown with its own run alone: leave out replay, or other.")


def _digest(value: str) -> str:
    """A SHA-256 by its first digits, which tell two apart; anything else as it is."""
    return f"{value[:8]}…" if _SHA256.fullmatch(value) else value


def difference_of(a: Trace[Any], b: Trace[Any]) -> dict[str, Any] | None:
    """Where two traces part, as the front end says it; `None` if they do not.

    Raises:
        TraceError: they are of different models.
    """
    found = a.diff(b)
    if not found.parts:
        return None
    causes = [f"{part.what} {_digest(part.a)} → {_digest(part.b)}" for part in found.settings]
    causes += [f"edited in B alone: {edit.b}" if edit.a == "none" else f"in A alone: {edit.a}" for edit in found.edits]
    return {
        "call": found.shared,
        "what": text("; ".join(f"{part.what} {part.a} | {part.b}" for part in found.parts[:3])),
        "cause": text("; ".join(causes[:3])),
    }
