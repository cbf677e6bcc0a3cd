"""What a server lets in, and how long it waits."""

from __future__ import annotations

from dataclasses import dataclass

from dia2.common.errors import UsageError


@dataclass(frozen=True)
class Limits:
    """Bounds of one server; all of them are there so that memory and waiting have an end."""

    rows: int = 8  # requests that are spoken at a time
    queue: int = 32  # that wait for a row; one more is answered with 429
    characters: int = 4096  # of a script, as many as clients of this API expect
    seconds: float = 120.0  # of sound that one request makes, after which it ends
    body: int = 1 << 16  # bytes of a JSON body; four a character, and the rest
    recording: int = 32 << 20  # bytes of a recording that is uploaded
    runs: int = 50  # recorded runs that are kept; the oldest go
    timeout: float = 300.0  # seconds from request to its last piece
    patience: float = 30.0  # seconds that a client may leave the server waiting: for a request, or to take an answer
    connections: int = 256  # at a time; one more is turned away
    grace: float = 10.0  # seconds that requests have left to end when the server is stopped

    def __post_init__(self) -> None:
        """Refuse bounds that let nothing in.

        Raises:
            UsageError: names the field.
        """
        for name in ("rows", "characters", "body", "recording", "runs", "connections"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be at least 1, not {getattr(self, name)}.")
        for name in ("queue", "grace"):
            if getattr(self, name) < 0:
                raise UsageError(f"{name} must be at least 0, not {getattr(self, name)}.")
        for name in ("seconds", "timeout", "patience"):
            if not getattr(self, name) > 0:
                raise UsageError(f"{name} must be more than 0, not {getattr(self, name)}.")
