"""What plots draw of a run of Dia2: its tracks, and where heads look."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

import numpy as np

from dia2.adapter.machine import Labels, Verdict, labels, verdict
from dia2.adapter.replay import Replay
from dia2.adapter.trace import Dia2Trace
from dia2.common.errors import UsageError
from dia2.common.wording import counted
from dia2.engine import Dia2
from dia2.inspect.schema.pictures import HeadPicture, PlacedWord, TrackCell, Tracks
from dia2.runtime.sounding import LAG


def tracks(trace: Dia2Trace, first: int, last: int) -> Tracks:
    """The action as it was drawn, and the tokens that a call emitted, of calls `first` … `last`."""
    parts = list(labels(trace, last + 1))
    cells = [cell for call in range(first, last + 1) for cell in _cells(trace, call, parts[call])]
    taken = sum(label.taken is not None and bool(label.taken.tokens) for label in parts[first : last + 1])
    overruled = sum(cell.kind in ("overruled", "imposed", "swallowed") for cell in cells)
    return Tracks(cells, f"{counted(taken, 'word')} taken · {counted(overruled, 'action')} overruled")


def _cells(trace: Dia2Trace, call: int, label: Labels) -> Iterator[TrackCell]:
    ids = trace.model.tokens
    kind = _action_kind(verdict(trace, call, label.taken), trace.second[call] == ids.new_word)
    yield TrackCell(call, "action", kind)
    for track, token, part in (
        ("main", int(trace.main[call]), label.main),
        ("second", int(trace.second[call]), label.second),
    ):
        kind = {ids.pad: "pad", ids.new_word: "new_word"}.get(token, "other")
        if part is not None:
            kind = f"S{part.speaker}" if part.speaker in (1, 2) else "other"
        yield TrackCell(call, track, kind, *((None, 0) if part is None else (part.word, part.number)))


def _action_kind(found: Verdict, last: bool) -> str:
    """A kind of cell; `last`: the call emitted a new_word, as the first one does for which no word is left.

    From the calls after it the machine demands words, too, and nothing comes of it: a pad stays a pad.
    """
    overruled = found.overruled is not None
    if found.drawn == "pad":
        return "imposed" if overruled and (last or found.outcome != "end") else "pad"
    if found.given:
        return "swallowed" if overruled else "given"
    return "overruled" if overruled else "new_word"


class Dia2Attention:
    """See `Attention`."""

    def __init__(self, trace: Dia2Trace, tts: Dia2 | Replay) -> None:
        """Take a replay with attention, or an engine that is to make one.

        Raises:
            UsageError: it is neither.
        """
        if not isinstance(tts, Replay):
            trace.adapter.check_engine(tts, "plots.attention")
        self._trace, self._tts = trace, tts
        self.calls = (min(tts.calls), max(tts.calls)) if isinstance(tts, Replay) else (None, None)

    def head(self, layer: int, head: int, first: int, last: int) -> HeadPicture:
        """See `Attention`."""
        trace = self._trace
        for name, number, count in (("layer", layer, trace.model.layers), ("head", head, trace.model.heads)):
            if not 0 <= number < count:
                raise UsageError(f"There is no {name} {number}: the transformer has {name}s 0 … {count - 1}.")
        calls = range(first, last + 1)
        replay = self._tts if isinstance(self._tts, Replay) else trace.replay(self._tts, calls, attention=True)
        if not replay.attention:
            raise UsageError("This replay has no attention: ask for it with replay(tts, calls, attention=True).")
        place = {call: i for i, call in enumerate(replay.calls)}
        missing = [call for call in calls if call not in place]
        if missing:
            raise UsageError(f"This replay lacks call {missing[0]}: draw calls that stand in it one after the other.")
        weights: np.ndarray = replay.attention[layer][[place[call] for call in calls], 0, head, : last + 1].numpy()
        words = placed_words(trace, last + 1)
        return HeadPicture(weights, words, spoken_slots(trace, words)[first : last + 1])


def placed_words(trace: Dia2Trace, calls: int) -> list[PlacedWord]:
    """The words that the first `calls` calls took, in order; what a call emits goes into the slot of the next one."""
    words: list[PlacedWord] = []
    for call, label in enumerate(labels(trace, calls)):
        if label.taken is not None and label.taken.tokens:
            words.append(PlacedWord(label.taken.text, label.taken.speaker, int(trace.steps[call]), []))
        if label.main is not None and words:
            words[-1].slots.append(call + 1)
    return words


def spoken_slots(trace: Dia2Trace, words: list[PlacedWord]) -> list[list[int]]:
    """Slots with tokens of the word whose sound codebook 0 is drawn for, call by call.

    The draw of a call at step s is of frame s + 1 − delay. A word is heard from two frames before its step until two
    before the next one's, as the warm-up places the words of a recording; none in warm-up and after the last one. Slots
    that the call cannot see are left out.
    """
    starts = [word.step for word in words]
    ends = [int(end) for end in trace.column("end_step") if end >= 0]
    over = ends[0] if ends else None
    slots: list[list[int]] = []
    for call, step in enumerate(trace.steps.tolist()):
        frame = step + 1 - trace.model.delays[0] + LAG
        at = bisect_right(starts, frame) - 1
        silent = call < trace.warmup_calls or at < 0 or (over is not None and frame >= over)
        slots.append([] if silent else [slot for slot in words[at].slots if slot <= call])
    return slots
