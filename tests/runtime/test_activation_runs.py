"""Runs whose activations are edited: the network goes on with what torch's own hooks would have given it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from dia2 import Ablate, Clamp, Edit, ForceAction, GenerationConfig, Patch, Request, Steer, UsageError, Where
from dia2.adapter.trace import Dia2Trace
from dia2.runtime import graphs
from dia2.runtime.edits import activations_of
from dia2.runtime.forms import ModuleForm
from dia2.runtime.generator import build_initial_state, warmup_with_prefix
from dia2.runtime.interventions import Interventions
from dia2.runtime.prefix_cache import MOST_PREFIXES
from dia2.runtime.streaming import Stream
from dia2.runtime.voice_clone import build_prefix_plan
from dia2.runtime.write_buffers import WriteBuffers
from dia2.runtime.written import Written

from ..support import acts
from ..support.acts import of_each_kind
from ..support.batches import after, assert_same
from ..support.graphs import FakeGraphs, use_graphs
from ..support.reference import Case, engine

SCRIPT = "[S1] one two three [S2] four five"


def runs(edits: list[Any], **options: Any) -> Tensor:
    tts = engine("tiny4")
    result = tts.generate(SCRIPT, seed=3, edits=edits, **options)
    return result.audio_tokens


def hooked(layer: int, change: Callable[[int, Tensor], Tensor], **options: Any) -> Tensor:
    """The codes of a run whose residual stream is changed by a hook, call by call."""
    tts, call = engine("tiny4"), -1

    def hook(_: Any, __: Any, out: Tensor) -> Tensor:
        nonlocal call
        call += 1
        return change(call, out)

    with tts.runtime.model.transformer.layers[layer].register_forward_hook(hook):
        return tts.generate(SCRIPT, seed=3, **options).audio_tokens


def vector(seed: int = 1) -> Tensor:
    return acts.vector(engine("tiny4"), seed=seed)


def vectors(calls: int) -> Tensor:
    return acts.vector(engine("tiny4"), calls)


@pytest.mark.parametrize("scale", [1.0, 2.5])
def test_steered_as_by_a_hook(scale: float) -> None:
    direction, where = vector(), Where(calls=(6, 20), branches="conditional")

    def change(call: int, out: Tensor) -> Tensor:
        if not 6 <= call <= 20:
            return out
        out = out.clone()
        out[:1] += 0.5 * direction
        return out

    found = runs([Steer("act.1.resid", direction, 0.5, where)], cfg_scale=scale)
    assert torch.equal(found, hooked(1, change, cfg_scale=scale))
    assert not torch.equal(found, runs([], cfg_scale=scale))


def test_only_while_a_speaker_speaks() -> None:
    plain = runs([])
    second = runs([Steer("act.1.resid", vector(), where=Where(speakers=(2,)))])
    common = min(plain.shape[-1], second.shape[-1])
    (apart,) = torch.nonzero((plain[0, 0, :common] != second[0, 0, :common]), as_tuple=True)
    result = engine("tiny4").generate(SCRIPT, seed=3)
    begins = next(time for (_, time), speaker in zip(result.timestamps, result.speakers, strict=True) if speaker == 2)
    assert len(apart)
    assert int(apart[0]) / 12.5 >= begins - 0.3


def test_only_after_a_call_that_took_a_word(tmp_path: Path) -> None:
    path = tmp_path / "run.dia2trace"
    steer = Steer("act.1.resid", vector(), where=Where(after={"action": "new_word", "consumed": 1}))
    found = runs([steer], trace=path)
    trace = Dia2Trace.load(path)
    drawn = trace.actions == trace.model.tokens.action_new_word  # where none is drawn, a word may begin all the same
    began = [call + 1 for call in range(len(trace) - 1) if drawn[call] and trace.frames[call].machine.consumed]
    assert 2 < len(began) < len(trace) / 2
    by_call = [replace(steer, where=Where(calls=(call, call))) for call in began]
    assert torch.equal(found, runs(by_call))
    assert not torch.equal(found, runs([]))


@pytest.mark.parametrize("scale", [1.0, 2.5])
def test_stages_are_written_as_by_a_hook(scale: float) -> None:
    """The depformer's layer runs once for each stage of a call."""
    tts, given, count = engine("tiny4"), acts.vector(engine("tiny4"), depformer=True), 0
    stages = tts.runtime.model.depformer.stages

    def hook(_: Any, __: Any, out: Tensor) -> Tensor:
        nonlocal count
        call, stage = divmod(count, stages)
        count += 1
        if stage != 1 or not 6 <= call <= 20:
            return out
        return torch.cat((out[:1] + 5.0 * given, out[1:]))

    where = Where(calls=(6, 20), branches="conditional", stages=(1,))
    with tts.runtime.model.depformer.layers[0].register_forward_hook(hook):
        wanted = runs([], cfg_scale=scale)
    found = runs([Steer("act.dep.0.resid", given, 5.0, where)], cfg_scale=scale)
    assert torch.equal(found, wanted)
    assert not torch.equal(found, runs([], cfg_scale=scale))


def test_nothing_is_written_where_nothing_holds() -> None:
    assert torch.equal(runs([Steer("act.1.resid", vector(), where=Where(calls=(5000, 5001)))]), runs([]))
    assert torch.equal(runs([Steer("act.1.resid", vector(), 0.0)]), runs([]))


def test_runs_after_it_are_as_they_were() -> None:
    tts = engine("tiny4")
    before = tts.generate(SCRIPT, seed=3)
    for point in ("act.0.heads", "act.dep.0.heads"):
        assert not torch.equal(runs([Ablate(point)]), before.audio_tokens)
        again = tts.generate(SCRIPT, seed=3)
        assert torch.equal(again.audio_tokens, before.audio_tokens)
        assert torch.equal(again.waveform, before.waveform)


def test_what_does_not_fit_is_refused_before_anything_is_made() -> None:
    with pytest.raises(UsageError, match="layers 0 …"):
        runs([Ablate("act.77.heads")])
    with pytest.raises(UsageError, match="Steer has 3 numbers"):
        runs([Steer("act.1.resid", [1.0, 2.0, 3.0])])


def test_what_leads_to_no_numbers_is_told() -> None:
    with pytest.raises(UsageError, match="take a smaller scale"):
        runs([Steer("act.hidden", vector(), 1e38), Steer("act.hidden", vector(), 1e38)])


class TestSideBySide:
    def test_rows_with_other_edits_are_each_as_alone(self) -> None:
        tts = engine("tiny4")
        kinds = of_each_kind(tts)
        given: list[dict[str, Any]] = [
            {"seed": 1},
            {"seed": 1, "edits": kinds},
            {"seed": 2, "edits": [Clamp("act.1.resid", vector(5), -4.0)], "cfg_scale": 1.0},
            {"seed": 3, "edits": [Steer("act.1.resid", vector(), 0.7), ForceAction(6, "new_word")]},
            {"seed": 4, "edits": kinds[4:6], "cfg_scale": 3.0},
            {"seed": 5, "cfg_scale": 1.0},
            {"seed": 6, "edits": [Ablate("act.0.heads")]},
        ]
        alone = [tts.generate(SCRIPT, **one) for one in given]
        for rows in (2, 7):  # rows come and go, and take each other's places; or are all there at once
            assert_same(tts.generate_many([Request(SCRIPT, **one) for one in given], max_rows=rows), alone)
        assert not torch.equal(alone[0].audio_tokens, alone[1].audio_tokens)

    def test_rows_begin_with_prefixes_that_are_edited(self) -> None:
        tts, case = engine("tiny4"), Case("tiny4", "prefix2")
        kinds: list[list[Edit]] = [[], [Steer("act.0.resid", vector())], of_each_kind(tts, 30)]
        given: list[dict[str, Any]] = [{"seed": 7, "edits": edits} for edits in kinds]
        alone = [tts.generate(SCRIPT, case.config(), **one) for one in given]
        assert_same(tts.generate_many([Request(SCRIPT, case.config(), **one) for one in given]), alone)
        assert not torch.equal(alone[0].audio_tokens, alone[1].audio_tokens)

    def test_when_the_last_row_with_edits_has_left_nothing_is_written(self, monkeypatch: pytest.MonkeyPatch) -> None:
        tts, seen = engine("tiny4"), list[bool]()
        network = ModuleForm.transformer

        def watched(form: ModuleForm, *args: Any) -> Any:
            seen.append(args[3] is not None)
            return network(form, *args)

        monkeypatch.setattr(ModuleForm, "transformer", watched)
        edits = [Ablate("act.0.heads", where=Where(calls=(0, 5)))]
        asked = [Request(SCRIPT, seed=1, edits=edits, progress=after(6)), *[Request(SCRIPT, seed=2)] * 2]
        tts.generate_many(asked, max_rows=2, on_error="return")
        assert seen[:6] == [True] * 6
        assert not any(seen[8:])

    def test_a_batch_that_runs_by_graphs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        tts, backend = engine("tiny4"), FakeGraphs(dry_runs=1)
        given: list[dict[str, Any]] = [
            {
                "seed": seed,
                "edits": [Steer("act.1.resid", vector(seed), seed / 4), Patch("act.0.mlp", vectors(9), seed)],
            }
            for seed in range(1, 6)
        ]
        alone = [tts.generate(SCRIPT, **one) for one in given]
        use_graphs(monkeypatch, tts, backend)
        many = tts.generate_many([Request(SCRIPT, **one, use_cuda_graph=True) for one in given], max_rows=2)
        assert_same(many, alone)
        assert backend.captures <= 2 * 2  # of one row and of two


def test_a_stream_takes_words_that_come_later_by_their_numbers() -> None:
    tts = engine("tiny4")
    edits = [Steer("act.1.resid", vector(), where=Where(words=(3, 4), speakers=(2,)))]
    whole, config = tts.generate(SCRIPT, seed=3, edits=edits), GenerationConfig(seed=3)
    pieces = iter(["[S1] one ", "two three ", "[S2] four ", "five"])
    joined = torch.cat([chunk.waveform for chunk in Stream(tts.runtime, pieces, config, edits=edits)])
    assert torch.allclose(joined, whole.waveform, atol=1e-4)
    plain = tts.generate(SCRIPT, seed=3).waveform
    assert len(plain) != len(joined) or not torch.allclose(joined, plain, atol=1e-2)


def test_an_edit_that_was_never_reached_is_told(caplog: pytest.LogCaptureFixture) -> None:
    runs([Steer("act.1.resid", vector(), where=Where(calls=(5000, 5001))), Steer("act.0.resid", vector())])
    (told,) = [message for message in caplog.messages if "never reached" in message]
    assert "calls 5000 … 5001” was never reached" in told


class TestGraphs:
    def test_they_serve_other_strengths_vectors_and_calls(self, monkeypatch: pytest.MonkeyPatch) -> None:
        tts, backend = engine("tiny4"), FakeGraphs(dry_runs=3)
        kinds = of_each_kind(tts)
        others: list[list[Edit]] = [
            kinds,
            [replace(edit, scale=3.0) if isinstance(edit, Steer) else edit for edit in kinds],
            [replace(edit, value=-2.5) if isinstance(edit, Clamp) else edit for edit in kinds],
            [replace(edit, vector=-2 * edit.vector.tensor) if isinstance(edit, Steer) else edit for edit in kinds],
            [
                replace(edit, direction=edit.direction.tensor.flip(0)) if isinstance(edit, Clamp) else edit
                for edit in kinds
            ],
            [replace(edit, where=Where(calls=(5, 19))) for edit in kinds],
            [replace(edit, heads=(0, 1)) if isinstance(edit, Ablate) and edit.heads else edit for edit in kinds],
        ]
        eager = [runs(edits) for edits in others]
        use_graphs(monkeypatch, tts, backend)
        for edits, wanted in zip(others, eager, strict=True):
            assert torch.equal(runs(edits, use_cuda_graph=True), wanted)
            assert backend.captures == 2
        assert len({tuple(codes.flatten().tolist()) for codes in eager}) == len(others)

    def test_runs_without_edits_have_their_own_and_other_points_others(self, monkeypatch: pytest.MonkeyPatch) -> None:
        tts, backend = engine("tiny4"), FakeGraphs()
        plain, steered = runs([]), runs([Steer("act.1.resid", vector())])
        use_graphs(monkeypatch, tts, backend)
        for edits, wanted, captures in (
            ([], plain, 2),
            ([Steer("act.1.resid", vector())], steered, 4),
            ([], plain, 4),
            ([Steer("act.1.resid", vector())], steered, 4),
            ([Steer("act.0.resid", vector())], None, 6),
        ):
            found = runs(edits, use_cuda_graph=True)
            assert wanted is None or torch.equal(found, wanted)
            assert backend.captures == captures


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")
def test_a_compiled_run_is_the_eager_one() -> None:
    kinds = of_each_kind(engine("tiny4"))
    assert torch.equal(runs(kinds, use_torch_compile=True), runs(kinds))


class TestPrefix:
    @pytest.mark.parametrize("chunk", [7, 256])
    @pytest.mark.parametrize("checkpoint", ["tiny3", "tiny4"])
    def test_one_pass_is_as_frame_by_frame(self, checkpoint: str, chunk: int) -> None:
        kinds = of_each_kind(engine(checkpoint), 5)
        many, one, plain = (warm(checkpoint, edits, n) for edits, n in ((kinds, chunk), (kinds, 1), ([], 1)))
        for ours, theirs, without in zip(many, one, plain, strict=True):
            assert torch.allclose(ours, theirs, rtol=1e-5, atol=1e-5)
            assert (ours - without).abs().max() > 0.1

    def test_the_cache_knows_prefixes_by_what_was_written(self) -> None:
        runtime = engine("tiny4").runtime
        steer = Steer("act.0.resid", vector(), where=Where(calls=(3, 9)))
        kinds: list[list[Edit]] = [
            [],
            [steer],
            [replace(steer, scale=2.0)],
            [replace(steer, where=Where(calls=(3, 10)))],
            [replace(steer, vector=vector(2))],
            [Ablate("act.0.resid", vector(), where=steer.where)],
        ]
        hits = runtime.warm.hits
        first = [warm("tiny4", edits) for edits in kinds]
        assert runtime.warm.hits == hits
        kept = kinds[-MOST_PREFIXES:]
        again = [warm("tiny4", edits) for edits in kept]
        assert runtime.warm.hits == hits + len(kept)
        for (keys, values), (others, those) in zip(first[-MOST_PREFIXES:], again, strict=True):
            assert torch.equal(keys, others)
            assert torch.equal(values, those)
        assert len({tuple(values.flatten().tolist()) for _, values in first}) == len(kinds)

    def test_what_comes_after_the_prefix_does_not_count_for_it(self) -> None:
        runtime = engine("tiny4").runtime
        hits = runtime.warm.hits
        warm("tiny4", [])
        warm("tiny4", [Steer("act.0.resid", vector(), where=Where(calls=(500, 600)))])
        assert runtime.warm.hits == hits + 1


def warm(checkpoint: str, edits: list[Edit], chunk: int = 256) -> tuple[Tensor, Tensor]:
    """Keys and values [layers, B, heads, frames, dim] that a prefix leaves."""
    runtime, config = engine(checkpoint).runtime, Case(checkpoint, "prefix2").config()
    plan = build_prefix_plan(runtime, config.prefix)
    assert plan is not None
    given = activations_of(edits)
    written = Written(given, runtime.config, branches=2, device=runtime.device) if given else None
    interventions = Interventions(
        *(runtime.config, runtime.constants, config),
        first_call=plan.aligned_frames,
        written=written,
        entries=plan.entries,
    )
    with runtime.computing():
        gen = build_initial_state(runtime, config, 0, plan, interventions)
        state = runtime.machine.new_state(list(plan.entries))
        warmup_with_prefix(runtime, config, plan, state, gen, interventions, chunk=chunk)
    cache, frames = gen.decode.transformer, plan.aligned_frames
    return cache.keys[:, :, :, :frames].clone(), cache.values[:, :, :, :frames].clone()


class _Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's base class has no types
    """What reaches the device, by name."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # likewise
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.append(func._schema.name)
        return func(*args, **(kwargs or {}))


def operations(monkeypatch: pytest.MonkeyPatch, edits: list[Edit], **options: Any) -> tuple[list[str], int]:
    """Those of both halves of all frames of a run, and how many frames there were."""
    names: list[str] = []

    def seen(half: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any) -> Any:
            with _Operations() as found:
                out = half(*args)
            names.extend(found.names)
            return out

        return run

    with monkeypatch.context() as patched:
        for half in ("first_half", "second_half"):
            patched.setattr(graphs, half, seen(getattr(graphs, half)))
        frames = engine("tiny4").generate("[S1] one", seed=3, edits=edits, **options).frames
    return names, frames


@pytest.mark.parametrize(("scale", "count"), [(1.0, 522), (2.0, 558)])
def test_without_edits_a_frame_has_not_one_operation_more(
    scale: float, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many as before activations could be edited, by the torch of `constraints.txt`; and none of that code runs."""
    written, _ = operations(monkeypatch, [Steer("act.1.resid", vector(), 0.0)], cfg_scale=scale)

    def never(*_: object) -> None:
        raise AssertionError("a run without edits has nothing to do with them")

    for place in (WriteBuffers, Written):
        monkeypatch.setattr(place, "__init__", never)
    for name in ("dia2.core.transformer.written", "dia2.core.acts.Write.apply"):
        monkeypatch.setattr(name, never)
    plain, frames = operations(monkeypatch, [], cfg_scale=scale)
    assert len(plain) == count * frames
    added = Counter(written)
    added.subtract(Counter(plain))
    assert added["aten::add"] == frames  # and it would be seen
