"""What `generate_many` and `stream_many` share: requests that go together, and errors when all others are finished."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal, get_args

from dia2.common.checks import short
from dia2.common.errors import UsageError
from dia2.common.hooks import current_observer
from dia2.generation import BatchInterrupted, GenerationConfig, GenerationInterrupted, GenerationResult
from dia2.runtime.batch.schedule import Event, Failed, Gave, Over
from dia2.runtime.request import Request
from dia2.runtime.streaming import StreamChunk

OnError = Literal["raise", "return"]


def check_choice(on_error: object) -> None:
    """Refuse what is no way to deal with errors.

    Raises:
        UsageError: says what there is.
    """
    if on_error not in get_args(OnError):
        raise UsageError(f"on_error is raise or return, not {short(on_error)}.")


def check_together(requests: Sequence[Request], max_rows: object) -> GenerationConfig:
    """The config by which all frames of a batch are computed; the defaults' for none.

    Raises:
        UsageError: the requests differ in that, or it cannot be done for several; there is no such number of rows; or
            somebody observes all of them.
    """
    if current_observer() is not None:
        raise UsageError("A batch is observed and recorded row by row: give each Request its observer, or its trace.")
    if isinstance(max_rows, bool) or not isinstance(max_rows, int) or max_rows < 1:
        raise UsageError(f"max_rows must be a whole number from 1, not {short(max_rows)}.")
    for request in requests:
        if not isinstance(request, Request):
            raise UsageError(f"A batch is a list of dia2.Request, and {short(request)} is none.")
        if request.config.use_triton:
            raise UsageError("Triton kernels (use_triton) compute one script at a time: leave use_triton out.")
    configs = [request.config for request in requests] or [GenerationConfig()]
    for name in ("use_cuda_graph", "use_torch_compile"):
        if len({getattr(config, name) for config in configs}) > 1:
            raise UsageError(f"The requests of a batch differ in {name}: its frames are computed in one way.")
    return configs[0]


def gathered(events: Iterable[Event], count: int, on_error: OnError) -> list[GenerationResult | Exception]:
    """The results of `count` requests, once all of them are over.

    Raises:
        Exception: the first of them that is an error, unless errors are to be returned.
        BatchInterrupted: Ctrl-C.
    """
    found: dict[int, Any] = {}
    for event in events:
        if isinstance(event, Over):
            found[event.key] = event.result
        elif isinstance(event, Failed):
            found[event.key] = event.error
    results: list[Any] = [found.get(number) for number in range(count)]
    if any(result is None or isinstance(result, GenerationInterrupted) for result in results):
        raise BatchInterrupted(results)
    if on_error == "raise":
        for number, result in enumerate(results):
            if isinstance(result, Exception):
                raise _named(result, number)
    return results


def pieces_of(events: Iterable[Event], on_error: OnError) -> Iterator[tuple[int, StreamChunk | Exception]]:
    """The pieces of streams, as they come; errors as `gathered` has them."""
    errors: dict[int, Exception] = {}
    for event in events:
        if isinstance(event, Gave):
            yield event.key, event.item
        elif isinstance(event, Failed):
            assert isinstance(event.error, Exception), "Ctrl-C ends the loop itself"
            if on_error == "return":
                yield event.key, event.error
            else:
                errors[event.key] = event.error
    if errors:
        first = min(errors)
        raise _named(errors[first], first)


def _named(error: Exception, number: int) -> Exception:
    error.add_note(f"It is request {number} of the batch, counted from 0; on_error='return' keeps the others' results.")
    return error
