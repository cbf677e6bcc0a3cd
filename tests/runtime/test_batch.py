"""Several scripts side by side: each is spoken as it would be alone."""

from __future__ import annotations

import random
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dia2 import (
    ChangeSampling,
    Dia2,
    ForceAction,
    GenerationConfig,
    GenerationResult,
    ReplaceToken,
    Request,
    UsageError,
)
from dia2.core import reordered
from dia2.core.reordered import Reordered
from dia2.inspect import Dia2Trace, record
from dia2.runtime.edits import Edit

from ..support.batches import SCRIPT, EnoughError, after, assert_same, of, request
from ..support.reference import Recorder, assert_recorded, checkpoints, engine, stacked


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
    assert not torch.equal(many[0].audio_tokens, many[1].audio_tokens)


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


class TestRequests:
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
            tts.generate_many([], on_error="ignore")  # type: ignore[call-overload]  # on purpose
        with pytest.raises(UsageError, match="row by row"), record(tmp_path / "all"):
            tts.generate_many([Request(SCRIPT)])
        assert tts.generate_many([]) == []

    @pytest.mark.parametrize("given", [SCRIPT, Request(SCRIPT), 3, None, [SCRIPT], [None]])
    def test_what_is_no_list_of_requests(self, given: Any) -> None:
        for speak in (engine("tiny4").generate_many, engine("tiny4").stream_many):
            with pytest.raises(UsageError, match=r"A batch is a list of dia2\.Request"):
                speak(given)

    def test_any_iterable_of_requests_and_any_whole_number_of_rows(self) -> None:
        tts = engine("tiny4")
        two: Any = np.int64(2)
        found = tts.generate_many((Request(SCRIPT, seed=seed) for seed in range(3)), max_rows=two)
        assert_same(found, [tts.generate(SCRIPT, seed=seed) for seed in range(3)])
        for rows in (0, True, 1.5, "2"):
            with pytest.raises(UsageError, match="max_rows must be a whole number from 1"):
                tts.generate_many([Request(SCRIPT)], max_rows=rows)  # type: ignore[arg-type]  # on purpose

    def test_what_a_request_takes(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="takes no verbose: give it progress"):
            Request(SCRIPT, verbose=True)
        given: list[Any] = ["x", ForceAction(3, "pad"), 3, ["x"], [None], {3: "x"}]
        for one in given:
            with pytest.raises(UsageError, match="ForceAction, ReplaceToken, ChangeSampling"):
                Request(SCRIPT, edits=one)
        with pytest.raises(UsageError, match="trace is a folder"):
            Request(SCRIPT, trace=3)  # type: ignore[arg-type]  # on purpose
        edits: list[Edit] = [ForceAction(3, "pad")]
        kept = Request(SCRIPT, seed=1)
        with pytest.raises(AttributeError, match="make another one, with another config"):
            kept.config = GenerationConfig()
        with pytest.raises(AttributeError):
            del kept.script
        asked = Request(SCRIPT, edits=edits)
        edits.clear()
        assert asked.edits == (ForceAction(3, "pad"),)

    def test_two_that_write_to_one_place(self, tmp_path: Path) -> None:
        tts, block = engine("tiny4"), record(tmp_path / "block")
        (tmp_path / "link").symlink_to(tmp_path)
        for one, other in [
            ({"output_wav": tmp_path / "a.wav"}, {"output_wav": tmp_path / "link" / "a.wav"}),
            ({"trace": tmp_path / "a"}, {"trace": str(tmp_path / "b" / ".." / "a")}),
            ({"trace": tmp_path / "a"}, {"trace": record(tmp_path / "a", level="full")}),
            ({"trace": block}, {"trace": block}),
        ]:
            with pytest.raises(UsageError, match=r"Requests 0 and 2 write to one place, .*: give each its own"):
                tts.generate_many([Request(SCRIPT, **one), Request(SCRIPT), Request(SCRIPT, **other)])  # type: ignore[arg-type]  # by name
        assert not list(tmp_path.glob("a*"))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")  # inductor imports parts of torch that torch deprecates
def test_a_compiled_batch_has_the_reference_s_tokens() -> None:
    tts, found = engine("tiny3"), of("tiny3")
    many = tts.generate_many([request(case, {"use_torch_compile": True}) for case in found], max_rows=3)
    for case, result in zip(found, many, strict=True):
        assert isinstance(result, GenerationResult)
        assert torch.equal(result.audio_tokens, case.tensors["aligned"].long())


@pytest.mark.parametrize(("rows", "copies"), [(3, True), (2, False)])
def test_matrices_of_bfloat16_stand_twice_while_more_rows_than_a_run_has_are_made(
    rows: int, copies: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    tts, products, times = Dia2.nano(device="cpu", dtype="bfloat16"), list[int](), Reordered.times
    monkeypatch.setattr(reordered, "multiplies_bfloat16", lambda: True)

    def watched(self: Reordered, x: torch.Tensor) -> torch.Tensor:
        products.append(len(x))
        return times(self, x)

    monkeypatch.setattr(Reordered, "times", watched)
    asked = [Request("[S1] Yes.", seed=seed, cfg_scale=1.0) for seed in range(3)]
    results = tts.generate_many(asked, max_rows=rows)
    assert all(isinstance(result, GenerationResult) and result.stop_reason == "end" for result in results)
    assert set(products) == ({3} if copies else set())
    assert not reordered._MATRICES, "they end with the batch"
