"""The thread that speaks: it takes requests into an open batch, frame after frame, and hands on what comes of them."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

from dia2.common.errors import Dia2Error, one_line
from dia2.engine import Dia2
from dia2.generation import StopReason
from dia2.runtime.batch.live import OpenBatch
from dia2.runtime.batch.schedule import Event, Failed, Gave, Over
from dia2.runtime.request import Request
from dia2.runtime.streaming import Stream, StreamChunk

logger = logging.getLogger("dia2")

_MOST = 4  # frames of a piece that is played when it comes
_WHOLE = 25  # of one that is not


class BusyError(Dia2Error):
    """All rows and all places of the queue are taken."""


class StoppingError(Dia2Error):
    """The server takes no requests any more, or never did."""


@dataclass(frozen=True)
class Done:
    """A request is over."""

    seed: int | None  # gives the run again
    stop_reason: StopReason | None


@dataclass(frozen=True)
class Broken:
    """A request has failed."""

    error: BaseException


Item = StreamChunk | Done | Broken
Deliver = Callable[[Item], None]  # called by the speaker's thread: it must not wait for anything


@dataclass
class _Job:
    """A request on its way."""

    key: int
    request: Request
    deliver: Deliver
    whole: bool  # nothing is played before all is there
    stream: Stream | None = None  # once it has begun
    played: float | None = None  # since when, of the monotonic clock: from its first piece

    def pace(self, piece: StreamChunk, frame_rate: float) -> None:
        """Let the next piece wait for as many frames as a listener can, whom this one has just reached.

        Decoding four frames together takes less than two of them one by one; half of what is ahead stays in hand.
        """
        assert self.stream is not None, "it came first"
        now = time.monotonic()
        if self.played is None:
            self.played = now
        ahead = piece.start + len(piece.waveform) / piece.sample_rate - (now - self.played)
        self.stream.least = _WHOLE if self.whole else max(1, min(_MOST, int(ahead * frame_rate / 2)))


class Speaker:
    """Speaks requests side by side; its methods may be called by any thread."""

    def __init__(
        self, tts: Dia2, *, rows: int, queue: int, use_cuda_graph: bool = False, use_torch_compile: bool = False
    ) -> None:
        """Note what speaks; `start` loads it.

        Args:
            tts: the checkpoint.
            rows: requests at a time.
            queue: requests that may wait.
            use_cuda_graph: how frames are computed; of every request, too.
            use_torch_compile: likewise.
        """
        self.tts, self.rows, self.queue = tts, rows, queue
        self.how = {"use_cuda_graph": use_cuda_graph, "use_torch_compile": use_torch_compile}
        self._changed = threading.Condition()
        self._keys = count()
        self._waiting: deque[_Job] = deque()
        self._speaking: dict[int, _Job] = {}  # by key
        self._left: list[int] = []  # keys of requests that nobody waits for any more
        self._until: float | None = None  # when it was told to stop, the end of the grace
        self._error: Exception | None = None  # loading failed
        self._poked = False  # there may be text for those that wait for it
        self._loaded = threading.Event()
        self._thread = threading.Thread(target=self._run, name="dia2-speaker", daemon=True)
        self.frames = 0  # made since the start, of all rows together

    def start(self) -> None:
        """Load the checkpoint and begin, in a thread."""
        self._thread.start()

    @property
    def ready(self) -> bool:
        """The checkpoint is loaded and requests are taken."""
        return self._loaded.is_set() and self._error is None and self._until is None and self._thread.is_alive()

    @property
    def load(self) -> tuple[int, int]:
        """Requests that are spoken, and that wait."""
        return len(self._speaking), len(self._waiting)

    def submit(self, request: Request, deliver: Deliver, *, whole: bool = False) -> int:
        """Speak a request as soon as there is a row.

        Args:
            request: it says of frames what the speaker does.
            deliver: is handed its pieces, and `Done` or `Broken` last.
            whole: nobody listens before all of it is there, so pieces may be long.

        Returns:
            A key by which it can be cancelled.

        Raises:
            BusyError: the queue is full.
            StoppingError: the speaker takes no more.
        """
        with self._changed:
            if self._error is not None:
                raise StoppingError("The checkpoint cannot be loaded: the server's log says why.")
            if self._until is not None:
                raise StoppingError("The server is stopping and takes no more requests.")
            if len(self._speaking) + len(self._waiting) >= self.rows + self.queue:  # who has no text yet has no row
                raise BusyError(f"{len(self._speaking)} requests are spoken and {len(self._waiting)} wait: try later.")
            job = _Job(next(self._keys), request, deliver, whole)
            self._waiting.append(job)
            self._changed.notify()
            return job.key

    def poke(self) -> None:
        """There is more text of a request whose script is still being written."""
        with self._changed:
            self._poked = True
            self._changed.notify()

    def cancel(self, key: int) -> None:
        """Stop a request before its next frame; nothing more is delivered of it. One that is over is no matter."""
        with self._changed:
            for job in self._waiting:
                if job.key == key:
                    self._waiting.remove(job)
                    return
            if key in self._speaking:
                self._left.append(key)
                self._changed.notify()

    def stop(self, grace: float = 0.0) -> None:
        """Take no more requests, give those there are so many seconds, and end the thread."""
        with self._changed:
            if self._until is None:
                self._until = time.monotonic() + grace
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        try:
            batch = self._open()
        except Exception as error:  # noqa: BLE001  # whoever asks is told that there is one
            logger.error("the checkpoint cannot be loaded: %s", one_line(error))
            self._error = error
            return
        finally:
            self._loaded.set()
        while True:
            try:
                while self._turn(batch):
                    pass
            except Exception as error:
                logger.exception("the batch has failed, and begins anew")
                self._break(error)
                batch.close()
                batch = self._open()
                continue
            self._break(StoppingError("The server was stopped."))
            batch.close()
            return

    def _open(self) -> OpenBatch:
        return self.tts.open_batch(max_rows=self.rows, **self.how)

    def _turn(self, batch: OpenBatch) -> bool:
        """One frame of all; `False`: it is time to end."""
        with self._changed:
            while not self._has_work(batch):
                self._changed.wait()
            self._poked = False
            if self._until is not None and self._is_over(self._until):
                return False
            left, self._left = self._left, []
        for key in left:
            self._speaking.pop(key, None)
            batch.leave(key)
        while batch.has_room() and (job := self._next()) is not None:
            batch.join(job.key, job.request)
        self.frames += len(batch)
        for event in batch.frame():
            self._hand_on(event)
        return True

    def _has_work(self, batch: OpenBatch) -> bool:
        waiting = self._waiting and batch.has_room()
        speaking = len(batch) and (self._poked or not batch.rests())
        return bool(waiting or speaking or self._left or self._until is not None)

    def _is_over(self, until: float) -> bool:
        return not (self._waiting or self._speaking) or time.monotonic() >= until

    def _next(self) -> _Job | None:
        with self._changed:
            if not self._waiting:
                return None
            job = self._waiting.popleft()
            self._speaking[job.key] = job
            return job

    def _hand_on(self, event: Event) -> None:
        if not isinstance(event, Gave | Over | Failed) or event.key not in self._speaking:
            return
        job = self._speaking[event.key]
        if isinstance(event, Gave):
            if isinstance(event.item, Stream):
                job.stream = event.item
            else:
                job.pace(event.item, self.tts.runtime.frame_rate)
                job.deliver(event.item)
            return
        with self._changed:
            del self._speaking[event.key]
        if isinstance(event, Failed):
            job.deliver(Broken(event.error))
        else:
            stream = job.stream
            job.deliver(Done(None, None) if stream is None else Done(stream.seed, stream.stop_reason))

    def _break(self, error: Exception) -> None:
        """All there are have failed."""
        with self._changed:
            jobs = [*self._speaking.values(), *self._waiting]
            self._speaking.clear()
            self._waiting.clear()
        for job in jobs:
            job.deliver(Broken(error))
