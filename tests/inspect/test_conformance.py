"""What a trace holds are the public reference's numbers, and recording changes none of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dia2 import GenerationConfig, GenerationResult
from dia2.common.hooks import LEVELS, Level
from dia2.inspect import Dia2Trace, record
from dia2.runtime.observed import MachineRow

from ..support.reference import Case, cases, engine, relative


def recorded(case: Case, path: Path, level: Level = "full", **changes: Any) -> tuple[Dia2Trace, GenerationResult]:
    with record(path, level=level):
        result = engine(case.checkpoint).generate(case.expected["script"], case.config(**changes))
    return Dia2Trace(path), result


# Of two cases that differ in nothing that is recorded, one: the others run in `make test-all`.
RECORDED = ("plain_cfg1", "plain_cfg2", "filter5", "prefix2", "prefix2_include", "timing")


@pytest.mark.parametrize("case", cases("tiny3", names=RECORDED))
def test_a_trace_equals_the_reference(case: Case, tmp_path: Path) -> None:
    expected, tensors = case.expected, case.tensors
    trace, result = recorded(case, tmp_path / "run.dia2trace")
    branches = 1 if expected["cfg_scale"] == 1.0 else 2
    assert trace.complete
    assert trace.manifest.never_fired == sorted(trace.manifest.never_fired)

    assert [[e.text, e.tokens, e.padding] for e in trace.run.entries] == expected["entries"]
    frames = list(trace.frames)
    calls = [{"phase": f.phase, "position": f.position, "slot": f.slot} for f in frames]
    assert calls == expected["calls"]
    assert [vars(frame.machine) for frame in frames] == expected["machine"]
    assert np.array_equal(trace.step_tokens, tensors["step_tokens"][:, :branches].numpy())
    assert np.array_equal(trace.grid, tensors["audio_buf"][0].numpy())
    assert np.array_equal(trace.aligned, tensors["aligned"][0].numpy())
    assert [frame.kv_transformer for frame in frames] == [call["slot"] + 1 for call in expected["calls"]]

    words = [[w.text, w.seconds] for w in trace.words if w.seconds is not None and w.step is not None]
    assert words == case.sounding == [[word.text, word.seconds] for word in result.words]
    assert [list(word) for word in result.timestamps] == expected["timestamps"]
    stored = trace.manifest.result
    assert stored.first_word_frame == expected["first_word_frame"]
    assert [list(word[:2]) for word in stored.timestamps or []] == expected["timestamps"]
    assert trace.audio is not None
    waveform, rate = trace.audio
    assert (len(waveform), rate) == (len(result.waveform), expected["sample_rate"])
    assert np.abs(waveform - result.waveform.clamp(-1, 1).numpy()).max() <= 2**-15  # 16 bits

    first = trace.warmup_calls
    for point in ("action", "cb0"):
        theirs = tensors[f"{point}_logits"][:, :branches]
        ours = torch.stack([torch.from_numpy(trace.logits(first + i)[point]) for i in range(len(theirs))])
        assert relative(ours, theirs) <= 1e-4
    check_replay(case, trace)


def check_replay(case: Case, trace: Dia2Trace) -> None:
    """Replayed logits and probabilities agree with recorded ones; attention looks at the past and sums to 1."""
    again = trace.replay(engine(case.checkpoint), attention=True, layers=True)
    assert again.calls == list(range(len(trace)))
    main = range(trace.warmup_calls, len(trace))
    recorded_logits = [trace.logits(call) for call in main]
    for name in ("action", "cb0", "dep"):
        stored = torch.stack([torch.from_numpy(logits[name]) for logits in recorded_logits]).flatten(1)
        ours = getattr(again, name)[main.start :].flatten(1)  # of each call, both branches
        assert relative(ours, stored) <= 1e-4
    draws = [trace.draws(call) for call in main]
    stored = torch.tensor([[draw.probability for draw in row] for row in draws])
    assert torch.allclose(again.probability[main.start :], stored, rtol=1e-4, atol=1e-4)
    for call, row in zip(main, draws, strict=True):
        assert [draw.choice for draw in row] == [trace.actions[call], *trace.codes[call]]
        assert all(draw.choice in {c.token for c in draw.candidates} for draw in row)
    for layer in again.attention:
        assert torch.allclose(layer.sum(dim=-1), torch.ones(()), atol=1e-5)
        future = torch.triu(torch.ones(len(trace), len(trace), dtype=torch.bool), diagonal=1)
        assert layer.permute(1, 2, 0, 3)[:, :, future].abs().max() == 0
    for layer in again.depformer_attention:
        assert torch.allclose(layer[main.start :].sum(dim=-1), torch.ones(()), atol=1e-5)
    last = engine(case.checkpoint).runtime.model.transformer.norm
    with torch.no_grad():
        assert torch.allclose(last(again.layers[-1]), again.hidden, atol=1e-4, rtol=1e-4)


TELLING = [case for case in cases("tiny3", names=["filter5"]) if case.values[0].name in ("filter5", "prefix2")]


@pytest.mark.parametrize("case", TELLING)
def test_recording_changes_nothing_and_replays_when_sampled(case: Case, tmp_path: Path) -> None:
    sampling: dict[str, Any] = {"text": GenerationConfig().text, "audio": GenerationConfig().audio, "seed": 5}
    plain = engine(case.checkpoint).generate(case.expected["script"], case.config(**sampling))
    for level in LEVELS:
        trace, result = recorded(case, tmp_path / "run.dia2trace", level, **sampling)
        assert torch.equal(plain.audio_tokens, result.audio_tokens)
        assert torch.equal(plain.waveform, result.waveform)
        assert plain.timestamps == result.timestamps
        assert np.array_equal(trace.aligned, result.audio_tokens[0].numpy())
    chances = [draw.probability for call in range(trace.warmup_calls, len(trace)) for draw in trace.draws(call)]
    assert any(0 < chance < 1 for chance in chances)
    check_replay(case, trace)


@pytest.mark.slow
def test_in_bfloat16_replays_differ_by_its_rounding(tmp_path: Path) -> None:
    case, tts = Case("tiny8", "prefix2"), engine("tiny8", "bfloat16")
    with record(tmp_path / "run.dia2trace", level="full"):
        tts.generate(case.expected["script"], case.config(seed=1))
    trace = Dia2Trace.load(tmp_path / "run.dia2trace")
    again = trace.replay(tts)
    for name in ("action", "cb0", "dep"):
        main = range(trace.warmup_calls, len(trace))
        stored = torch.stack([torch.from_numpy(trace.logits(call)[name]) for call in main]).flatten(1)
        assert 1e-4 < relative(getattr(again, name)[main.start :].flatten(1), stored) <= 0.15  # 0.087 here


def test_the_frame_that_is_decoded_twice_is_there_twice(tmp_path: Path) -> None:
    trace, _ = recorded(Case("tiny4", "prefix2"), tmp_path / "run.dia2trace")
    last, again = trace.frames[trace.warmup_calls - 1], trace.frames[trace.warmup_calls]
    assert (last.phase, again.phase) == ("warmup", "main")
    assert last.step == again.step == last.position == again.position
    assert again.slot == last.slot + 1
    assert last.audio == again.audio
    assert again.text == (last.machine.main, last.machine.second)  # now with the text that its own step emitted


def test_machine_rows_before_and_after_are_one_chain(tmp_path: Path) -> None:
    trace, _ = recorded(Case("tiny4", "prefix1"), tmp_path / "run.dia2trace", "tokens")
    rows: list[MachineRow] = [frame.machine for frame in trace.frames]
    assert [frame.before for frame in trace.frames][1:] == rows[:-1]
    first = trace.frames[0].before
    assert (first.padding_budget, first.forced_padding, first.entries_left) == (2, 2, len(trace.run.entries))
