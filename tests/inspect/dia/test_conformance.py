"""What traces of Dia hold are the public reference's numbers, and recording changes none of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dia.adapter.trace import DiaTrace
from dia.generation import GenerationResult
from dia2.common.errors import TraceError, UsageError
from dia2.common.hooks import LEVELS, Level
from dia2.inspect import record
from dia2.inspect.trace.replaying import CHUNK

from ...support.dia import DiaCase, dia5, dia_cases, toy
from ...support.graphs import FakeGraphs, use_dia_graphs
from ...support.reference import relative

CASES = [pytest.param(case, id=case.name) for case in dia_cases()]
LOGITS = 1e-4


def quickly(*names: str) -> list[Any]:
    """Every case; those that are not among `names` run in `make test-all` only."""
    return [
        pytest.param(case, id=case.name, marks=[] if case.name in names else [pytest.mark.slow]) for case in dia_cases()
    ]


pytestmark = pytest.mark.filterwarnings("ignore:Script 2 has 74 bytes")  # which the reference cuts in silence


def recorded(case: DiaCase, path: Path, level: Level = "full", **changes: object) -> tuple[DiaTrace, GenerationResult]:
    with record(path, level=level):
        result = dia5().speak(case.expected["text"], **case.settings(**changes))
    trace = DiaTrace.load(path)
    assert isinstance(trace, DiaTrace)
    return trace, result


@pytest.mark.parametrize("case", CASES)
def test_a_trace_equals_the_reference(case: DiaCase, tmp_path: Path) -> None:
    expected, tensors = case.expected, case.tensors
    trace, result = recorded(case, tmp_path / "run.dia2trace")
    assert trace.complete
    assert trace.run.scripts == expected["text"]
    assert trace.run.prefill_steps == expected["prefill_steps"]
    assert trace.prefill_calls == min(expected["prefill_steps"]) - 1
    assert trace.result.lengths == tensors["lengths"].tolist()
    for script in range(trace.run.batch):
        theirs = tensors["generated_tokens"][script].numpy()
        grid = trace.grid(script)
        assert np.array_equal(grid, theirs[: len(grid)])
        assert (theirs[len(grid) :] == -1).all()
        assert np.array_equal(trace.codes(script), tensors[f"codes.{script}"].numpy())
        assert np.array_equal(trace.codes(script), result.scripts[script].codes.numpy())
        assert trace.result.stop_reasons is not None
        assert trace.result.stop_reasons[script] == result.scripts[script].stop_reason
        assert trace.ended_at(script) == (trace.result.ended_at or [])[script]
    assert trace.encoder_output is not None
    length = trace.run.text_length  # the reference reads padding to the end
    assert relative(torch.from_numpy(trace.encoder_output), tensors["encoder_out"][:, :length]) <= 1e-3

    first, steps = trace.prefill_calls, tensors["step_logits"]
    ours = [trace.logits(first + i) for i in range(len(steps))]
    assert relative(torch.from_numpy(np.stack([part for part in ours if part is not None])), steps) <= LOGITS
    check_replay(trace)


def check_replay(trace: DiaTrace) -> None:
    """Replayed logits agree with recorded ones and give the same draws; attention looks at the past and at text."""
    again = trace.replay(dia5(), attention=True)
    loop = range(trace.prefill_calls, len(trace))
    assert again.calls == list(range(len(trace)))
    stored = torch.from_numpy(np.stack([part for call in loop if (part := trace.logits(call)) is not None]))
    assert relative(again.logits[loop.start :], stored) <= LOGITS
    assert np.array_equal(again.drawn.numpy(), trace.drawn)
    future = torch.triu(torch.ones(len(trace), len(trace), dtype=torch.bool), diagonal=1)
    for own, text in zip(again.self_attention, again.cross_attention, strict=True):
        assert torch.allclose(own.sum(dim=-1), torch.ones(()), atol=1e-5)
        assert torch.allclose(text.sum(dim=-1), torch.ones(()), atol=1e-5)
        assert own.permute(1, 2, 0, 3)[:, :, future].abs().max() == 0
        for script, said in enumerate(trace.run.text_bytes):
            assert text[:, 2 * script : 2 * script + 2, :, len(said) :].abs().sum() == 0  # padding is not looked at


def check_draws(trace: DiaTrace, script: int) -> None:
    """Draws are described as they were made: candidates with their logits, the choice among them."""
    config = trace.run.config
    for call in range(trace.prefill_calls, len(trace)):
        logits, draws = trace.logits(call), trace.draws(call, script)
        assert logits is not None
        assert [draw.name for draw in draws] == [f"channel.{c}" for c in range(trace.model.channels)]
        uncond, cond = logits[2 * script], logits[2 * script + 1]
        guided = cond + config.cfg_scale * (cond - uncond)
        for channel, draw in enumerate(draws):
            assert draw.choice == trace.drawn[call, script, channel]
            eos = trace.model.eos
            best = set(np.argsort(-guided[channel])[: config.cfg_filter_top_k].tolist())
            best &= set(range(eos + (channel == 0)))
            if channel == 0:  # the end is drawn for certain, or not at all
                best = {eos} if max(best, key=lambda token: cond[0, token]) == eos else best - {eos}
            for candidate in draw.candidates:
                assert candidate.cond == cond[channel, candidate.token]
                assert candidate.guided == pytest.approx(guided[channel, candidate.token], abs=1e-4)
                assert candidate.kept == (candidate.token in best)
            assert any(candidate.token == draw.choice and candidate.kept for candidate in draw.candidates)
            assert 0 < draw.probability <= 1


@pytest.mark.parametrize("name", ["batch_prompts", "filter6"])
def test_recording_changes_nothing_and_replays_when_sampled(name: str, tmp_path: Path) -> None:
    case, sampling = DiaCase(name), {"temperature": 1.3, "top_p": 0.9, "seed": 5}
    plain = dia5().speak(case.expected["text"], **case.settings(**sampling))
    for level in LEVELS:
        trace, result = recorded(case, tmp_path / "run.dia2trace", level, **sampling)
        for script, (mine, theirs) in enumerate(zip(result.scripts, plain.scripts, strict=True)):
            assert torch.equal(mine.codes, theirs.codes)
            assert np.array_equal(trace.codes(script), theirs.codes.numpy())
        last = len(trace) - 1
        assert bool(trace.draws(last)) == (level != "tokens")
        assert (trace.logits(last) is not None) == (level == "full")
        assert (trace.encoder_output is not None) == (level == "full")
        if level == "tokens":
            assert np.array_equal(trace.replay(dia5(), [last, 3, last]).drawn.numpy(), trace.drawn[[last, 3, last]])
    check_replay(trace)
    for script in range(trace.run.batch):
        check_draws(trace, script)


@pytest.mark.parametrize("case", quickly("single", "batch_prefill", "filter6"))
def test_every_level_has_the_tokens_of_an_unrecorded_run(case: DiaCase, tmp_path: Path) -> None:
    plain = dia5().speak(case.expected["text"], **case.settings())
    for level in LEVELS[:2]:
        trace, result = recorded(case, tmp_path / "run.dia2trace", level)
        assert trace.complete
        for script, (mine, theirs) in enumerate(zip(result.scripts, plain.scripts, strict=True)):
            assert torch.equal(mine.codes, theirs.codes)
            assert np.array_equal(trace.codes(script), theirs.codes.numpy())


def test_columns_are_one_chain(tmp_path: Path) -> None:
    trace, _ = recorded(DiaCase("batch_prefill"), tmp_path / "run.dia2trace", "tokens")
    loop = slice(trace.prefill_calls, None)
    assert trace.prefill_calls > 0
    assert np.array_equal(trace.rows_read, np.arange(len(trace)))
    assert np.array_equal(trace.written[loop][:-1], trace.tokens[loop][1:])
    assert (trace.written[: trace.prefill_calls] == -1).all()
    assert (trace.drawn[: trace.prefill_calls] == -1).all()
    assert np.isnan(trace.seconds[: trace.prefill_calls]).all()
    assert (trace.seconds[loop] > 0).all()
    assert (trace.tokens[0] == trace.model.bos).all()
    assert trace.kv_lengths[-1].tolist() == [len(trace), trace.run.text_length]
    begun = trace.countdown >= 0
    assert (np.diff(trace.countdown, axis=0)[begun[:-1]] == 1).all()
    assert trace.find("countdown", 1, script=1) == [(trace.ended_at(1) or 0) - 1]
    assert trace.find("written.0", trace.model.eos, script=1)[0] == (trace.ended_at(1) or 0) - 1
    with pytest.raises(TraceError, match=r"no field 'action'"):
        trace.find("action")
    with pytest.raises(TraceError, match="no script 3"):
        trace.grid(3)
    with pytest.raises(TraceError, match="no call"):
        trace.draws(len(trace))


def test_a_replay_in_chunks_is_that_in_one_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trace, _ = recorded(DiaCase("batch_prompts"), tmp_path / "run.dia2trace", "tokens")
    assert len(trace) < CHUNK
    whole = trace.replay(dia5(), [40, 2, 40, 61], scripts=[2, 0], attention=True)
    monkeypatch.setattr("dia.adapter.replay.CHUNK", 7)
    parts = trace.replay(dia5(), [40, 2, 40, 61], scripts=[2, 0], attention=True)
    assert whole.scripts == parts.scripts == [2, 0]
    assert relative(parts.logits, whole.logits) <= LOGITS
    assert torch.equal(parts.drawn, whole.drawn)
    assert np.array_equal(whole.drawn[:, 0], trace.drawn[[40, 2, 40, 61], 2])
    for mine, theirs in zip(parts.cross_attention, whole.cross_attention, strict=True):
        assert torch.allclose(mine, theirs, atol=1e-5)
    for mine, theirs in zip(parts.self_attention, whole.self_attention, strict=True):
        assert torch.allclose(mine, theirs, atol=1e-5)
    with pytest.raises(TraceError, match="no such calls"):
        trace.replay(dia5(), [])
    with pytest.raises(TraceError, match="no script"):
        trace.replay(dia5(), scripts=[3])
    monkeypatch.setattr("dia2.inspect.trace.replaying.MOST", 10_000)
    with pytest.raises(UsageError, match="ask for fewer calls"):
        trace.replay(dia5())


def test_a_replay_wants_the_checkpoint_of_the_run(tmp_path: Path) -> None:
    trace, _ = recorded(DiaCase("single"), tmp_path / "run.dia2trace", "tokens")
    with pytest.raises(UsageError, match=r"another checkpoint \(its config differ\)"):
        trace.replay(toy())


@pytest.mark.slow
def test_a_trace_of_graphs_equals_a_trace_of_eager_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case, dia = DiaCase("batch_prompts"), dia5()
    eager, _ = recorded(case, tmp_path / "eager", temperature=1.0, seed=2)
    use_dia_graphs(monkeypatch, dia, lambda: FakeGraphs(dry_runs=3))
    for name in ("graphs", "again"):  # in the same tensors
        graphs, _ = recorded(case, tmp_path / name, temperature=1.0, seed=2, use_cuda_graph=True)
        assert eager.diff(graphs, ["use_cuda_graph"]).same
        mine, theirs = graphs.logits(len(graphs) - 1), eager.logits(len(eager) - 1)
        assert mine is not None
        assert theirs is not None
        assert relative(torch.from_numpy(mine), torch.from_numpy(theirs)) <= LOGITS
