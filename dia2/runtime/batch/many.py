"""What `generate_many` and `stream_many` share: requests that go together, and what comes out when some fail."""

from __future__ import annotations

import logging
import os
from collections.abc import Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NoReturn, get_args

from dia2.common.checks import short, whole
from dia2.common.errors import UsageError, one_line
from dia2.common.hooks import current_observer
from dia2.common.stopping import Stopping
from dia2.generation import BatchError, BatchInterrupted, GenerationConfig, StopReason
from dia2.runtime.batch.schedule import Event, Failed, Gave, Over, Stopped
from dia2.runtime.live_text import LiveText
from dia2.runtime.request import Request
from dia2.runtime.streaming import Stream, StreamChunk

logger = logging.getLogger("dia2")

OnError = Literal["raise", "return"]


def check_choice(on_error: object) -> None:
    """Refuse what is no way to deal with errors.

    Raises:
        UsageError: says what there is.
    """
    if on_error not in get_args(OnError):
        raise UsageError(f"on_error is raise or return, not {short(on_error)}.")


def check_rows(max_rows: object) -> int:
    """A number of rows, from 1.

    Raises:
        UsageError: it is none.
    """
    rows = whole(max_rows)
    if rows is None or rows < 1:
        raise UsageError(f"max_rows must be a whole number from 1, not {short(max_rows)}.")
    return rows


def check_unobserved() -> None:
    """Refuse an observer of all rows at once.

    Raises:
        UsageError: there is one.
    """
    if current_observer() is not None:
        raise UsageError("A batch is observed and recorded row by row: give each Request its observer, or its trace.")


def listed(requests: object) -> list[Request]:
    """Requests that were given as any iterable.

    Raises:
        UsageError: they are none.
    """
    if not isinstance(requests, Iterable) or isinstance(requests, str):
        raise UsageError(f"A batch is a list of dia2.Request, not {short(requests)}.")
    found = list(requests)
    for request in found:
        if not isinstance(request, Request):
            raise UsageError(f"A batch is a list of dia2.Request, and {short(request)} is none.")
        if isinstance(request.script, LiveText):
            raise UsageError("Text that is still being written is spoken in an open batch: see Dia2.open_batch.")
    return found


def check_together(requests: Sequence[Request]) -> GenerationConfig:
    """The config by which all frames of a batch are computed; the defaults' for none.

    Raises:
        UsageError: the requests differ in that, it cannot be done for several, or two of them write to one place.
    """
    configs = [request.config for request in requests] or [GenerationConfig()]
    if any(config.use_triton for config in configs):
        raise UsageError("Triton kernels (use_triton) compute one script at a time: leave use_triton out.")
    for name in ("use_cuda_graph", "use_torch_compile"):
        if len({getattr(config, name) for config in configs}) > 1:
            raise UsageError(f"The requests of a batch differ in {name}: its frames are computed in one way.")
    places: dict[object, int] = {}
    for number, request in enumerate(requests):
        for place in (request.output_wav, request.trace):
            if place is None:
                continue
            path = getattr(place, "path", place)  # a recording knows its folder
            known = os.path.realpath(path) if isinstance(path, str | Path) else id(place)
            if known in places:
                raise UsageError(
                    f"Requests {places[known]} and {number} write to one place, {path}: give each its own."
                )
            places[known] = number
    return configs[0]


def gathered(events: Generator[Event, None, None], count: int, on_error: OnError, stopping: Stopping) -> list[Any]:
    """The results of `count` requests, once all of them are over, or errors in their places.

    Raises:
        BatchError: there are errors, and they are not to be returned.
        BatchInterrupted: Ctrl-C.
    """
    results: list[Any] = [None] * count
    try:
        with stopping:
            for event in events:
                if isinstance(event, Over):
                    results[event.key] = event.result
                elif isinstance(event, Failed):
                    results[event.key] = event.error
                    _tell(event)
        if stopping.asked:
            raise KeyboardInterrupt
        if on_error == "raise":
            _raise_any(results)
        return results
    except KeyboardInterrupt:
        raise BatchInterrupted(results) from None


class BatchStream(Iterator[tuple[int, StreamChunk | Exception]]):
    """Pieces of several streams as they are made: the number of the request, and what comes next of it.

    Made by `Dia2.stream_many`. Ctrl-C ends all streams.
    """

    def __init__(self, events: Generator[Event, None, None], count: int, on_error: OnError, stopping: Stopping) -> None:
        """Note what happens.

        Args:
            events: of the batch, made by asking for them.
            count: of requests.
            on_error: raise errors when all others are finished, or return each as its stream's last piece.
            stopping: the batch's.
        """
        self._events, self._on_error, self._stopping = events, on_error, stopping
        self._streams: list[Stream | None] = [None] * count
        self._errors: list[Exception | None] = [None] * count

    def __next__(self) -> tuple[int, StreamChunk | Exception]:
        check_unobserved()
        with self._stopping:
            return self._next()

    def _next(self) -> tuple[int, StreamChunk | Exception]:
        for event in self._events:
            if isinstance(event, Gave):
                if not isinstance(event.item, Stream):
                    return event.key, event.item
                self._streams[event.key] = event.item
            elif isinstance(event, Failed):
                assert isinstance(event.error, Exception), "Ctrl-C ends a stream without a result"
                if self._on_error == "return":
                    return event.key, event.error
                self._errors[event.key] = event.error
                _tell(event)
            elif isinstance(event, Stopped):
                raise KeyboardInterrupt
        errors, self._errors = self._errors, []
        _raise_any(errors)
        raise StopIteration

    def close(self) -> None:
        """Stop all streams early."""
        self._events.close()

    @property
    def seeds(self) -> list[int | None]:
        """Of each request, see `Stream.seed`."""
        return [None if stream is None else stream.seed for stream in self._streams]

    @property
    def stop_reasons(self) -> list[StopReason | None]:
        """Of each request, see `Stream.stop_reason`."""
        return [None if stream is None else stream.stop_reason for stream in self._streams]

    def __reduce__(self) -> NoReturn:
        """It is in the middle of several runs."""
        raise UsageError("Streams cannot be copied or pickled: copy their Dia2, and begin others with the same seeds.")


def _tell(event: Failed) -> None:
    if isinstance(event.error, Exception):
        logger.warning("request %d of the batch failed: %s", event.key, one_line(event.error))


def _raise_any(results: list[Any]) -> None:
    first = next((result for result in results if isinstance(result, Exception)), None)
    if first is not None:
        raise BatchError(results) from first
