"""Forks and diffs: without edits everything again, with one it and nothing before it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dia2 import Dia2, GenerationConfig, SamplingConfig, UsageError
from dia2.common.errors import TraceError
from dia2.inspect import Dia2Trace
from dia2.runtime.edits import ChangeSampling, Edit, ForceAction, ReplaceToken, edit_from_json, edit_to_json
from dia2.runtime.packing import FORCED

from ..support.reference import Case, checkpoints, engine

SAMPLED = {"text": SamplingConfig(0.8, 50), "audio": SamplingConfig(0.9, 40), "cfg_filter_k": 20, "seed": 3}


def record_case(checkpoint: str, name: str, path: Path, **changes: object) -> tuple[Dia2Trace, Dia2]:
    case, tts = Case(checkpoint, name), engine(checkpoint)
    tts.generate(case.expected["script"], case.config(**(SAMPLED | changes)), trace=path)
    return Dia2Trace(path), tts


def forked(trace: Dia2Trace, tts: Dia2, call: int, path: Path, *edits: Edit, **options: Any) -> Dia2Trace:
    trace.fork(tts, call, edits=edits, path=path, **options)
    return Dia2Trace(path)


@pytest.mark.parametrize("checkpoint", checkpoints("tiny3"))
@pytest.mark.parametrize("name", ["plain_cfg1", pytest.param("prefix2_include", marks=pytest.mark.slow)])
def test_a_fork_from_any_call_without_edits_is_the_same_run(checkpoint: str, name: str, tmp_path: Path) -> None:
    trace, tts = record_case(checkpoint, name, tmp_path / "a.dia2trace")
    for call in (0, trace.warmup_calls + 1, len(trace) - 1):
        result = trace.fork(tts, call)
        assert np.array_equal(result.audio_tokens[0].numpy(), trace.aligned)
        assert [word[0] for word in result.timestamps] == [
            word.text for word in trace.words if word.seconds is not None
        ]
    again = forked(trace, tts, len(trace) // 2, tmp_path / "b.dia2trace")
    assert trace.diff(again).same
    assert again.manifest.script == trace.manifest.script
    assert again.run.forked_at == len(trace) // 2
    assert again.diagnose() == trace.diagnose()
    for call in range(trace.warmup_calls, len(trace)):  # the very same numbers, not only the same tokens
        assert again.draws(call) == trace.draws(call)


@pytest.mark.parametrize(
    ("checkpoint", "edit"),
    [
        ("tiny4", ReplaceToken(60, 17, codebook=3)),
        pytest.param("tiny8", ReplaceToken(60, 17, codebook=3), marks=pytest.mark.slow),
        pytest.param("tiny8", ReplaceToken(60, 0, codebook=0), marks=pytest.mark.slow),
        pytest.param("tiny8", ReplaceToken(60, 40, stream="main"), marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_one_edit_is_named_first_and_nothing_before_it_differs(
    checkpoint: str, edit: ReplaceToken, tmp_path: Path
) -> None:
    trace, tts = record_case(checkpoint, "prefix2", tmp_path / "a.dia2trace")
    other = forked(trace, tts, 50, tmp_path / "b.dia2trace", edit)
    found = trace.diff(other)
    assert found.first is not None
    assert (found.first.call, found.first.what, found.first.a) == (60, "edit", "none")
    assert str(edit).endswith(found.first.b)
    assert not found.settings
    assert found.shared == 60
    assert {part.call for part in found.parts} == {60}
    assert found.parts[0].what == ("main" if edit.stream else f"codebook {edit.codebook}")
    assert np.array_equal(trace.codes[:60], other.codes[:60])
    assert not np.array_equal(trace.codes[61:90], other.codes[61:90])
    if edit.codebook is not None:
        assert other.codes[60, edit.codebook] == edit.token


@pytest.mark.slow
def test_a_forced_action_is_taken_at_its_call(tmp_path: Path) -> None:
    trace, tts = record_case("tiny8", "plain_cfg2", tmp_path / "a.dia2trace")
    free = [
        call
        for call in range(1, len(trace))
        if not trace.machine_at(call - 1).pending
        and trace.machine_at(call - 1).forced_padding == 0
        and trace.machine_at(call - 1).padding_budget > 0
        and trace.actions[call] == tts.runtime.constants.action_pad
        and trace.machine_at(call - 1).entries_left
    ]
    call = free[0]
    other = forked(trace, tts, call, tmp_path / "b.dia2trace", ForceAction(call, "new_word"))
    found = trace.diff(other)
    assert found.first is not None
    assert (found.first.call, found.first.what, found.first.b) == (call, "edit", "action new_word")
    assert [part.what for part in found.parts][:2] == ["action", "machine.consumed"]
    assert other.frames[call].machine.consumed
    assert other.draws(call)[0].choice == tts.runtime.constants.action_new_word


@pytest.mark.slow
def test_other_guidance_from_a_call_on(tmp_path: Path) -> None:
    trace, tts = record_case("tiny8", "plain_cfg2", tmp_path / "a.dia2trace")
    other = forked(trace, tts, 20, tmp_path / "b.dia2trace", ChangeSampling(24, cfg_scale=6.0, temp_audio=1.5))
    found = trace.diff(other)
    assert found.first is not None
    assert (found.first.call, found.first.what) == (24, "edit")
    assert found.first.b == "cfg_scale = 6, temp_audio = 1.5 (from here on)"
    assert found.shared >= 24
    assert other.config_at(23).cfg_scale == 2.0
    assert other.config_at(24).cfg_scale == 6.0
    cond, guided = (np.array([getattr(c, name) for c in other.draws(24)[1].candidates]) for name in ("cond", "guided"))
    was = np.array([c.guided for c in trace.draws(24)[1].candidates])
    assert np.allclose((guided - cond) / 5, was - cond, atol=1e-3)  # uncond + 6 · d − cond = 5 · (d of cfg 2)


def test_guidance_can_be_turned_on_on_the_way(tmp_path: Path) -> None:
    script = "[S1] Hello Dia2! It's a test."
    config = GenerationConfig(cfg_scale=1.0, seed=2)
    engine("tiny4").generate(script, config, edits=[ChangeSampling(10, cfg_scale=3.0)], trace=tmp_path / "a.dia2trace")
    trace = Dia2Trace.load(tmp_path / "a.dia2trace")
    assert trace.model.branches == 2
    assert all(c.cond == c.guided for draw in trace.draws(9) for c in draw.candidates)
    assert any(c.cond != c.guided for draw in trace.draws(10) for c in draw.candidates)
    again = forked(trace, engine("tiny4"), 15, tmp_path / "b.dia2trace")
    assert trace.diff(again).same


@pytest.mark.slow
def test_another_seed_counts_from_the_fork_on(tmp_path: Path) -> None:
    trace, tts = record_case("tiny8", "plain_cfg2", tmp_path / "a.dia2trace")
    other = forked(trace, tts, 30, tmp_path / "b.dia2trace", seed=99)
    found = trace.diff(other)
    assert [(d.what, d.a, d.b) for d in found.settings] == [("seed", "3", "99")]
    assert 30 <= found.shared < len(trace)


@pytest.mark.slow
def test_edits_stay_in_force_in_a_fork_of_a_fork(tmp_path: Path) -> None:
    trace, tts = record_case("tiny8", "plain_cfg2", tmp_path / "a.dia2trace")
    first = forked(trace, tts, 20, tmp_path / "b.dia2trace", ReplaceToken(22, 5, codebook=1))
    second = forked(first, tts, 40, tmp_path / "c.dia2trace")
    assert first.diff(second).same
    assert second.run.edits == [ReplaceToken(22, 5, codebook=1)]


@pytest.mark.slow
def test_a_shorter_run_ends_where_the_longer_one_goes_on(tmp_path: Path) -> None:
    trace, tts = record_case("tiny8", "plain_cfg2", tmp_path / "a.dia2trace")
    tts.generate("[S1] Hello Dia2!", seed=3, trace=tmp_path / "b.dia2trace")
    other = Dia2Trace.load(tmp_path / "b.dia2trace")
    found = trace.diff(other)
    assert "script" in {part.what for part in found.settings}
    assert not found.same
    assert found.calls == (len(trace), len(other))


def test_an_edit_that_never_comes_to_pass_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    trace, tts = record_case("tiny3", "plain_cfg1", tmp_path / "run")
    beyond = len(trace) + 400
    trace.fork(tts, len(trace) - 2, edits=[ForceAction(beyond, "pad")])
    assert f"call {beyond}: action pad” was never reached: the run ended after call {len(trace) - 1}" in caplog.text


def test_a_fork_does_not_replace_where_it_comes_from(tmp_path: Path) -> None:
    trace, tts = record_case("tiny3", "plain_cfg1", tmp_path / "run")
    (tmp_path / "link").symlink_to(tmp_path / "run")
    for path in (trace.path, str(trace.path), tmp_path / "link"):
        with pytest.raises(UsageError, match="is the trace itself: what goes on from it needs a name of its own"):
            trace.fork(tts, 5, path=path)
    assert len(Dia2Trace.load(trace.path)) == len(trace)


def test_what_cannot_be_forked_says_why(tmp_path: Path) -> None:
    trace, tts = record_case("tiny4", "prefix1", tmp_path / "a.dia2trace")
    with pytest.raises(TraceError, match=r"no call 100000"):
        trace.fork(tts, 100_000)
    with pytest.raises(UsageError, match="comes before the fork: fork from call 40 or earlier"):
        trace.fork(tts, 50, edits=[ForceAction(40, "pad")])
    with pytest.raises(UsageError, match="Call 3 is in the warm-up"):
        trace.fork(tts, 0, edits=[ForceAction(3, "pad")])
    with pytest.raises(UsageError, match="4 codebooks of 64 codes"):
        trace.fork(tts, 50, edits=[ReplaceToken(50, 64, codebook=0)])
    with pytest.raises(UsageError, match="4 codebooks of 64 codes"):
        trace.fork(tts, 50, edits=[ReplaceToken(50, 1, codebook=4)])
    with pytest.raises(UsageError, match="made with another checkpoint"):
        trace.fork(engine("tiny3"), 50)
    with pytest.raises(UsageError, match="made with another checkpoint"):
        trace.replay(engine("tiny3"))
    with pytest.raises(TraceError, match="no call 999"):
        trace.replay(tts, [999])


def test_int8_products_are_those_of_the_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engines = {}
    for kernel in ("blocks", "packed"):
        monkeypatch.setenv(FORCED, kernel)
        engines[kernel] = Dia2.nano(quantize="int8")
        engines[kernel].generate("[S1] Hi.", seed=1, trace=tmp_path / kernel)
    trace = Dia2Trace(tmp_path / "blocks")
    assert trace.run.model.products == "blocks"
    assert forked(trace, engines["blocks"], 3, tmp_path / "again").diff(trace).same
    refusal = "int8 weights with 'blocks', and this engine does so with 'packed', .* DIA2_INT8_PRODUCTS to the trace's"
    with pytest.raises(UsageError, match=refusal):
        trace.fork(engines["packed"], 3)
    trace.fork(Dia2.nano(), 3)  # as any other precision, it goes on from the tokens
    plain = record_case("tiny3", "plain_cfg1", tmp_path / "plain")[0]
    assert plain.run.model.products is None


def test_edits_are_checked_when_they_are_made() -> None:
    with pytest.raises(UsageError, match="new_word or pad"):
        ForceAction(3, "stop")  # type: ignore[arg-type]  # on purpose
    with pytest.raises(UsageError, match="either a codebook or a stream"):
        ReplaceToken(3, 1)
    with pytest.raises(UsageError, match="whole number"):
        ReplaceToken(-1, 1, codebook=0)
    with pytest.raises(UsageError, match="changes nothing"):
        ChangeSampling(3)
    with pytest.raises(UsageError, match="temperature"):
        ChangeSampling(3, temp_audio=-1)


@pytest.mark.parametrize(
    "edit",
    [
        ForceAction(1, "pad"),
        ReplaceToken(2, 3, codebook=0),
        ReplaceToken(2, 3, stream="second"),
        ChangeSampling(4, 2.5),
    ],
)
def test_edits_survive_json(edit: Edit) -> None:
    assert edit_from_json(edit_to_json(edit)) == edit


@pytest.mark.parametrize("value", [None, {}, {"kind": "ForceAction"}, {"kind": "ForceAction", "call": 1, "x": 2}, [1]])
def test_what_is_no_edit_is_refused(value: object) -> None:
    with pytest.raises(UsageError):
        edit_from_json(value)


def test_an_action_is_found_by_its_name(tmp_path: Path) -> None:
    trace, _ = record_case("tiny4", "prefix1", tmp_path / "a.dia2trace")
    found = [trace.find("action", name) for name in ("new_word", "pad")]
    assert sorted(found[0] + found[1]) == list(range(len(trace)))
    ids = trace.model.tokens
    assert all(trace.actions[call] in (ids.new_word, ids.action_new_word) for call in found[0])
    with pytest.raises(TraceError, match="padding_budget has no value 'pad'"):
        trace.find("padding_budget", "pad")


def test_a_path_is_no_trace(tmp_path: Path) -> None:
    trace, _ = record_case("tiny3", "plain_cfg1", tmp_path / "run")
    with pytest.raises(UsageError, match=r"is not a trace: open it by dia2\.inspect\.load\(path\)"):
        trace.diff(str(tmp_path / "run"))  # type: ignore[arg-type]  # that is the point
