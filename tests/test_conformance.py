"""Every case of the public reference, token for token, through the public API."""

from typing import Any

import pytest
import torch

from .support.reference import Case, Recorder, cases, engine, relative, stacked


@pytest.mark.parametrize("case", cases())
def test_a_run_equals_the_reference(case: Case) -> None:
    expected, tensors = case.expected, case.tensors
    recorder = Recorder()
    result = engine(case.checkpoint).generate(expected["script"], case.config(), observer=recorder)
    seen = recorder.seen
    branches = 1 if expected["cfg_scale"] == 1.0 else 2

    assert [[e.text, e.tokens, e.padding] for e in recorder.entries] == expected["entries"]
    calls: list[dict[str, Any]] = [{"phase": c.phase, "position": c.position, "slot": c.slot} for c in seen["call"]]
    assert calls == expected["calls"]
    assert [call.call for call in seen["call"]] == list(range(len(calls)))
    assert [vars(row) for row in seen["machine.after"]] == expected["machine"]
    assert torch.equal(stacked(seen["step_tokens"]), tensors["step_tokens"][:, :branches].long())
    assert torch.equal(recorder.grid, tensors["audio_buf"][:branches].long())
    assert torch.equal(result.audio_tokens, tensors["aligned"].long())
    assert result.first_word_frame == expected["first_word_frame"]
    assert [list(word) for word in result.timestamps] == expected["timestamps"]
    assert [[word.text, word.seconds] for word in result.words] == case.sounding
    assert result.sample_rate == expected["sample_rate"]

    for point in ("action", "cb0"):
        theirs = tensors[f"{point}_logits"][:, :branches]
        assert relative(stacked(seen[f"logits.{point}"][: len(theirs)]), theirs) <= 1e-4
    assert len(result.waveform) == tensors["waveform_samples"].item()
    head = tensors["waveform_head"]
    assert torch.allclose(result.waveform[: len(head)], head, atol=1e-3, rtol=0)
    assert result.waveform.square().mean().sqrt().item() == pytest.approx(tensors["waveform_rms"].item(), abs=1e-3)


def test_all_cases_are_here() -> None:
    assert len(cases()) == 33
