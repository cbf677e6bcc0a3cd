"""Hook points: the registry, filters, what observers are given, and that nobody observing costs nothing."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from dia2 import UsageError
from dia2.common.hooks import POINTS, CallInfo, HookPoint, Observer, Span, current_observer, observing, phase, select
from dia2.inspect import Dia2Trace, Watch, record
from dia2.inspect.record import recorder
from dia2.inspect.schema.draw import Draw
from dia2.runtime import generator
from dia2.runtime.capture import LATEST, ROWS
from dia2.runtime.observed import Frames

from .support.graphs import FakeGraphs, use_graphs
from .support.reference import Case, Recorder, checkpoints, engine

SCRIPT = "[S1] Hello Dia2! It's a test."


def test_filters() -> None:
    assert select("logits.cb0") == {"logits.cb0"}
    assert select("draw.dep.*", codebooks=4) == {"draw.dep.1", "draw.dep.2", "draw.dep.3"}
    assert select("draw.cb0, machine.*") == {"draw.cb0", "machine.before", "machine.after", *machine_phases()}
    assert select(["loop", "warmup"]) == {"loop", "warmup"}
    times = {f"time.{n}" for n in ("first", "machine", "second", "frame")}
    assert select(lambda point: point.family == "time", model="dia2") == times
    of_dia2 = [point for point in POINTS.values() if "dia2" in point.models and point.activation is None]
    assert len(select("*", codebooks=8, model="dia2")) == len(of_dia2) + 2 * 6  # {k} from 1


def test_activations_are_handed_to_no_observer() -> None:
    for spec in ("act.2.resid", "act.*"):
        with pytest.raises(UsageError, match=r"computed by a replay.*points="):
            select(spec)
    with pytest.raises(UsageError, match="matches no point"):
        select(lambda point: point.family == "act")


def machine_phases() -> set[str]:
    return {"machine.init", "machine.padding", "machine.new_state"}


@pytest.mark.parametrize("spec", ["logits.cbo", "draw.dep.0", "LOOP", "", [], ["loop", "nothing"], lambda _: False])
def test_a_filter_that_matches_nothing_is_an_error(spec: Any) -> None:
    with pytest.raises(UsageError, match=r"hook|Hook"):
        select(spec)


def test_a_filter_beyond_this_checkpoints_codebooks_is_an_error(tmp_path: Path) -> None:
    with (
        pytest.raises(UsageError, match=r"No hook point is called 'draw.dep.40'"),
        record(tmp_path / "run.dia2trace", hooks="draw.dep.40"),
    ):
        engine("tiny4").generate(SCRIPT, seed=1)
    with (
        pytest.raises(UsageError, match="level tokens records nothing"),
        record(tmp_path / "b", level="tokens", hooks="draw.*"),
    ):
        pass


def test_filters_decide_what_is_computed() -> None:
    seen = Counter[str]()
    watch = Watch(lambda point, _: seen.update([point]), "draw.cb0,step_tokens")
    result = engine("tiny4").generate(SCRIPT, seed=1, observer=watch)
    assert seen == {"draw.cb0": result.frames, "step_tokens": result.frames}


def test_a_watched_draw_is_what_was_drawn() -> None:
    recorder = Recorder("draw.*,audio_buf.column,machine.after,logits.*")
    engine("tiny4").generate(SCRIPT, seed=1, cfg_scale=3.0, cfg_filter_k=5, observer=recorder)
    seen = recorder.seen
    codes = torch.stack(seen["audio_buf.column"])
    for k in range(4):
        draws: list[Draw] = seen["draw.cb0" if k == 0 else f"draw.dep.{k}"]
        assert [draw.choice for draw in draws] == codes[:, k].tolist()
        for draw, logits in zip(draws, seen["logits.cb0" if k == 0 else f"logits.dep.{k}"], strict=True):
            cond = logits[0]
            guided = logits[1] + 3.0 * (cond - logits[1])
            best = guided.topk(5).indices.tolist()
            for candidate in draw.candidates:
                assert candidate.cond == cond[candidate.token]
                assert candidate.guided == pytest.approx(guided[candidate.token].item(), abs=1e-4)
                assert candidate.kept == (candidate.token in best and not (k == 0 and candidate.token >= 64))
            assert next(c for c in draw.candidates if c.token == draw.choice).kept
            assert 0 < draw.probability <= 1
    assert [draw.choice for draw in seen["draw.action"]] == [row.action for row in seen["machine.after"]]


def test_values_are_the_observers_own() -> None:
    def spoil(_: str, value: object) -> None:
        if isinstance(value, torch.Tensor):
            value.fill_(-1)

    plain = engine("tiny4").generate(SCRIPT, seed=1)
    spoiled = engine("tiny4").generate(SCRIPT, seed=1, observer=Watch(spoil))
    assert torch.equal(plain.audio_tokens, spoiled.audio_tokens)


def test_an_observers_exception_ends_the_run() -> None:
    def refuse(point: str, _: object) -> None:
        raise ValueError(f"enough of {point}")

    with pytest.raises(ValueError, match="enough of call"):
        engine("tiny4").generate(SCRIPT, seed=1, observer=Watch(refuse, "call"))
    assert current_observer() is None


def test_observers_see_a_run_side_by_side(tmp_path: Path) -> None:
    calls: list[object] = []
    watch = Watch(lambda _, value: calls.append(value), "call")
    engine("tiny4").generate(SCRIPT, seed=1, observer=watch, trace=tmp_path / "run.dia2trace")
    trace = Dia2Trace.load(tmp_path / "run.dia2trace")
    assert len(calls) == len(trace) > 30
    assert trace.manifest.never_fired == load_alone(tmp_path).manifest.never_fired


def load_alone(folder: Path) -> Any:
    engine("tiny4").generate(SCRIPT, seed=1, trace=folder / "alone.dia2trace")
    return Dia2Trace.load(folder / "alone.dia2trace")


def test_frames_come_in_batches_that_are_neither_long_nor_late() -> None:
    batches: list[tuple[int, float]] = []

    class Batches:
        points = frozenset({"step_tokens"})

        def begin(self, span: Span, /) -> None:
            raise AssertionError(f"{span.name} was not asked for")

        def end(self, span: Span, /) -> None:
            raise AssertionError(f"{span.name} was not asked for")

        def frames(self, frames: Frames, /) -> None:
            spent = frames.times[-1].began + frames.times[-1].frame - frames.times[0].began
            batches.append((len(frames.calls), spent - frames.times[-1].frame))
            assert list(frames.logits) == []

    observer: Observer = Batches()
    result = engine("tiny4").generate(SCRIPT, seed=1, observer=observer)
    assert sum(count for count, _ in batches) == result.frames
    assert max(count for count, _ in batches) <= ROWS
    assert max(spent for _, spent in batches) <= LATEST + 0.05  # all but the frame that made it too long


def test_a_phase_sees_arguments_result_and_error() -> None:
    spans: list[Span] = []

    @phase("script.load")
    def load_it(source: str, times: int = 2) -> str:
        if times < 0:
            raise ValueError("negative")
        return source * times

    assert load_it("a") == "aa"  # nobody looks

    def keep(_: str, span: object) -> None:
        if isinstance(span, Span) and span.ended:
            spans.append(span)

    with observing(Watch(keep, "script.load")):
        assert load_it("b", times=3) == "bbb"
        with pytest.raises(ValueError, match="negative"):
            load_it("c", -1)
    assert [(span.inputs, span.result) for span in spans] == [
        ({"source": "b", "times": 3}, "bbb"),
        ({"source": "c", "times": -1}, None),
    ]
    assert isinstance(spans[1].error, ValueError)


class CountOps(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's base class has no types
    """Counts tensor operations, by name."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # likewise
        self.ops = Counter[str]()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.ops[str(func)] += 1
        return func(*args, **(kwargs or {}))


def loop_facts(observer: Observer | None) -> tuple[Counter[str], Counter[str]]:
    """Tensor operations of the main loop, and calls into the rooms that serve observers."""
    seams, ops = Counter[str](), CountOps()
    loop = generator.generate_frames

    def note(frame: FrameType, event: str, _: object) -> None:
        name = frame.f_code.co_filename.replace("\\", "/")
        if event == "call" and ("dia2/common/hooks.py" in name or "capture.py" in name or "dia2/inspect" in name):
            seams[frame.f_code.co_name] += 1

    def watched(*args: Any, **kwargs: Any) -> Any:
        frames = loop(*args, **kwargs)
        yield next(frames)  # the loop looks for an observer once, before its first frame
        with ops:
            sys.setprofile(note)
            try:
                for _ in range(10):
                    yield next(frames)
            finally:
                sys.setprofile(None)
        yield from frames

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generator, "generate_frames", watched)
        engine("tiny4").generate(SCRIPT, seed=1, observer=observer)
    return ops.ops, seams


def test_nobody_looking_means_no_call_and_no_operation() -> None:
    plain, seams = loop_facts(None)
    assert not seams
    watched, more = loop_facts(Watch(lambda *_: None, "step_tokens"))
    assert more["put"] > 0  # so the count above could have failed
    assert watched["aten.copy_.default"] > plain["aten.copy_.default"]
    # One write a layer and stage, keys and values together, one column: what the loop itself writes, and nothing more.
    config = engine("tiny4").runtime.config.model
    writes = config.decoder.n_layer + 3 * config.depformer.n_layer + 1
    assert plain["aten.index_copy_.default"] == 10 * writes


@pytest.mark.parametrize("checkpoint", checkpoints("tiny3"))
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("prefix2", "[S1] Hi you. [S2] No."),
        *(pytest.param(name, None, marks=pytest.mark.slow) for name in ("plain_cfg2", "prefix2")),
    ],
)
def test_a_trace_of_graphs_equals_a_trace_of_eager_frames(
    checkpoint: str, name: str, said: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case, tts = Case(checkpoint, name), engine(checkpoint)
    script = said or case.expected["script"]
    with record(tmp_path / "eager", level="full"):
        tts.generate(script, case.config(seed=3))
    backend = FakeGraphs(dry_runs=3)
    use_graphs(monkeypatch, tts, backend)
    for folder in ("graphs", "again"):  # in the same rings
        with record(tmp_path / folder, level="full"):
            tts.generate(script, case.config(seed=3, use_cuda_graph=True))
    eager, graphs, again = (Dia2Trace.load(tmp_path / name) for name in ("eager", "graphs", "again"))
    assert backend.captures == 2
    assert eager.diff(graphs).same
    assert eager.diff(again).same
    for call in range(eager.warmup_calls, len(eager)):
        for point, logits in eager.logits(call).items():
            theirs = torch.from_numpy(graphs.logits(call)[point])
            assert torch.allclose(torch.from_numpy(logits), theirs, rtol=1e-4, atol=1e-3)
            assert np.array_equal(graphs.logits(call)[point], again.logits(call)[point])


def test_over_its_budget_a_trace_keeps_the_tokens(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recorder, "SHARD_CALLS", 8)
        with record(tmp_path / "run.dia2trace", level="full", budget=50_000):
            result = engine("tiny4").generate(SCRIPT, seed=1)
    trace = Dia2Trace.load(tmp_path / "run.dia2trace")
    start = trace.manifest.tokens_only_from
    assert start is not None
    assert f"from call {start} on it keeps tokens only" in caplog.text
    assert 0 < start < len(trace) == result.frames
    assert trace.draws(start - 1)
    assert not trace.draws(start)
    assert not trace.logits(start)
    assert trace.complete
    assert torch.equal(torch.from_numpy(trace.aligned), result.audio_tokens[0])


def test_what_was_asked_for_and_never_came_is_noted(tmp_path: Path) -> None:
    with record(tmp_path / "run.dia2trace", hooks="warmup,loop,draw.cb0"):
        engine("tiny4").generate(SCRIPT, seed=1)
    assert Dia2Trace.load(tmp_path / "run.dia2trace").manifest.never_fired == ["warmup"]


def test_calls_are_numbered_over_warmup_and_main_loop() -> None:
    recorder, case = Recorder("call"), Case("tiny4", "prefix1")
    engine("tiny4").generate(case.expected["script"], case.config(), observer=recorder)
    calls: list[CallInfo] = recorder.seen["call"]
    assert [call.call for call in calls] == list(range(len(calls)))
    assert [call.slot for call in calls] == list(range(len(calls)))


def test_every_point_says_when_it_fires_and_what_it_carries() -> None:
    for point in POINTS.values():
        assert isinstance(point, HookPoint)
        assert point.when
        assert len(point.value) > 5


def families_found(tmp_path: Path, name: str, entry_points: str) -> subprocess.CompletedProcess[str]:
    """What is found beside a distribution of that name in the current folder."""
    left = tmp_path / f"{name.replace('-', '_')}.egg-info"
    left.mkdir()
    (left / "PKG-INFO").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.0.1\n", encoding="utf-8")
    (left / "entry_points.txt").write_text(entry_points, encoding="utf-8")
    code = "from dia2.common.hooks import installed; print(*installed())"
    return subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=200)


def test_families_are_found_beside_what_an_earlier_installation_left(tmp_path: Path) -> None:
    done = families_found(tmp_path, "dia2-inspect", "[console_scripts]\ndia2 = dia2.cli:main\n")
    assert done.stdout.split()[:2] == ["dia2", "dia"], done.stderr


def test_a_family_that_cannot_be_imported_is_left_out_with_a_warning(tmp_path: Path) -> None:
    done = families_found(tmp_path, "hum", "[dia2.models]\nhum = no_such_module:ADAPTER\n")
    assert done.stdout.split()[:2] == ["dia2", "dia"], done.stderr
    assert "hum" not in done.stdout
    assert done.stderr == (
        "the model family hum is left out: no_such_module:ADAPTER cannot be imported (No module named "
        "'no_such_module')\n"
    )
