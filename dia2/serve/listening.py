"""The pieces of one request, for an asynchronous reader who may leave at any time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import NamedTuple

from starlette.requests import Request as HttpRequest

from dia2.runtime.request import Request
from dia2.runtime.streaming import StreamChunk
from dia2.serve.errors import ApiError
from dia2.serve.speaker import Broken, Done, Item, Speaker


class GoneError(Exception):
    """The client has left."""


class Last(NamedTuple):
    """How a request ended."""

    seed: int | None
    stop_reason: str | None  # of the run, or `seconds`: it was longer than allowed


class Pieces:
    """An iterator of `StreamChunk`s; `last` is known when it ends."""

    def __init__(self, gone: Awaitable[None], queue: asyncio.Queue[Item], seconds: float, deadline: float) -> None:
        """Note where pieces come from.

        Args:
            gone: ends when the client has left.
            queue: filled by the speaker.
            seconds: of sound, after which it ends.
            deadline: of the loop's clock.
        """
        self._queue, self._seconds, self._deadline = queue, seconds, deadline
        self._gone = asyncio.ensure_future(gone)
        self.last: Last | None = None

    def __aiter__(self) -> Pieces:
        return self

    async def __anext__(self) -> StreamChunk:
        if self.last is not None:
            raise StopAsyncIteration
        item = await self._item()
        match item:
            case Broken(error):
                raise error
            case Done(seed, reason):
                self.last = Last(seed, reason)
                raise StopAsyncIteration
            case StreamChunk():
                if item.start >= self._seconds:
                    self.last = Last(None, "seconds")
                    raise StopAsyncIteration
                return _until(self._seconds, item)

    async def _item(self) -> Item:
        """What comes next.

        Raises:
            GoneError: the client has left.
            ApiError: it takes too long.
        """
        following = asyncio.ensure_future(self._queue.get())
        left = self._deadline - asyncio.get_running_loop().time()
        try:
            done, _ = await asyncio.wait(
                {following, self._gone}, timeout=max(0.0, left), return_when=asyncio.FIRST_COMPLETED
            )
            if following in done:
                return following.result()
        finally:
            following.cancel()
        if self._gone in done:
            raise GoneError
        raise ApiError(
            504, "The request took longer than this server allows: ask for a shorter script.", code="timeout"
        )

    def close(self) -> None:
        """Nobody reads on."""
        self._gone.cancel()


@asynccontextmanager
async def listening(
    speaker: Speaker,
    request: Request,
    gone: Callable[[], Awaitable[None]],
    *,
    seconds: float,
    timeout: float,
    whole: bool = False,
) -> AsyncIterator[Pieces]:
    """Have a request spoken while the block goes on; whatever is left of it then is cancelled.

    Args:
        speaker: speaks.
        request: what.
        gone: called once it is taken, waits until the client has left.
        seconds: of sound, at most.
        timeout: seconds that it may take.
        whole: nothing is played before all of it is there.

    Raises:
        BusyError, StoppingError: it is not taken.
    """
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[Item] = asyncio.Queue()

    def deliver(item: Item) -> None:
        with suppress(RuntimeError):  # the loop is closed, so nobody listens
            loop.call_soon_threadsafe(queue.put_nowait, item)

    key = speaker.submit(request, deliver, whole=whole)
    pieces = Pieces(gone(), queue, seconds, loop.time() + timeout)
    try:
        yield pieces
    finally:
        pieces.close()
        speaker.cancel(key)


def _until(seconds: float, piece: StreamChunk) -> StreamChunk:
    """What of a piece comes before so many seconds of the stream."""
    samples = round((seconds - piece.start) * piece.sample_rate)
    if samples >= len(piece.waveform):
        return piece
    words = [word for word in piece.words if word.seconds < seconds]
    return replace(piece, waveform=piece.waveform[:samples], words=words)


async def left(http: HttpRequest) -> None:
    """Wait until a client whose body was read has left."""
    while (await http.receive())["type"] != "http.disconnect":
        pass
