"""An open batch under CUDA graphs: who joins and leaves changes nothing in what the others say."""

from __future__ import annotations

from collections import defaultdict

import pytest
import torch
from torch import Tensor

from dia2 import LiveText, Request
from dia2.runtime.batch.live import OpenBatch
from dia2.runtime.batch.schedule import Failed, Gave, Over
from dia2.runtime.streaming import StreamChunk

from ...support.reference import Recorder, checkpoints, engine

SCRIPTS = ("[S1] Hello there. [S2] Hi!", "[S1] No.", "[S2] How are you today? [S1] Well.", "[S1] Hello.")


class Room:
    """An open batch of two rows, and what came of it."""

    def __init__(self, checkpoint: str, graphs: bool) -> None:
        self.tts, self.graphs = engine(checkpoint), graphs
        self.batch: OpenBatch = self.tts.open_batch(max_rows=2, use_cuda_graph=graphs)
        self.recorders: dict[int, Recorder] = defaultdict(Recorder)
        self.sound: dict[int, list[Tensor]] = defaultdict(list)
        self.over: list[int] = []

    def join(self, key: int, script: str | LiveText, seed: int) -> None:
        self.batch.join(key, Request(script, seed=seed, use_cuda_graph=self.graphs, observer=self.recorders[key]))

    def frames(self, count: int | None = None) -> None:
        """So many, or until all are over."""
        while count is None or count > 0:
            events = self.batch.frame()
            for event in events:
                match event:
                    case Gave(key, StreamChunk() as chunk):
                        self.sound[key].append(chunk.waveform)
                    case Over(key):
                        self.over.append(key)
                    case Failed(_, error):
                        raise error
            if count is None and not len(self.batch) and not events:
                return
            count = None if count is None else count - 1


def spoken(checkpoint: str, graphs: bool) -> Room:
    """The same comings and goings, whatever computes the frames."""
    room = Room(checkpoint, graphs)
    text = LiveText()
    room.join(0, SCRIPTS[0], 0)
    room.frames(4)
    room.join(1, SCRIPTS[2], 1)
    room.frames(3)
    room.batch.leave(0)
    room.join(2, text, 2)
    text.feed("[S1] Hello")
    room.frames(6)
    for piece in (" there, how", " are you", " today?"):
        text.feed(piece)
        room.frames(5)
    text.close()
    room.frames()
    room.join(3, SCRIPTS[3], 3)
    room.frames()
    room.batch.close()
    return room


@pytest.mark.parametrize("checkpoint", checkpoints("tiny3"))
def test_rows_that_join_and_leave_under_graphs_have_eager_s_tokens(checkpoint: str, captures: list[int]) -> None:
    eager = spoken(checkpoint, graphs=False)
    assert not captures
    graphs = spoken(checkpoint, graphs=True)
    assert captures, "frames were replayed"
    assert eager.over == graphs.over == [1, 2, 3]
    for key in (1, 2, 3):
        for point in ("step_tokens", "audio_buf.column"):
            theirs, ours = (torch.stack(room.recorders[key].seen[point]) for room in (eager, graphs))
            assert torch.equal(theirs, ours), point
        one, other = (torch.cat(room.sound[key]) for room in (eager, graphs))
        assert one.shape == other.shape
        assert (one - other).abs().max() <= 1e-4
    alone = eager.tts.generate(SCRIPTS[2], seed=1)
    joined = torch.cat(graphs.sound[1])
    assert joined.shape == alone.waveform.shape
    assert (joined - alone.waveform).abs().max() <= 1e-4
