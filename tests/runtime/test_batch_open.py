"""An open batch: requests join and leave while others speak, and each is spoken as it would be alone."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dia2 import LiveText, Request, UsageError
from dia2.common.progress import Progress
from dia2.engine import Dia2
from dia2.inspect import Dia2Trace, record
from dia2.runtime.batch.live import OpenBatch
from dia2.runtime.batch.schedule import Event, Failed, Gave, Over
from dia2.runtime.streaming import Stream, StreamChunk

from ..support.reference import engine

SCRIPTS = ["[S1] Hello there. [S2] Hi!", "[S1] No.", "[S2] How are you today? [S1] Well."]


@pytest.fixture
def tts() -> Dia2:
    return engine("tiny4")


class Listener:
    """What came of each request."""

    def __init__(self) -> None:
        self.pieces: dict[int, list[torch.Tensor]] = defaultdict(list)
        self.streams: dict[int, Stream] = {}
        self.over: list[int] = []
        self.failed: dict[int, BaseException] = {}

    def hear(self, events: list[Event]) -> None:
        for event in events:
            match event:
                case Gave(key, Stream() as stream):
                    self.streams[key] = stream
                case Gave(key, StreamChunk() as chunk):
                    self.pieces[key].append(chunk.waveform)
                case Over(key):
                    self.over.append(key)
                case Failed(key, error):
                    self.failed[key] = error

    def finish(self, batch: OpenBatch) -> None:
        while True:
            going, events = len(batch), batch.frame()  # a request may be over before its first frame
            self.hear(events)
            if not going and not events:
                return
            assert events or not batch.rests(), "it would wait for ever"


def request(number: int) -> Request:
    return Request(SCRIPTS[number], seed=number)


def test_requests_join_while_others_speak(tts: Dia2) -> None:
    batch, heard = tts.open_batch(max_rows=2), Listener()
    batch.join(0, request(0))
    for _ in range(5):
        heard.hear(batch.frame())
    batch.join(1, request(1))
    assert not batch.has_room()
    with pytest.raises(UsageError, match="The batch has no room: wait until a request is over"):
        batch.join(2, request(2))
    while 1 not in heard.over:
        heard.hear(batch.frame())
    batch.join(2, request(2))
    heard.finish(batch)
    assert sorted(heard.over) == [0, 1, 2]
    for number, script in enumerate(SCRIPTS):
        alone = tts.generate(script, seed=number)
        torch.testing.assert_close(torch.cat(heard.pieces[number]), alone.waveform, atol=1e-5, rtol=0)
        assert heard.streams[number].stop_reason == alone.stop_reason
        assert heard.streams[number].seed == number
    assert batch.frame() == []
    batch.close()
    assert not batch.has_room()
    batch.close()


def test_who_leaves_makes_room_and_changes_nothing_for_others(tts: Dia2) -> None:
    batch, heard = tts.open_batch(max_rows=2), Listener()
    batch.join(7, request(0))
    batch.join(8, request(2))
    for _ in range(9):
        heard.hear(batch.frame())
    batch.leave(7)
    batch.leave(7)
    batch.leave(1234)
    assert len(batch) == 1
    assert batch.has_room()
    heard.finish(batch)
    assert heard.over == [8]
    assert heard.streams[7].stop_reason == "interrupted"
    torch.testing.assert_close(torch.cat(heard.pieces[8]), tts.generate(SCRIPTS[2], seed=2).waveform, atol=1e-5, rtol=0)
    batch.close()


def test_a_request_that_fails_is_over_and_the_batch_goes_on(tts: Dia2) -> None:
    batch, heard = tts.open_batch(), Listener()

    def broken(_: Progress) -> None:
        raise ValueError("no bar")

    batch.join(0, Request(SCRIPTS[0], seed=1, progress=broken))
    batch.join(1, request(1))
    heard.finish(batch)
    assert str(heard.failed[0]) == "no bar"
    assert heard.over == [1]
    batch.join(2, request(2))
    heard.finish(batch)
    assert heard.over == [1, 2]
    batch.close()


def test_what_goes_on_when_a_batch_is_closed_is_stopped(tts: Dia2) -> None:
    batch, heard = tts.open_batch(), Listener()
    batch.join(0, request(0))
    heard.hear(batch.frame())
    batch.close()
    assert len(batch) == 0
    assert heard.streams[0].stop_reason == "interrupted"


def test_what_does_not_go_together_is_refused(tts: Dia2) -> None:
    with pytest.raises(UsageError, match="max_rows must be a whole number from 1"):
        tts.open_batch(max_rows=0)
    batch = tts.open_batch()
    with pytest.raises(UsageError, match=r"leave output_wav='a\.wav' out"):
        batch.join(0, Request("[S1] Hi.", output_wav="a.wav"))
    with pytest.raises(UsageError, match="opened with use_cuda_graph=False"):
        batch.join(0, Request("[S1] Hi.", use_cuda_graph=True))
    assert len(batch) == 0
    unguided = tts.open_batch(guided=False)
    heard = Listener()
    unguided.join(0, Request("[S1] Hi.", seed=1))
    heard.finish(unguided)
    assert "without guidance" in str(heard.failed[0])


WORDS = ["[S1] Hello", " there, how", " are you?", " [S2] Well ", "enough, and", " you?"]


def live(number: int = 0, **options: Any) -> tuple[LiveText, Request]:
    text = LiveText()
    return text, Request(text, seed=number, **options)


@pytest.mark.parametrize("checkpoint", ["tiny3", "tiny4", "tiny8"])
def test_text_that_comes_slowly_slows_speech_down_and_changes_nothing(checkpoint: str) -> None:
    tts = engine(checkpoint)
    batch, heard = tts.open_batch(max_rows=3), Listener()
    text, asked = live(5)
    batch.join(0, asked)
    heard.hear(batch.frame())
    assert batch.rests()
    batch.join(1, request(0))
    assert not batch.rests()
    for number, piece in enumerate(WORDS):
        text.feed(piece)
        for _ in range(3 + 7 * (number % 2)):
            heard.hear(batch.frame())
    text.close()
    heard.finish(batch)
    assert sorted(heard.over) == [0, 1]
    for key, script, seed in ((0, "".join(WORDS), 5), (1, SCRIPTS[0], 0)):
        alone = tts.generate(script, seed=seed).waveform
        torch.testing.assert_close(torch.cat(heard.pieces[key]), alone, atol=1e-5, rtol=0)


def test_what_can_be_heard_comes_before_more_text_is_waited_for(tts: Dia2) -> None:
    batch, heard = tts.open_batch(), Listener()
    text, asked = live(1)
    text.feed("[S1] One two three four five six ")
    batch.join(0, asked)
    while not batch.rests():
        heard.hear(batch.frame())
    before = sum(map(len, heard.pieces[0]))
    assert before > 0
    for _ in range(50):
        assert batch.frame() == []
    text.feed("seven eight.")
    text.close()
    heard.finish(batch)
    whole = tts.generate("[S1] One two three four five six seven eight.", seed=1).waveform
    torch.testing.assert_close(torch.cat(heard.pieces[0]), whole, atol=1e-5, rtol=0)


@pytest.mark.parametrize("least", [0, 3, 1000])
def test_pieces_of_several_frames_are_the_same_sound(tts: Dia2, least: int) -> None:
    batch, heard = tts.open_batch(), Listener()
    text, asked = live(1)
    text.feed("[S1] One two three four five six ")
    batch.join(0, asked)
    while not batch.rests():
        heard.hear(batch.frame())
        if 0 in heard.streams:
            heard.streams[0].least = least
    sizes = [len(piece) // 1920 for piece in heard.pieces[0]]
    assert sizes[0] == 1, "the first comes at once"
    assert all(size == max(1, least) for size in sizes[1:-1])
    assert batch.frame() == [], "all that can be heard has come before text is waited for"
    text.feed("seven eight.")
    text.close()
    heard.finish(batch)
    whole = tts.generate("[S1] One two three four five six seven eight.", seed=1).waveform
    torch.testing.assert_close(torch.cat(heard.pieces[0]), whole, atol=1e-5, rtol=0)
    sizes = [len(piece) // 1920 for piece in heard.pieces[0]]
    assert sum(sizes) == len(whole) // 1920
    assert (max(sizes) > 1) == (least > 1)


def test_a_run_that_waits_is_recorded_as_if_it_had_not(tts: Dia2, tmp_path: Path) -> None:
    batch, heard = tts.open_batch(), Listener()
    text, asked = live(2, trace=record(tmp_path / "live", level="full"))
    batch.join(0, asked)
    batch.join(1, request(1))
    for piece in WORDS:
        text.feed(piece)
        for _ in range(9):
            heard.hear(batch.frame())
    text.close()
    heard.finish(batch)
    tts.generate("".join(WORDS), seed=2, trace=record(tmp_path / "alone", level="full"))
    slow, alone = Dia2Trace(tmp_path / "live"), Dia2Trace(tmp_path / "alone")
    assert len(slow) == len(alone)
    for name in ("text", "action", "codes", "step", "slot"):
        assert np.array_equal(slow.column(name), alone.column(name)), name
    for call in (0, len(alone) // 2, len(alone) - 1):
        np.testing.assert_allclose(slow.logits(call)["cb0"], alone.logits(call)["cb0"], atol=1e-4)


def test_who_waits_for_text_can_leave_and_be_without_words(tts: Dia2) -> None:
    batch, heard = tts.open_batch(max_rows=1), Listener()
    text, asked = live()
    batch.join(0, asked)
    batch.leave(0)
    assert len(batch) == 0
    empty, asked = live()
    batch.join(1, asked)
    empty.feed("  ")
    empty.close()
    heard.finish(batch)
    assert "no words" in str(heard.failed[1])
    text.feed("late")  # is no matter
    with pytest.raises(UsageError, match="spoken in an open batch"):
        tts.generate_many([Request(LiveText())])


def test_two_that_wait_for_text_and_one_row(tts: Dia2) -> None:
    """Neither has a row before it has words; then one waits for the other."""
    batch, heard = tts.open_batch(max_rows=1), Listener()
    texts = []
    for key in (0, 1):
        text, asked = live(key)
        batch.join(key, asked)
        texts.append(text)
    for text in texts:
        text.feed("[S1] Hello there. ")
        text.close()
    heard.finish(batch)
    assert sorted(heard.over) == [0, 1]
    for key in (0, 1):
        alone = tts.generate("[S1] Hello there.", seed=key).waveform
        torch.testing.assert_close(torch.cat(heard.pieces[key]), alone, atol=1e-5, rtol=0)
