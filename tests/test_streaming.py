"""Streams: the same speech as the whole, early, and while the text is still being written."""

import json
import shutil
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
import torch

from dia2 import Dia2, GenerationResult, UsageError
from dia2.audio.codec import Codec
from dia2.runtime import streaming
from dia2.runtime.assets import nano_folder
from dia2.runtime.streaming import Stream, StreamChunk

from .support.pieces import Late
from .support.reference import GREEDY, Case, Recorder, cases, checkpoints, engine, stacked

SCRIPT = '[S1] Hello Dia2! It\'s a test. [S2] Really? <break time="0.4s"/> Fine. [S1] Good.'


def assert_joined(chunks: list[StreamChunk], whole: GenerationResult) -> None:
    """The pieces are the sound and the words of the whole."""
    joined = torch.cat([chunk.waveform for chunk in chunks])
    assert joined.shape == whole.waveform.shape
    assert (joined - whole.waveform).abs().max() <= 1e-4
    assert [word for chunk in chunks for word in chunk.words] == whole.words


TELLING = ("plain_cfg1", "prefix2", "prefix2_include", "timing")  # the others differ in nothing that streaming sees


@pytest.mark.parametrize(
    "case", [case for case in cases("tiny3", names=("prefix2_include", "timing")) if case.values[0].name in TELLING]
)
def test_joined_pieces_equal_the_whole(case: Case) -> None:
    tts, script = engine(case.checkpoint), case.expected["script"]
    whole = tts.generate(script, case.config())
    chunks = list(tts.stream(script, case.config()))
    assert_joined(chunks, whole)
    assert [word.speaker for chunk in chunks for word in chunk.words] == whole.speakers
    starts = [chunk.start for chunk in chunks]
    ends = [chunk.start + len(chunk.waveform) / chunk.sample_rate for chunk in chunks]
    assert starts[0] == 0
    assert ends[:-1] == pytest.approx(starts[1:])


def calls(stream: Stream) -> int:
    """Frames made so far; an observer would hear of them up to 0.2 s later."""
    assert stream._session is not None, "begun"
    return stream._session.gen.calls


@pytest.mark.parametrize("checkpoint", ["tiny8", "tiny4"])
def test_the_first_piece_comes_after_max_delay_frames(checkpoint: str) -> None:
    tts = engine(checkpoint)
    stream = tts.stream(SCRIPT, seed=3)
    first = next(stream)
    assert calls(stream) == max(tts.runtime.audio_delays)
    assert len(first.waveform) == 1920  # one frame
    next(stream)
    assert calls(stream) == max(tts.runtime.audio_delays) + 1


def test_without_lookahead_the_first_piece_waits_for_the_first_word() -> None:
    tts = engine("tiny3")
    stream = tts.stream('<break time="1.0s"/> one two', seed=3)
    first = next(stream)
    crop = tts.generate('<break time="1.0s"/> one two', seed=3).crop
    assert crop > 0
    assert calls(stream) >= crop + max(tts.runtime.audio_delays)
    assert first.start == 0


@pytest.mark.parametrize("checkpoint", checkpoints("tiny3"))
@pytest.mark.parametrize("size", [1, pytest.param(7, marks=pytest.mark.slow)])
def test_text_pushed_piece_by_piece_gives_the_tokens_of_the_whole(checkpoint: str, size: int) -> None:
    tts = engine(checkpoint)
    whole, pushed = Recorder(), Recorder()
    tts.generate(SCRIPT, seed=5, observer=whole)
    pieces = (SCRIPT[i : i + size] for i in range(0, len(SCRIPT), size))
    for _ in tts.stream(pieces, seed=5, observer=pushed):
        pass
    assert torch.equal(stacked(whole.seen["audio_buf.column"]), stacked(pushed.seen["audio_buf.column"]))
    assert torch.equal(stacked(whole.seen["step_tokens"]), stacked(pushed.seen["step_tokens"]))


@pytest.mark.slow
def test_text_pushed_word_by_word_after_a_prefix_gives_the_tokens_of_the_whole() -> None:
    case, tts = Case("tiny8", "prefix2"), engine("tiny8")
    whole, pushed = Recorder(), Recorder()
    tts.generate(case.expected["script"], case.config(), observer=whole)
    words = (word + " " for word in case.expected["script"].split(" "))
    for _ in tts.stream(words, case.config(), observer=pushed):
        pass
    assert torch.equal(stacked(whole.seen["audio_buf.column"]), stacked(pushed.seen["audio_buf.column"]))
    assert whole.seen["machine.after"][-1] == pushed.seen["machine.after"][-1]


def test_text_is_read_only_as_far_as_needed() -> None:
    read: list[str] = []

    def words() -> Iterator[str]:
        for i in range(40):
            read.append(f"word{i}")
            yield f"word{i} "

    stream = engine("tiny4").stream(words(), seed=1)
    next(stream)
    early = len(read)
    assert early < 10  # the words begun so far, two looked ahead at, one not complete before the next
    list(islice(stream, 30))
    assert early < len(read) < 40


def test_a_stream_tells_its_seed_and_why_it_ended() -> None:
    tts = engine("tiny4")
    stream = tts.stream("[S1] one two")
    before = stream.seed, stream.stop_reason
    joined = torch.cat([chunk.waveform for chunk in stream])
    assert before == (None, None)
    assert stream.stop_reason == "end"
    assert torch.allclose(tts.generate("[S1] one two", seed=stream.seed).waveform, joined, atol=1e-4)


def test_a_stream_leaves_torch_as_it_was_between_pieces() -> None:
    stream = Dia2.nano(device="cpu").stream("[S1] one two three", seed=1)
    before = torch.get_num_threads()
    chunk = next(stream)
    assert torch.is_grad_enabled()
    assert torch.get_num_threads() == before
    chunk.waveform.mul_(0.5)  # an ordinary tensor


@pytest.mark.parametrize("pieces", [[], [" "], ['<break time="1s"/>']])
def test_a_stream_without_words_is_an_error(pieces: list[str]) -> None:
    with pytest.raises(UsageError, match="has no words"):
        next(engine("tiny4").stream(iter(pieces)))


def test_pieces_must_be_text() -> None:
    with pytest.raises(UsageError, match="A piece of the script must be a string, not 1"):
        next(engine("tiny4").stream(iter([1])))  # type: ignore[arg-type]  # that is the point


def test_a_closed_stream_is_over() -> None:
    stream = engine("tiny4").stream(SCRIPT, seed=1)
    next(stream)
    stream.close()
    assert list(stream) == []


@pytest.mark.slow
def test_greedy_streams_need_no_seed() -> None:
    tts = engine("tiny8")
    config = Case("tiny8", "plain_cfg1").config(text=GREEDY, audio=GREEDY)
    first, second = (torch.cat([c.waveform for c in tts.stream(SCRIPT, config)]) for _ in range(2))
    assert torch.equal(first, second)


def test_the_users_text_is_read_outside_torchs_switches() -> None:
    before, seen = torch.get_num_threads(), set()
    torch.set_num_threads(2)
    try:

        def words() -> Iterator[str]:
            for _ in range(12):
                seen.add((torch.is_grad_enabled(), torch.get_num_threads()))
                yield "word "

        assert len(list(engine("tiny4").stream(words(), seed=1))) > 10
    finally:
        torch.set_num_threads(before)
    assert seen == {(True, 2)}


def test_a_stream_that_is_interrupted_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    read = []

    def words() -> Iterator[str]:
        for i in range(30):
            read.append(i)
            yield f"word{i} "

    tts = engine("tiny4")
    stream = tts.stream(words(), seed=1)
    next(stream)

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(tts.runtime.machine, "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        list(stream)
    assert stream.stop_reason == "interrupted"
    before = len(read)
    assert list(stream) == []
    assert len(read) == before


def test_two_streams_at_a_time_have_each_its_own_padding() -> None:
    tts = engine("tiny4")
    alone = [chunk.words for chunk in tts.stream("[S1] one two", seed=1, initial_padding=0)]
    machine = tts.runtime.machine
    before = machine.initial_padding
    other = tts.stream("[S1] one two", seed=1, initial_padding=9)
    next(other)
    assert machine.initial_padding == before
    assert [chunk.words for chunk in tts.stream("[S1] one two", seed=1, initial_padding=0)] == alone
    other.close()


@pytest.mark.parametrize("delay", [1, *(pytest.param(delay, marks=pytest.mark.slow) for delay in (0, 2, 3))])
def test_words_come_with_their_sound_unless_the_delays_are_small(delay: int, tmp_path: Path) -> None:
    shutil.copytree(nano_folder(), tmp_path / "model", ignore=shutil.ignore_patterns("sample*"))
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    config["data"]["delay_pattern"] = [delay, *[0] * 7]
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))
    tts = Dia2.from_repo(str(tmp_path / "model"))
    chunks, whole = list(tts.stream(SCRIPT, seed=3)), tts.generate(SCRIPT, seed=3)
    assert [word for chunk in chunks for word in chunk.words] == whole.words
    late = [round((chunk.start - word.seconds) / 0.08) for chunk in chunks for word in chunk.words]
    assert late[1:] == [max(0, 3 - delay)] * 7  # the first is taken at step 2, and would have begun before the audio


def test_an_early_end_is_told() -> None:
    stream = engine("tiny4").stream(SCRIPT, seed=1)
    next(stream)
    before = stream.stop_reason
    stream.close()
    assert (before, stream.stop_reason) == (None, "interrupted")


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch) -> list[Late]:
    """Streams decode as on a GPU; every decoder that they made."""
    made: list[Late] = []

    def make(codec: Codec) -> Late:
        made.append(Late(codec))
        return made[-1]

    monkeypatch.setattr(streaming, "streaming_decoder", make)
    return made


@pytest.mark.parametrize("name", ["plain_cfg2", "prefix2_include", "timing"])
def test_pieces_decoded_beside_the_run_equal_the_whole(name: str, late: list[Late]) -> None:
    case, tts = Case("tiny3", name), engine("tiny3")
    whole = tts.generate(case.expected["script"], case.config())
    chunks = list(tts.stream(case.expected["script"], case.config()))
    assert_joined(chunks, whole)
    assert [decoder.begun for decoder in late] == [len(chunks)]


def test_a_piece_beside_the_run_comes_one_frame_later(late: list[Late]) -> None:
    tts = engine("tiny4")
    stream = tts.stream(SCRIPT, seed=3)
    for frames in range(3):
        next(stream)
        assert calls(stream) == max(tts.runtime.audio_delays) + 1 + frames
        assert (late[0].begun, late[0].heard) == (2 + frames, 1 + frames)


def test_what_can_be_heard_does_not_wait_for_the_next_text(late: list[Late]) -> None:
    left_behind: list[int] = []

    def words() -> Iterator[str]:
        for i in range(30):
            left_behind.extend(decoder.begun - decoder.heard for decoder in late)
            yield f"word{i} "

    assert len(list(engine("tiny4").stream(words(), seed=1))) > 20
    assert len(left_behind) > 10
    assert set(left_behind) == {0}


def test_closing_drops_a_piece_that_was_begun(late: list[Late]) -> None:
    read = []

    def words() -> Iterator[str]:
        for i in range(30):
            read.append(i)
            yield f"word{i} "

    stream = engine("tiny4").stream(words(), seed=1)
    next(stream)
    stream.close()
    before = len(read)
    assert list(stream) == []
    assert len(read) == before
