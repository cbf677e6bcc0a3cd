"""Figures of a running server, as Prometheus reads them."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_FIRST = (0.05, 0.1, 0.2, 0.35, 0.5, 1, 2, 5, 10, 30, 60)  # seconds


class Metrics:
    """Of one server; several in one process have each their own."""

    def __init__(self, load: Callable[[], tuple[int, int]], frames: Callable[[], int]) -> None:
        """Make them.

        Args:
            load: requests that are spoken, and that wait.
            frames: made so far.
        """
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "dia2_requests", "Requests for speech, by how they ended.", ["outcome"], registry=self.registry
        )
        self.first = Histogram(
            "dia2_first_sound_seconds", "From a request to its first sound.", buckets=_FIRST, registry=self.registry
        )
        self.sound = Counter("dia2_sound_seconds", "Seconds of sound that were made.", registry=self.registry)
        speaking = Gauge("dia2_requests_speaking", "Requests that are spoken now.", registry=self.registry)
        waiting = Gauge("dia2_requests_waiting", "Requests that wait for a row.", registry=self.registry)
        made = Gauge("dia2_frames", "Frames made, of all rows together.", registry=self.registry)
        speaking.set_function(lambda: load()[0])
        waiting.set_function(lambda: load()[1])
        made.set_function(frames)

    def page(self) -> bytes:
        """All of them in Prometheus' text format."""
        return generate_latest(self.registry)
