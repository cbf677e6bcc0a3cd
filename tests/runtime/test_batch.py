"""Several scripts side by side: each is spoken as it would be alone."""

from __future__ import annotations

import gc
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dia2 import (
    BatchInterrupted,
    ChangeSampling,
    Dia2,
    ForceAction,
    GenerationConfig,
    GenerationResult,
    ReplaceToken,
    Request,
    UsageError,
)
from dia2.common.progress import Progress
from dia2.inspect import Dia2Trace, record
from dia2.runtime import generator, script_parser, task
from dia2.runtime.batch import frames, memory, rows, schedule
from dia2.runtime.batch.state import allocate, bytes_of
from dia2.runtime.edits import Edit

from ..support.reference import Case, Recorder, assert_recorded, cases, checkpoints, engine, stacked

CASES = [case.values[0] for case in cases()]
SCRIPT = "[S1] one two three [S2] four"


class EnoughError(Exception):
    """Raised by a test's callback."""


def of(checkpoint: str) -> list[Case]:
    return [case for case in CASES if case.checkpoint == checkpoint]


def request(case: Case, changes: dict[str, Any] | None = None, **options: Any) -> Request:
    return Request(case.expected["script"], case.config(**(changes or {})), **options)


def after(frames: int, what: BaseException | None = None) -> Callable[[Progress], None]:
    """A callback that raises after so many frames."""

    def tell(progress: Progress) -> None:
        if progress.frames >= frames:
            raise what or EnoughError(f"after {frames} frames")

    return tell


def assert_same(many: Sequence[object], alone: Sequence[GenerationResult]) -> None:
    for one, other in zip(many, alone, strict=True):
        assert isinstance(one, GenerationResult)
        assert torch.equal(one.audio_tokens, other.audio_tokens)
        assert torch.allclose(one.waveform, other.waveform, atol=1e-5)
        for name in (
            "words",
            "timestamps",
            "speakers",
            "stop_reason",
            "unspoken",
            "first_word_frame",
            "crop",
            "frames",
        ):
            assert getattr(one, name) == getattr(other, name)


@pytest.mark.parametrize("checkpoint", checkpoints("tiny3", "tiny4", "tiny8"))
def test_all_cases_in_one_batch_have_the_reference_s_numbers(checkpoint: str) -> None:
    """Rows join when others leave: with guidance and without, with prefixes and without, guided alike or not."""
    tts, found = engine(checkpoint), of(checkpoint)
    recorders = [Recorder() for _ in found]
    asked = [request(case, observer=recorder) for case, recorder in zip(found, recorders, strict=True)]
    results = tts.generate_many(asked, max_rows=3)
    for case, result, recorder in zip(found, results, recorders, strict=True):
        assert isinstance(result, GenerationResult)
        assert_recorded(case, result, recorder)


@pytest.mark.parametrize("checkpoint", checkpoints("tiny4"))
@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow), pytest.param(3, marks=pytest.mark.slow)])
def test_rows_that_come_and_go_at_any_frame_do_not_touch_the_others(checkpoint: str, seed: int) -> None:
    """Sampled, each with a seed and a setting of its own; about half of them stop somewhere in the middle."""
    chance, tts = random.Random(seed), engine(checkpoint)
    found = of(checkpoint) * 2
    chance.shuffle(found)
    asked, alone, ends = [], [], []
    for number, case in enumerate(found):
        changes: dict[str, Any] = {"seed": number, "temperature": chance.choice([0.5, 0.8, 1.1])}
        changes |= {"top_k": chance.choice([0, 5, 50]), "cfg_scale": chance.choice([1.0, 1.5, 3.0])}
        ends.append(chance.choice([None, chance.randrange(1, 30)]))
        progress = None if ends[-1] is None else after(ends[-1])
        recorder, other = Recorder(), Recorder()
        asked.append(
            (Request(case.expected["script"], case.config(), **changes, observer=recorder, progress=progress), recorder)
        )
        with suppress(EnoughError):
            tts.generate(case.expected["script"], case.config(), **changes, observer=other, progress=progress)
        alone.append(other)
    many = tts.generate_many([one for one, _ in asked], max_rows=chance.choice([2, 5]), on_error="return")
    for result, (_, recorder), other, end in zip(many, asked, alone, ends, strict=True):
        assert isinstance(result, GenerationResult) or (end is not None and isinstance(result, EnoughError))
        for point in ("audio_buf.column", "step_tokens"):
            assert torch.equal(stacked(recorder.seen[point]), stacked(other.seen[point]))
        assert recorder.seen["machine.after"] == other.seen["machine.after"]
        assert recorder.seen["call"] == other.seen["call"]


def test_a_batch_of_the_embedded_checkpoint() -> None:
    tts = Dia2.nano()
    options: list[dict[str, Any]] = [{}, {"cfg_scale": 3.0}, {"cfg_scale": 1.0}, {"temp_audio": 0}, {"top_k": 7}]
    asked = [("[S1] Hello there. [S2] Hi!", {"seed": n} | extra) for n, extra in enumerate(options)]
    many = tts.generate_many([Request(text, **given) for text, given in asked])
    assert_same(many, [tts.generate(text, **given) for text, given in asked])
    assert [one.seed for one in many if isinstance(one, GenerationResult)] == [0, 1, 2, 3, 4]


def test_edits_are_those_of_their_row() -> None:
    tts = engine("tiny4")
    edits = [
        ForceAction(5, "new_word"),
        ReplaceToken(6, 3, codebook=2),
        ChangeSampling(8, cfg_scale=4.0, temp_audio=0.3),
    ]
    given: list[dict[str, Any]] = [
        {"seed": 1},
        {"seed": 1, "edits": edits},
        {"seed": 2, "cfg_scale": 1.0, "edits": edits},
    ]
    many = tts.generate_many([Request(SCRIPT, **one) for one in given])
    assert_same(many, [tts.generate(SCRIPT, **one) for one in given])
    assert not torch.equal(many[0].audio_tokens, many[1].audio_tokens)  # type: ignore[union-attr]  # results


def test_a_trace_of_a_row_is_that_of_its_single_run(tmp_path: Path) -> None:
    tts, found = engine("tiny3"), [case for case in of("tiny3") if case.name in ("prefix2", "plain_cfg1", "plain_cfg2")]
    assert len(found) == 3
    tts.runtime.forget()  # what is kept of prefixes saves phases
    for case in found:
        tts.generate(case.expected["script"], case.config(), trace=tmp_path / f"{case.name}.alone", seed=3)
    tts.runtime.forget()
    tts.generate_many([request(case, {"seed": 3}, trace=tmp_path / f"{case.name}.row") for case in found])
    for case in found:
        alone, row = (Dia2Trace.load(tmp_path / f"{case.name}.{which}") for which in ("alone", "row"))
        assert row.complete
        assert alone.diff(row).same
        assert [event.name for event in row.phases] == [event.name for event in alone.phases]
        assert np.array_equal(alone.grid, row.grid)
        for call in range(alone.warmup_calls, len(alone)):
            for point, logits in alone.logits(call).items():
                assert np.allclose(row.logits(call)[point], logits, rtol=1e-4, atol=1e-4)


class TestStreams:
    def test_pieces_are_those_of_single_streams(self) -> None:
        tts, found = (
            engine("tiny3"),
            [case for case in of("tiny3") if case.name in ("prefix2_include", "timing", "plain_cfg1")],
        )
        pieces: dict[int, list[Any]] = {number: [] for number in range(len(found))}
        order = []
        for number, chunk in tts.stream_many([request(case) for case in found], max_rows=2):
            pieces[number].append(chunk)
            order.append(number)
        for number, case in enumerate(found):
            alone = list(tts.stream(case.expected["script"], case.config()))
            assert len(alone) == len(pieces[number])
            for mine, theirs in zip(pieces[number], alone, strict=True):
                assert (mine.start, mine.words) == (theirs.start, theirs.words)
                assert torch.allclose(mine.waveform, theirs.waveform, atol=1e-5)
        assert order != sorted(order)  # side by side

    def test_what_is_no_longer_listened_to_ends(self) -> None:
        tts = engine("tiny4")
        pieces = tts.stream_many([Request(SCRIPT, seed=1), Request(SCRIPT, seed=2)])
        next(pieces)
        pieces.close()  # type: ignore[attr-defined]  # a generator
        assert_same(tts.generate_many([Request(SCRIPT, seed=1)]), [tts.generate(SCRIPT, seed=1)])

    def test_one_that_cannot_be_closed_leaves_the_others(self, caplog: pytest.LogCaptureFixture) -> None:
        tts, watched = engine("tiny4"), Recorder()
        pieces = tts.stream_many([Request(SCRIPT, observer=Failing("step_tokens")), Request(SCRIPT, observer=watched)])
        next(pieces)
        pieces.close()  # type: ignore[attr-defined]  # a generator
        assert "a run of a batch could not be closed: observing" in caplog.text
        assert watched.seen["step_tokens"]

    def test_an_error_is_the_last_piece_of_its_row_or_comes_at_the_end(self) -> None:
        tts = engine("tiny4")

        def asked() -> list[Request]:
            bad = [ReplaceToken(3, 1, codebook=99)]
            return [Request(SCRIPT, seed=1), Request(SCRIPT, seed=2, edits=bad), Request(SCRIPT, seed=3)]

        got = list(tts.stream_many(asked(), on_error="return"))
        assert [(number, type(one)) for number, one in got if isinstance(one, Exception)] == [(1, UsageError)]
        pieces, seen = tts.stream_many(asked()), list[int]()
        with pytest.raises(UsageError, match="does not fit"):
            seen.extend(number for number, _ in pieces)
        assert seen == [number for number, one in got if not isinstance(one, Exception)]

    def test_a_trace_of_a_row_is_that_of_its_single_stream(self, tmp_path: Path) -> None:
        tts = engine("tiny3")
        for seed in (1, 2):
            with record(tmp_path / f"{seed}.alone"):
                list(tts.stream(SCRIPT, seed=seed))
        list(tts.stream_many([Request(SCRIPT, seed=seed, trace=tmp_path / f"{seed}.row") for seed in (1, 2)]))
        for seed in (1, 2):
            alone, row = (Dia2Trace.load(tmp_path / f"{seed}.{which}") for which in ("alone", "row"))
            assert row.complete
            assert alone.diff(row).same

    def test_edits_are_those_of_their_row(self) -> None:
        tts = engine("tiny4")
        edits: list[Edit] = [ReplaceToken(6, 3, codebook=2), ChangeSampling(8, temp_audio=0.3)]
        found: list[list[torch.Tensor]] = [[], []]
        for number, chunk in tts.stream_many([Request(SCRIPT, seed=1), Request(SCRIPT, seed=1, edits=edits)]):
            assert not isinstance(chunk, Exception)
            found[number].append(chunk.waveform)
        wholes = tts.generate(SCRIPT, seed=1), tts.generate(SCRIPT, seed=1, edits=edits)
        for pieces, whole in zip(found, wholes, strict=True):
            assert torch.allclose(torch.cat(pieces), whole.waveform, atol=1e-4)

    def test_no_file_is_written(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="writes no file"):
            engine("tiny4").stream_many([Request(SCRIPT, output_wav=tmp_path / "a.wav")])


class TestErrors:
    def test_a_row_that_fails_does_not_touch_the_others(self, tmp_path: Path) -> None:
        tts, alone = engine("tiny4"), [engine("tiny4").generate(SCRIPT, seed=seed) for seed in (1, 4)]
        asked = [
            Request(SCRIPT, seed=1, output_wav=tmp_path / "one.wav"),
            Request(SCRIPT, seed=2, progress=after(4)),
            Request(SCRIPT, seed=3, trace=tmp_path / "none" / "such"),
            Request(SCRIPT, seed=4),
            Request(SCRIPT, seed=5, observer=Failing("step_tokens")),
            Request(SCRIPT, seed=6, edits=[ReplaceToken(3, 1, codebook=99)]),
        ]
        many = tts.generate_many(asked, max_rows=3, on_error="return")
        kinds = [type(one) for one in many]
        assert kinds == [GenerationResult, EnoughError, UsageError, GenerationResult, EnoughError, UsageError]
        assert_same([many[0], many[3]], alone)
        assert (tmp_path / "one.wav").exists()
        with pytest.raises(EnoughError, match="after 4 frames") as caught:
            tts.generate_many(asked, max_rows=3)
        assert caught.value.__notes__ == [
            "It is request 1 of the batch, counted from 0; on_error='return' keeps the others' results."
        ]

    def test_a_row_that_fails_before_its_first_frame_is_free_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        tts, begin = engine("tiny4"), generator._begin

        def failing(runtime: Any, gen: Any, seed: int, *prefix: Any) -> None:
            if seed == 2:
                raise EnoughError("beginning")
            begin(runtime, gen, seed, *prefix)

        alone = [tts.generate(SCRIPT, seed=seed) for seed in (1, 3)]
        monkeypatch.setattr(generator, "_begin", failing)
        many = tts.generate_many([Request(SCRIPT, seed=seed) for seed in (1, 2, 3)], max_rows=2, on_error="return")
        assert isinstance(many[1], EnoughError)
        assert_same([many[0], many[2]], alone)

    def test_requests_are_checked_when_they_are_made(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="no option 'tmperature'"):
            Request(SCRIPT, tmperature=1)
        with pytest.raises(UsageError, match="script is empty"):
            Request("")
        with pytest.raises(UsageError, match="cfg_scale must be at least 0"):
            Request(SCRIPT, cfg_scale=-1)
        with pytest.raises(UsageError):
            Request(SCRIPT, output_wav=tmp_path / "none" / "one.wav")
        assert repr(Request(SCRIPT)) == f"<Request: {SCRIPT!r}>"

    def test_what_a_script_s_author_may_not_have_meant_is_told_once(self, caplog: pytest.LogCaptureFixture) -> None:
        tts, script = engine("tiny4"), "[S1] one [laughs] two"
        asked = [Request(script, seed=1)]
        for speak in (lambda: tts.generate(script, seed=1), lambda: tts.generate_many(asked)):
            caplog.clear()
            speak()
            assert caplog.text.count("[laughs] in the script") == 1

    def test_requests_that_do_not_go_together(self, tmp_path: Path) -> None:
        tts = engine("tiny4")
        with pytest.raises(UsageError, match="differ in use_torch_compile"):
            tts.generate_many([Request(SCRIPT), Request(SCRIPT, use_torch_compile=True)])
        with pytest.raises(UsageError, match="one script at a time"):
            tts.generate_many([Request(SCRIPT, use_triton=True)])
        with pytest.raises(UsageError, match="is none"):
            tts.generate_many([SCRIPT])  # type: ignore[list-item]  # on purpose
        with pytest.raises(UsageError, match="max_rows must be"):
            tts.generate_many([Request(SCRIPT)], max_rows=0)
        with pytest.raises(UsageError, match="raise or return, not 'ignore'"):
            tts.generate_many([], on_error="ignore")  # type: ignore[arg-type]  # on purpose
        with pytest.raises(UsageError, match="row by row"), record(tmp_path / "all"):
            tts.generate_many([Request(SCRIPT)])
        assert tts.generate_many([]) == []

    def test_ctrl_c_ends_all_rows_with_what_they_have(self) -> None:
        tts = engine("tiny4")
        whole = tts.generate(SCRIPT, seed=1)
        asked = [
            Request(SCRIPT, seed=1),
            Request(SCRIPT, seed=2, progress=after(9, KeyboardInterrupt())),
            Request(SCRIPT),
        ]
        with pytest.raises(BatchInterrupted) as caught:
            tts.generate_many(asked, max_rows=2)
        first, second, third = caught.value.results
        assert isinstance(first, GenerationResult)
        assert isinstance(second, GenerationResult)
        assert third is None
        assert (first.stop_reason, second.stop_reason) == ("interrupted", "interrupted")
        frames = first.audio_tokens.shape[2]
        assert 0 < frames < whole.audio_tokens.shape[2]

    def test_ctrl_c_while_a_row_joins(self, monkeypatch: pytest.MonkeyPatch) -> None:
        tts, begun = engine("tiny4"), list[str]()
        parse = script_parser.parse_script

        def stopped(lines: list[str], *args: Any, **options: Any) -> Any:
            begun.extend(lines)
            if len(begun) == 2:
                raise KeyboardInterrupt
            return parse(lines, *args, **options)

        monkeypatch.setattr(task, "parse_script", stopped)
        with pytest.raises(BatchInterrupted) as caught:
            tts.generate_many([Request(SCRIPT, seed=seed) for seed in range(3)])
        assert [None if one is None else one.stop_reason for one in caught.value.results] == ["interrupted", None, None]  # type: ignore[union-attr]  # results

    def test_a_checkpoint_with_nan_is_said_by_each_row(self, monkeypatch: pytest.MonkeyPatch) -> None:
        tts = engine("tiny4")
        weight = tts.runtime.model.transformer.norm.weight
        with torch.no_grad():
            before = weight.clone()
            weight.fill_(float("nan"))
        try:
            many = tts.generate_many([Request(SCRIPT), Request(SCRIPT)], on_error="return")
        finally:
            with torch.no_grad():
                weight.copy_(before)
        assert ["weights are damaged" in str(one) for one in many] == [True, True]


class Failing(Recorder):
    """An observer that fails at its third call."""

    def frames(self, frames: Any, /) -> None:
        raise EnoughError("observing")


class TestMemory:
    @pytest.mark.parametrize("prefix", [0, 40])
    def test_what_rows_take_is_known_before(self, prefix: int) -> None:
        for checkpoint in ("tiny3", "tiny8"):
            runtime = engine(checkpoint).runtime
            assert allocate(runtime, 3, 2, prefix).nbytes == bytes_of(runtime, 3, 2, prefix)

    def test_rows_are_fewer_where_memory_is_short(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        tts = engine("tiny4")
        one = bytes_of(tts.runtime, 1, 2, 0)
        monkeypatch.setattr(memory, "free_bytes", lambda _: 4 * one)
        found: list[int] = []
        frame = schedule.Batch.frame

        def counted(batch: schedule.Batch) -> None:
            found.append(len(batch))
            frame(batch)

        monkeypatch.setattr(schedule.Batch, "frame", counted)
        many = tts.generate_many([Request(SCRIPT, seed=seed) for seed in range(5)])
        assert_same(many, [tts.generate(SCRIPT, seed=seed) for seed in range(5)])
        assert max(found) == 3
        assert "a batch of 3 rows, not 5" in caplog.text

    def test_out_of_memory_fails_the_row_that_was_joining(self, monkeypatch: pytest.MonkeyPatch) -> None:
        tts, asked = engine("tiny4"), [Request(SCRIPT, seed=seed) for seed in range(4)]

        def short(runtime: Any, count: int, *size: Any) -> Any:
            if count > 2:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
            return allocate(runtime, count, *size)

        monkeypatch.setattr(rows, "allocate", short)
        many = tts.generate_many(asked, on_error="return")
        assert [type(one) for one in many] == [GenerationResult, GenerationResult, *2 * [torch.OutOfMemoryError]]
        assert_same(many[:2], [tts.generate(SCRIPT, seed=seed) for seed in range(2)])

    def test_out_of_memory_in_a_frame_fails_the_row_that_joined_last(self, monkeypatch: pytest.MonkeyPatch) -> None:
        tts, asked = engine("tiny4"), [Request(SCRIPT, seed=seed) for seed in range(3)]
        run = frames.BatchFrames.first

        def first(batch: frames.BatchFrames) -> None:
            batch._rows.settle()
            if len(batch._rows.used) > 2:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            run(batch)

        monkeypatch.setattr(frames.BatchFrames, "first", first)
        many = tts.generate_many(asked, on_error="return")
        assert [type(one) for one in many] == [GenerationResult, GenerationResult, torch.OutOfMemoryError]
        assert_same(many[:2], [tts.generate(SCRIPT, seed=seed) for seed in range(2)])

    def test_a_longer_prefix_makes_room_for_itself(self) -> None:
        tts, found = engine("tiny8"), {case.name: case for case in of("tiny8")}
        asked = [found["plain_cfg2"], found["prefix1"], found["prefix2"]]
        many = tts.generate_many([request(case) for case in asked])
        assert_same(many, [tts.generate(case.expected["script"], case.config()) for case in asked])

    def test_room_made_in_the_middle_is_used_from_then_on(self) -> None:
        """All three draw alike, and the third takes the place of the second."""
        tts, case = engine("tiny8"), Case("tiny8", "prefix1")
        asked = [
            Request(SCRIPT, seed=1),
            Request(SCRIPT, seed=2, progress=after(3)),
            Request(SCRIPT, GenerationConfig(prefix=case.config().prefix, seed=3)),
        ]
        alone = [tts.generate(SCRIPT, seed=1), tts.generate(SCRIPT, asked[2].config)]
        many = tts.generate_many(asked, max_rows=2, on_error="return")
        assert isinstance(many[1], EnoughError)
        assert_same([many[0], many[2]], alone)

    def test_nothing_is_left_when_a_batch_is_over(self) -> None:
        tts = engine("tiny4")
        tts.generate_many([Request(SCRIPT, progress=after(3)), Request(SCRIPT)], on_error="return")
        gc.collect()
        assert not [one for one in gc.get_objects() if isinstance(one, rows.BatchRows)]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")  # inductor imports parts of torch that torch deprecates
def test_a_compiled_batch_has_the_reference_s_tokens() -> None:
    tts, found = engine("tiny3"), of("tiny3")
    many = tts.generate_many([request(case, {"use_torch_compile": True}) for case in found], max_rows=3)
    for case, result in zip(found, many, strict=True):
        assert isinstance(result, GenerationResult)
        assert torch.equal(result.audio_tokens, case.tensors["aligned"].long())
