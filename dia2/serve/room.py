"""What the endpoints of one server share."""

from __future__ import annotations

from dataclasses import dataclass, field

from dia2.serve.limits import Limits
from dia2.serve.metrics import Metrics
from dia2.serve.runs import Runs
from dia2.serve.speaker import Speaker
from dia2.serve.voices import Voices


@dataclass(frozen=True)
class Room:
    """Of an application; `app.state.room`."""

    model: str  # the id of the checkpoint
    speaker: Speaker
    voices: Voices
    runs: Runs
    limits: Limits
    created: int  # Unix time of the start
    metrics: Metrics = field(init=False)

    def __post_init__(self) -> None:
        """Make the metrics of this speaker."""
        object.__setattr__(self, "metrics", Metrics(lambda: self.speaker.load, lambda: self.speaker.frames))
