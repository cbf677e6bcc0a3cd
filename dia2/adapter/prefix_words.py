"""The words of a prefix: when the recordings say them, and when the machine took them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dia2.adapter.manifest import SpokenWord
from dia2.common.brief import brief_repr

if TYPE_CHECKING:
    from dia2.adapter.trace import Dia2Trace


@dataclass(frozen=True)
class PrefixWord:
    """One word of a prefix."""

    __repr__ = brief_repr

    index: int
    text: str
    speaker: int
    start: float | None  # seconds in its speaker's recording; `None` where the times are not known
    end: float | None
    step: int  # its new-word step: where the warm-up asks the machine to begin it
    taken_step: int | None  # where the machine really took it; `None`: never
    taken_call: int | None
    in_warmup: bool  # it was taken in the warm-up, where it belongs

    @property
    def slip(self) -> int | None:
        """Frames by which it came late."""
        return None if self.taken_step is None else self.taken_step - self.step

    @property
    def place(self) -> int:
        """The call to look at: where it was taken, or should have been; those of the warm-up are numbered by steps."""
        return max(0, self.step if self.taken_call is None else self.taken_call)


def prefix_words(trace: Dia2Trace) -> list[PrefixWord]:
    """Those of a trace, none without a prefix.

    Raises:
        TraceError: the prefix was taken out, or is damaged.
    """
    run, prefix = trace.run, trace.prefix
    if prefix is None:
        return []
    taken = np.flatnonzero(trace.column("consumed")).tolist()
    spoken: list[SpokenWord | None] = (
        [*run.spoken] if len(run.spoken) == run.prefix_words else [None] * run.prefix_words
    )
    words = []
    for i, (entry, said) in enumerate(zip(run.entries[: run.prefix_words], spoken, strict=True)):
        call = taken[i] if i < len(taken) else None
        words.append(
            PrefixWord(
                index=i,
                text=entry.text,
                speaker=entry.speaker,
                start=said.start if said else None,
                end=said.end if said else None,
                step=int(prefix.new_word_steps[i]),
                taken_step=None if call is None else int(trace.steps[call]),
                taken_call=call,
                in_warmup=call is not None and call < trace.warmup_calls,
            )
        )
    return words
