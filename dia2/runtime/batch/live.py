"""A batch that stays open: requests join while others speak, and leave when nobody listens any more."""

from __future__ import annotations

from collections.abc import Callable

from dia2.common.checks import short
from dia2.common.errors import UsageError
from dia2.generation import GenerationConfig
from dia2.runtime.batch.many import check_together
from dia2.runtime.batch.schedule import Batch, Begin, Event
from dia2.runtime.context import RuntimeContext
from dia2.runtime.request import Request


class OpenBatch:
    """Made by `Dia2.open_batch`, for a program that serves others; to be used by one thread at a time.

    Whoever has it asks for frame after frame, and hands on what the events say. A request that fails is over, and the
    others go on.
    """

    def __init__(
        self, runtime: RuntimeContext, batch: Batch, how: GenerationConfig, begin: Callable[[Request], Begin]
    ) -> None:
        """Note how runs begin.

        Args:
            runtime: the checkpoint.
            batch: of no runs yet.
            how: frames are computed.
            begin: makes the run of a request.
        """
        self._runtime, self._batch, self._how, self._begin = runtime, batch, how, begin
        self._closed = False

    def __len__(self) -> int:
        """Requests that are being spoken."""
        return len(self._batch)

    def has_room(self) -> bool:
        """Whether another request may join now."""
        with self._runtime.computing():
            return not self._closed and self._batch.has_room()

    def rests(self) -> bool:
        """Whether a frame would do nothing, since all requests wait for text, or there are none."""
        return self._batch.rests()

    def join(self, key: int, request: Request) -> None:
        """Let a request begin. It listens to its prefix before this returns, and that takes as long as it takes.

        Args:
            key: by which events name it, and `leave`.
            request: it asks for no file.

        Raises:
            UsageError: there is no room, a whole file is asked for, or frames computed in another way.
        """
        check_together([request])
        for name in ("use_cuda_graph", "use_torch_compile"):
            if getattr(request.config, name) != getattr(self._how, name):
                raise UsageError(f"The batch was opened with {name}={getattr(self._how, name)}: requests say the same.")
        if request.output_wav is not None:
            raise UsageError(f"An open batch speaks in pieces: leave output_wav={short(request.output_wav)} out.")
        if not self.has_room():
            raise UsageError("The batch has no room: wait until a request is over.")
        with self._runtime.computing():
            self._batch.join(key, self._begin(request))

    def leave(self, key: int) -> None:
        """Stop a request, whose row is free then; nothing happens if it is over."""
        with self._runtime.computing():
            self._batch.leave(key)

    def frame(self) -> list[Event]:
        """Speak a frame of every request, and say what happened since the last time.

        Of each request first comes its `Stream`, which knows its seed and in the end its stop reason, then its
        `StreamChunk`s, each as `Gave`; then `Over`, or `Failed` with the error.
        """
        with self._runtime.computing():
            self._batch.frame()
        events = list(self._batch.events)
        self._batch.events.clear()
        return events

    def close(self) -> None:
        """Stop all requests, and let go of what they shared."""
        if not self._closed:
            self._closed = True
            with self._runtime.computing():
                self._batch.close()
