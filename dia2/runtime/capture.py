"""What an observer wants of every frame: copied inside the halves, handed over in batches.

Each tensor point has two rings of rows, taken in turn: while one is read out, the frames go on into the other.
The copy is an operation like any other in a half, so it is captured into CUDA graphs too; warm-up runs and
captures write rows that the next replay writes again, and nobody counts them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from dia2.common.hooks import PHASES, CallInfo, Observer
from dia2.core.model import Dia2Model
from dia2.core.streams import side_stream
from dia2.generation import GenerationConfig
from dia2.runtime.observed import Frames, FrameTimes, MachineRow

if TYPE_CHECKING:
    from dia2.runtime.frame import GenerationState

ROWS = 32  # frames a ring holds
_Finished = tuple[CallInfo, MachineRow, FrameTimes]
Shapes = dict[str, tuple[tuple[int, ...], torch.dtype]]  # of one frame's value, by ring
LATEST = 0.2  # seconds within which a ring is read out, full or not


def ring_shapes(points: frozenset[str], model: Dia2Model, branches: int) -> Shapes:
    """The rings that an observer of `points` needs; none if it wants nothing of a frame."""
    if points <= PHASES:
        return {}
    data = model.config.data
    shapes: Shapes = {"step_tokens": ((branches, data.channels), torch.int64)}
    if points & {"logits.action", "draw.action"}:
        shapes["action"] = ((branches, data.action_vocab_size), torch.float32)
    if points & {"logits.cb0", "draw.cb0"}:
        shapes["cb0"] = ((branches, data.audio_vocab_size), torch.float32)
    stages = model.depformer.stages
    if stages and any(name.startswith(("logits.dep.", "draw.dep.")) for name in points):
        shapes["dep"] = ((stages, branches, model.depformer.num_codes), torch.float32)
    return shapes


class Taps(Protocol):
    """Where the halves of a frame leave what observers want."""

    def wants(self, name: str) -> bool:
        """Whether anyone wants the value of this name."""

    def keep_row_on_device(self) -> None:
        """For graphs, which would hold on to a number."""

    def put(self, name: str, value: Tensor, lanes: int = 0) -> None:
        """Keep `value`, if anyone wants it; `lanes` is its dimension that counts branches of runs."""


class CaptureBuffers:
    """The device side: rings that a frame's operations write to, all at the same row."""

    def __init__(self, shapes: Shapes, device: torch.device, rows: int = 2 * ROWS) -> None:
        self._device, self._rows = device, rows
        self._row: int | Tensor = 0  # a number is quicker; what a graph replays must be read from the device
        self.rings: dict[str, Tensor] = {}
        self.add(shapes)

    def add(self, shapes: Shapes) -> None:
        """Make the rings that are not there yet."""
        for name, (shape, dtype) in shapes.items():
            if name not in self.rings:
                self.rings[name] = torch.zeros((self._rows, *shape), dtype=dtype, device=self._device)

    @property
    def shapes(self) -> Shapes:
        """Of one frame's values."""
        return {name: (tuple(ring.shape[1:]), ring.dtype) for name, ring in self.rings.items()}

    def part(self, names: Iterable[str]) -> CaptureBuffers:
        """Some of the rings, and the same row."""
        part = CaptureBuffers({}, self._device)
        part._row = self._row
        part.rings = {name: self.rings[name] for name in names}
        return part

    def keep_row_on_device(self) -> None:
        """See `Taps`."""
        if isinstance(self._row, int):
            self._row = torch.zeros(1, dtype=torch.int64, device=self._device)

    def move(self, row: int) -> None:
        """From here on write to `row`."""
        if isinstance(self._row, int):
            self._row = row
        else:
            self._row.fill_(row)

    def wants(self, name: str) -> bool:
        """See `Taps`."""
        return name in self.rings

    def put(self, name: str, value: Tensor, lanes: int = 0) -> None:
        """See `Taps`: copy it into its ring."""
        ring = self.rings.get(name)
        if ring is None:
            return
        if isinstance(self._row, int):
            ring[self._row].copy_(value)
        else:
            ring.index_copy_(0, self._row, value[None])


class FrameLog:
    """The host side: counts finished frames and hands them over."""

    def __init__(self, observer: Observer, buffers: CaptureBuffers, gen: GenerationState) -> None:
        """Note who looks.

        Args:
            observer: takes finished frames.
            buffers: rings for what it wants, see `ring_shapes`.
            gen: the run's tensors, in whose grid each frame leaves its codes.
        """
        device = gen.audio_buf.device
        self._gen = gen
        self.buffers = buffers
        self._observer = observer
        self._hand_over = _Beside(device, observer.frames) if device.type == "cuda" else None
        self._half = 0  # the ring that is being filled
        self._finished: list[_Finished] = []
        self._read_out = time.perf_counter()

    def begin(self) -> None:
        """A frame begins: say which row it writes."""
        self.buffers.move(self._half * ROWS + len(self._finished))

    def end(self, config: GenerationConfig, call: CallInfo, machine: MachineRow, times: FrameTimes) -> None:
        """The frame is finished."""
        self._finished.append((call, machine, times))  # all of it or, if Ctrl-C falls here, nothing
        after_next = times.began + 2 * times.frame - self._read_out  # when the next frame will be finished, too
        if len(self._finished) == ROWS or after_next >= LATEST:
            self.flush(config)

    def flush(self, config: GenerationConfig, *, last: bool = False) -> None:
        """Hand over what is finished; `last` waits for it, too."""
        if self._finished:
            first = self._half * ROWS
            part = slice(first, first + len(self._finished))
            values = {name: ring[part] for name, ring in self.buffers.rings.items()}
            begin, end = self._finished[0][0].step, self._finished[-1][0].step
            values["codes"] = self._gen.audio_buf[0, :, begin + 1 : end + 2].T  # all branches have the same codes
            if self._hand_over is None:
                self._observer.frames(_frames(config, self._finished, values))
            else:
                self._hand_over.take(self._half, config, self._finished, values)
            self._finished, self._half = [], 1 - self._half
        if last and self._hand_over is not None:
            self._hand_over.finish()
        self._read_out = time.perf_counter()


def _frames(config: GenerationConfig, finished: list[_Finished], values: dict[str, Tensor]) -> Frames:
    host = {name: value.cpu() for name, value in values.items()}  # where it is already, except on mps
    logits = {name: value for name, value in host.items() if name not in ("step_tokens", "codes")}
    return Frames(
        config=config,
        calls=[call for call, _, _ in finished],
        machine=[row for _, row, _ in finished],
        times=[times for _, _, times in finished],
        step_tokens=host["step_tokens"],
        codes=host["codes"],
        logits=logits,
    )


class _Beside:
    """On CUDA: copies a ring to pinned memory on a side stream, and hands it over when the next one is full."""

    def __init__(self, device: torch.device, frames: Callable[[Frames], None]) -> None:
        self._device, self._frames = device, frames
        self._stream = side_stream(device, "capture")
        self._pinned: list[dict[str, Tensor]] = [{}, {}]
        self._waiting: tuple[torch.cuda.Event, GenerationConfig, list[_Finished], dict[str, Tensor]] | None = None

    def take(self, half: int, config: GenerationConfig, finished: list[_Finished], values: dict[str, Tensor]) -> None:
        """Start copying; the batch taken before is handed over now, its copy long done."""
        count = len(finished)
        pinned = self._pinned[half]
        with torch.cuda.device(self._device):
            self._stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self._stream):
                for name, value in values.items():
                    if name not in pinned:
                        pinned[name] = torch.empty((ROWS, *value.shape[1:]), dtype=value.dtype, pin_memory=True)
                    pinned[name][:count].copy_(value, non_blocking=True)
                done = torch.cuda.Event()  # type: ignore[no-untyped-call]  # torch types it nowhere
                done.record(self._stream)
        self.finish()
        self._waiting = (done, config, finished, {name: pinned[name][:count] for name in values})

    def finish(self) -> None:
        """Wait for the copy that is under way, if any, and hand it over.

        After this its ring may be written again, which is why `take` calls it before the turn comes round.
        """
        if self._waiting is not None:
            done, config, finished, values = self._waiting
            done.synchronize()
            self._frames(_frames(config, finished, values))
            self._waiting = None  # only now: Ctrl-C in the line above must not lose them
