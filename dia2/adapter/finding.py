"""What the doctor can say, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dia2.common.brief import brief_repr

Kind = Literal[
    "pushed",
    "swallowed",
    "slipped",
    "leaked",
    "unreached",
    "silence",
    "quiet",
    "noise",
    "clipping",
    "drift",
    "wordless",
]

ADVICE: dict[Kind, str] = {
    "pushed": "check texts and times of the words before it: from one word to the next there must be a frame for each "
    "token of the first, and one more",
    "swallowed": "leave a pause before that word, at least one frame for each token still pending: for a second "
    "speaker's first word, append silence to the first recording",
    "slipped": "fix the swallowed boundary before it",
    "leaked": "fix the swallowed boundaries before it, or leave the last words out of the word list and the recording",
    "unreached": "check the word's times: they reach past the end of the recording",
    "silence": "trim the recording, or check its word times",
    "quiet": "record louder, or amplify it to a level of about −20 dB",
    "noise": "record in a quieter place, or nearer to the microphone",
    "clipping": "record again with less gain",
    "drift": "check the word times, or let Whisper transcribe again",
    "wordless": "add the words that are spoken there, or cut them out of the recording",
}


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


@dataclass(frozen=True)
class Finding:
    """Something that is wrong."""

    __repr__ = brief_repr

    kind: Kind
    message: str
    call: int | None = None  # where to look
    word: int | None = None  # index of the word it is about

    @property
    def advice(self) -> str:
        """What to do about it."""
        return ADVICE[self.kind]
