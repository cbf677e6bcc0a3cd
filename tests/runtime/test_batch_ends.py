"""What ends rows of a batch: errors, Ctrl-C, memory; and what is left then."""

from __future__ import annotations

import gc
import pickle
import random
import signal
import sys
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import torch

from dia2 import (
    BatchError,
    BatchInterrupted,
    Dia2,
    GenerationConfig,
    GenerationInterrupted,
    GenerationResult,
    ReplaceToken,
    Request,
    UsageError,
)
from dia2.common.progress import Progress
from dia2.runtime import generator, script_parser, speaking, task
from dia2.runtime.batch import frames, many, memory, rows, schedule
from dia2.runtime.batch.state import BatchState, allocate, bytes_of
from dia2.runtime.voice_clone import build_prefix_plan

from ..support.batches import SCRIPT, EnoughError, Failing, after, assert_same, of, request
from ..support.reference import Case, Recorder, engine


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

    def test_an_error_leaves_the_others_results(self, caplog: pytest.LogCaptureFixture) -> None:
        asked = [Request(SCRIPT, seed=1), Request(SCRIPT, seed=2, progress=after(4)), Request(SCRIPT, seed=3)]
        with pytest.raises(BatchError) as caught:
            engine("tiny4").generate_many(asked)
        assert str(caught.value) == (
            "1 of 3 requests failed, first number 1, counted from 0: after 4 frames; what there is of the others is in "
            "this exception's .results."
        )
        assert isinstance(caught.value.__cause__, EnoughError)
        assert caught.value.errors == {1: caught.value.__cause__}
        assert [type(one) for one in caught.value.results] == [GenerationResult, EnoughError, GenerationResult]
        assert "request 1 of the batch failed: after 4 frames" in caplog.text

    def test_errors_can_be_handed_from_process_to_process(self) -> None:
        result = engine("tiny4").generate(SCRIPT, seed=1)
        found = pickle.loads(pickle.dumps(BatchError([result, UsageError("No."), None])))  # ours
        assert (found.results[0].seed, str(found.errors[1]), found.results[2]) == (1, "No.", None)
        stopped = pickle.loads(pickle.dumps(BatchInterrupted([result, None])))  # ours
        assert (stopped.results[0].seed, stopped.results[1]) == (1, None)
        one = pickle.loads(pickle.dumps(GenerationInterrupted(result)))  # ours
        assert one.result.seed == 1

    def test_an_engine_that_is_closed_meanwhile_loads_nothing_anew(self, monkeypatch: pytest.MonkeyPatch) -> None:
        tts = Dia2.nano()
        alone = [tts.generate("[S1] Hi.", seed=seed) for seed in range(3)]
        monkeypatch.setattr(tts, "_load", None)
        asked = [Request("[S1] Hi.", seed=seed, progress=lambda _: tts.close()) for seed in range(3)]
        assert_same(tts.generate_many(asked, max_rows=2), alone)


class TestCtrlC:
    def test_ctrl_c_ends_all_rows_with_what_they_have(self, caplog: pytest.LogCaptureFixture) -> None:
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
        assert [r.getMessage() for r in caplog.records] == ["interrupted: decoding what there is; once more drops it"]

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

    @pytest.mark.parametrize("part", [0, pytest.param(1, marks=pytest.mark.slow)])
    def test_wherever_it_comes_what_is_finished_is_kept(self, part: int, tmp_path: Path) -> None:
        """At lines of the batch's own modules, which are most of what is between two frames of a network this small."""
        tts = engine("tiny4")

        def asked(folder: Path) -> list[Request]:
            folder.mkdir()
            made = [Request("[S1] one", seed=n, output_wav=folder / f"{n}.wav") for n in range(3)]
            return [*made, Request("[S1] one", progress=after(3))]

        def run(folder: Path, stop: int | None) -> tuple[list[Any], int, list[Path]]:
            requests, lines = asked(folder), Lines(stop, lambda: sorted(folder.iterdir()))
            with lines:
                try:
                    found: list[Any] = tts.generate_many(requests, max_rows=2, on_error="return")
                except BatchInterrupted as error:
                    found = [*error.results, None]
            return found, lines.passed, lines.there

        _, total, _ = run(tmp_path / "whole", None)
        assert total > 500
        chance = random.Random(part)
        for number, stop in enumerate(sorted(chance.sample(range(1, total), 8))):
            found, passed, there = run(tmp_path / str(number), stop)
            assert passed == stop
            assert len(found) == 5, "it was swallowed"
            assert [path for path in there if found[int(path.stem)] is None] == []

    def test_twice_drops_what_is_not_finished(self) -> None:
        tts, seen = engine("tiny4"), list[int]()

        def stop(progress: Progress) -> None:
            seen.append(progress.frames)
            if progress.frames == 9:
                raise KeyboardInterrupt

        class Stubborn(Recorder):
            """An observer that takes a moment to close, in which the second one comes."""

            def end(self, span: Any, /) -> None:
                if span.name == "loop":
                    raise KeyboardInterrupt

        asked = [Request(SCRIPT, seed=seed, progress=stop, observer=Stubborn()) for seed in range(3)]
        with pytest.raises(BatchInterrupted) as caught:
            tts.generate_many([Request("[S1] one", seed=1), *asked], max_rows=4)
        first, *others = caught.value.results
        assert others == [None, None, None]
        assert isinstance(first, GenerationResult)


class Lines(AbstractContextManager["Lines"]):
    """Counts lines of a batch's modules that are run in this block, and has Ctrl-C come before one of them."""

    def __init__(self, stop: int | None, look: Callable[[], list[Path]]) -> None:
        self.passed, self.there = 0, list[Path]()
        self._stop, self._look = stop, look

    def __enter__(self) -> Lines:
        self._before = sys.gettrace()
        sys.settrace(self._frame)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)

    def _frame(self, frame: FrameType, event: str, argument: Any) -> Any:
        return self._line if frame.f_code.co_filename in _BATCH else None

    def _line(self, frame: FrameType, event: str, argument: Any) -> Any:
        if event == "line":
            self.passed += 1
            if self.passed == self._stop:
                sys.settrace(None)
                self.there = self._look()
                signal.raise_signal(signal.SIGINT)
        return self._line


_BATCH = {module.__file__ for module in (frames, many, rows, schedule, speaking, task)}


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

    def test_a_row_waits_until_there_is_memory_for_its_prefix(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Two rows without a prefix fit into what is free, and so does one with it, but not beside them."""
        tts, case = engine("tiny8"), Case("tiny8", "prefix1")
        prefix, order = case.config().prefix, list[int]()
        plan = build_prefix_plan(tts.runtime, prefix)
        assert plan is not None
        asked = [
            Request(SCRIPT, seed=1, progress=lambda _: order.append(0)),
            Request(SCRIPT, seed=2, progress=lambda _: order.append(1)),
            Request(SCRIPT, GenerationConfig(prefix=prefix, seed=3), progress=lambda _: order.append(2)),
            Request(SCRIPT, seed=4, progress=lambda _: order.append(3)),
        ]
        alone = [tts.generate(SCRIPT, one.config) for one in asked]
        sizes = list[tuple[int, int]]()
        need = bytes_of(tts.runtime, 4, 2, 0)
        assert (
            bytes_of(tts.runtime, 2, 2, plan.aligned_frames) < need < bytes_of(tts.runtime, 4, 2, plan.aligned_frames)
        )

        def allocated(runtime: Any, count: int, branches: int, room: int) -> Any:
            sizes.append((count, room))
            return allocate(runtime, count, branches, room)

        monkeypatch.setattr(rows, "allocate", allocated)
        monkeypatch.setattr(memory, "free_bytes", lambda _: need / memory._SHARE)
        order.clear()
        assert_same(tts.generate_many(asked, max_rows=4), alone)
        assert sizes == [(1, 0), (2, 0), (2, plan.aligned_frames)]
        ended = min(len(order) - order[::-1].index(row) for row in (0, 1))  # of the two that were there
        assert ended <= order.index(2) <= ended + 2  # with the next frame

    @pytest.mark.parametrize("end", [EnoughError, KeyboardInterrupt])
    def test_nothing_is_left_when_a_batch_is_over(
        self, end: type[BaseException], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Without the help of the garbage collector, and although an error is kept, which knows what was run."""
        tts, left = engine("tiny4"), list[weakref.ref[Any]]()

        def watched(*arguments: Any) -> BatchState:
            state = allocate(*arguments)
            left.extend(weakref.ref(one) for one in (state, state.audio_buf, state.decode.transformer.both))
            return state

        monkeypatch.setattr(rows, "allocate", watched)
        asked = [Request(SCRIPT, progress=after(3, end())), Request(SCRIPT), Request(SCRIPT)]
        gc.collect()
        gc.disable()
        try:
            with pytest.raises((BatchError, BatchInterrupted)) as caught:
                tts.generate_many(asked)
            assert isinstance(caught.value, BatchError | BatchInterrupted)
            assert len(left) == 3 * 3  # it grew twice
            assert [one() for one in left] == [None] * 9
        finally:
            gc.enable()
