"""Several streams side by side."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch

from dia2 import BatchError, ChangeSampling, ReplaceToken, Request, UsageError
from dia2.common.progress import Progress
from dia2.inspect import Dia2Trace, record
from dia2.runtime.edits import Edit

from ..support.batches import SCRIPT, Failing, after, assert_same, of, request
from ..support.reference import Recorder, engine


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
        pieces.close()
        assert_same(tts.generate_many([Request(SCRIPT, seed=1)]), [tts.generate(SCRIPT, seed=1)])

    def test_one_that_cannot_be_closed_leaves_the_others(self, caplog: pytest.LogCaptureFixture) -> None:
        tts, watched = engine("tiny4"), Recorder()
        pieces = tts.stream_many([Request(SCRIPT, observer=Failing("step_tokens")), Request(SCRIPT, observer=watched)])
        next(pieces)
        pieces.close()
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
        with pytest.raises(BatchError, match="1 of 3 requests failed, first number 1") as caught:
            seen.extend(number for number, _ in pieces)
        assert seen == [number for number, one in got if not isinstance(one, Exception)]
        assert [type(one) for one in caught.value.results] == [type(None), UsageError, type(None)]
        with pytest.raises(StopIteration):
            next(pieces)

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

    def test_progress_is_told_of_each(self) -> None:
        tts, alone, told = engine("tiny4"), list[Progress](), list[Progress]()
        tts.generate(SCRIPT, seed=1, progress=alone.append)
        list(tts.stream_many([Request(SCRIPT, seed=1, progress=told.append), Request(SCRIPT, seed=2)]))
        assert [(one.frames, one.seconds) for one in told] == [(one.frames, one.seconds) for one in alone]
        assert told[-1] == alone[-1]

    def test_seeds_and_ends_are_known(self) -> None:
        tts = engine("tiny4")
        pieces = tts.stream_many([Request(SCRIPT), Request(SCRIPT, seed=2), Request(SCRIPT, seed=3)], max_rows=2)
        assert pieces.seeds == [None, None, None]
        first = {0: list[Any](), 1: list[Any](), 2: list[Any]()}
        for number, chunk in pieces:
            first[number].append(chunk)
            if number == 2:
                break
        assert pieces.seeds[1:] == [2, 3]
        assert "end" in pieces.stop_reasons
        seed = pieces.seeds[0]
        pieces.close()
        assert pieces.stop_reasons[2] == "interrupted"
        assert list(pieces) == []
        again = list(tts.stream(SCRIPT, seed=seed))[: len(first[0])]
        for one, other in zip(first[0], again, strict=True):
            assert torch.allclose(one.waveform, other.waveform, atol=1e-5)
        with pytest.raises(UsageError, match="cannot be copied or pickled"):
            copy.copy(pieces)

    def test_nobody_observes_all_of_them(self, tmp_path: Path) -> None:
        tts = engine("tiny4")
        pieces = tts.stream_many([Request(SCRIPT, seed=1), Request(SCRIPT, seed=2, trace=tmp_path / "row")])
        next(pieces)
        with pytest.raises(UsageError, match="row by row"), record(tmp_path / "all"):
            next(pieces)
        assert {number for number, _ in pieces} == {0, 1}  # it goes on
        assert Dia2Trace.load(tmp_path / "row").complete
        assert not (tmp_path / "all").exists()

    def test_ctrl_c_ends_all_of_them(self) -> None:
        tts = engine("tiny4")
        asked = [Request(SCRIPT, seed=1, progress=after(9, KeyboardInterrupt())), Request(SCRIPT, seed=2)]
        pieces = tts.stream_many(asked)
        with pytest.raises(KeyboardInterrupt):
            list(pieces)
        assert pieces.stop_reasons == ["interrupted", "interrupted"]
        assert list(pieces) == []

    def test_what_nobody_holds_any_more_ends(self) -> None:
        tts, watched = engine("tiny4"), Recorder()
        pieces = tts.stream_many([Request(SCRIPT, observer=watched)])
        next(pieces)
        del pieces
        assert watched.seen["step_tokens"]
