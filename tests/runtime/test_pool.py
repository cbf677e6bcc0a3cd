"""What runs under graphs leave for the next one: it captures nothing, allocates nothing, and makes the same tokens."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from dia2 import Dia2, GenerationInterrupted, UsageError
from dia2.core.cache import whole_rows
from dia2.inspect import Dia2Trace
from dia2.runtime import generator, session
from dia2.runtime import pool as kept
from dia2.runtime.edits import ChangeSampling, ReplaceToken
from dia2.runtime.frame import GenerationState
from dia2.runtime.pool import PAIRS, STATES, Size, StatePool, room_for

from ..support.graphs import FakeGraphs, use_graphs
from ..support.reference import Case, Recorder, engine

SCRIPT = "one two three"


class Graphed:
    """An engine with graphs of the stand-in."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, checkpoint: str, steps: int | None = None) -> None:
        self.tts: Dia2 = engine(checkpoint)
        if steps is not None:
            config = self.tts.runtime.config
            short = replace(config, runtime=replace(config.runtime, max_context_steps=steps))
            monkeypatch.setattr(self.tts, "_runtime", replace(self.tts.runtime, config=short))
        self.backend = FakeGraphs()
        self.pool: StatePool = use_graphs(monkeypatch, self.tts, self.backend)
        self.allocated = 0
        allocate = generator._allocate

        def counted(*args: Any, **kwargs: Any) -> GenerationState:
            self.allocated += 1
            return allocate(*args, **kwargs)

        monkeypatch.setattr(generator, "_allocate", counted)

    def speak(self, script: str = SCRIPT, **changes: Any) -> Any:
        return self.tts.generate(script, **({"seed": 1, "use_cuda_graph": True} | changes))

    @property
    def facts(self) -> tuple[int, int, int]:
        """Captures, states, states that are free."""
        return self.backend.captures, self.allocated, len(self.pool._free)


@pytest.fixture
def graphed(monkeypatch: pytest.MonkeyPatch) -> Graphed:
    return Graphed(monkeypatch, "tiny3", steps=18)


def eager(graphed: Graphed, script: str = SCRIPT, **changes: Any) -> Tensor:
    tokens: Tensor = graphed.speak(script, **(changes | {"use_cuda_graph": False})).audio_tokens
    return tokens


@pytest.mark.slow
def test_later_runs_capture_nothing_whatever_their_seed_script_and_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    graphed = Graphed(monkeypatch, "tiny3")
    for name in ("plain_cfg2", "prefix2", "plain_cfg2"):
        case = Case("tiny3", name)
        result = graphed.tts.generate(case.expected["script"], case.config(use_cuda_graph=True, seed=len(name)))
        assert torch.equal(result.audio_tokens, case.tensors["aligned"].long())
        assert graphed.facts == (2, 1, 1)


@pytest.mark.slow
def test_each_setting_is_captured_once(graphed: Graphed) -> None:
    settings: list[dict[str, Any]] = [{}, {"temp_audio": 0.9}, {"temp_text": 0.5}, {"cfg_filter_k": 7}]
    assert len(settings) == PAIRS
    first = [graphed.speak(**changes).audio_tokens for changes in settings]
    assert graphed.facts == (2 * PAIRS, 1, 1)
    for changes, tokens in reversed(list(zip(settings, first, strict=True))):
        assert torch.equal(graphed.speak(**changes).audio_tokens, tokens)
        assert torch.equal(eager(graphed, **changes), tokens)
    assert graphed.backend.captures == 2 * PAIRS
    graphed.speak(cfg_filter_k=8)  # one too many: the settings used longest ago go
    graphed.speak()
    assert graphed.backend.captures == 2 * PAIRS + 2
    graphed.speak(cfg_filter_k=7)
    assert graphed.backend.captures == 2 * PAIRS + 4


def test_an_edit_in_mid_run_captures_once_and_its_end_nothing(graphed: Graphed) -> None:
    edits = [ChangeSampling(8, temp_audio=0.9), ReplaceToken(10, 3, codebook=1), ChangeSampling(14, temp_audio=0.8)]
    expected = eager(graphed, edits=edits)
    for _ in range(2):
        assert torch.equal(graphed.speak(edits=edits).audio_tokens, expected)
        assert graphed.facts == (4, 2, 1)  # the eager run's state, too


@pytest.mark.slow
def test_with_and_without_guidance_are_two_sizes(graphed: Graphed) -> None:
    for _ in range(2):
        assert torch.equal(graphed.speak(cfg_scale=1.0).audio_tokens, eager(graphed, cfg_scale=1.0))
        assert torch.equal(graphed.speak().audio_tokens, eager(graphed))
    assert graphed.backend.captures == 4
    assert {state.size.branches for state in graphed.pool._free} == {1, 2}


@pytest.mark.slow
def test_a_long_prefix_has_a_larger_state(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(kept, "USUAL_PREFIX", 1.0)
    graphed, case = Graphed(monkeypatch, "tiny3"), Case("tiny3", "prefix2")
    graphed.speak()
    with caplog.at_level("DEBUG", logger="dia2"):
        for _ in range(2):
            result = graphed.tts.generate(case.expected["script"], case.config(use_cuda_graph=True))
            assert torch.equal(result.audio_tokens, case.tensors["aligned"].long())
    assert graphed.facts == (4, 2, 2)
    assert [state.size.room for state in graphed.pool._free] == [13, 52]
    assert caplog.text.count("prefixes of up to 52 frames") == 1


def test_room_for_prefixes() -> None:
    assert [room_for(frames, 12.5) for frames in (0, 375, 376, 3000)] == [375, 375, 750, 3000]


@pytest.mark.slow
def test_a_traced_run_leaves_its_rings(graphed: Graphed, tmp_path: Path) -> None:
    plain = graphed.speak()
    graphed.speak(trace=tmp_path / "1.dia2trace")
    graphed.speak(trace=tmp_path / "2.dia2trace")
    watched = Recorder("draw.cb0")
    graphed.speak(observer=watched)
    captures, states, _ = graphed.facts
    assert (captures, states) == (6, 1)  # without rings, with those of a trace, with one of those
    (state,) = graphed.pool._free
    rings = {name: ring.data_ptr() for name, ring in state._buffers.rings.items()}
    graphed.speak(trace=tmp_path / "3.dia2trace")
    graphed.speak(observer=Recorder("draw.cb0"))
    assert graphed.facts == (6, 1, 1)
    assert {name: ring.data_ptr() for name, ring in state._buffers.rings.items()} == rings
    traces = [Dia2Trace.load(tmp_path / f"{number}.dia2trace") for number in (1, 2, 3)]
    assert traces[0].diff(traces[2]).same
    assert traces[0].diff(traces[1]).same
    assert torch.equal(torch.from_numpy(traces[0].aligned), plain.audio_tokens[0])
    assert [draw.choice for draw in watched.seen["draw.cb0"]] == traces[0].codes[:, 0].tolist()


def test_streams_side_by_side_have_a_state_each(graphed: Graphed) -> None:
    scripts = [SCRIPT, "four five six seven"]
    expected = [graphed.speak(script, use_cuda_graph=False).waveform for script in scripts]
    streams = [graphed.tts.stream(script, seed=1, use_cuda_graph=True) for script in scripts]
    heard: list[list[Tensor]] = [[], []]
    for _ in range(25):
        for stream, pieces in zip(streams, heard, strict=True):
            pieces += [chunk.waveform for chunk in [next(stream, None)] if chunk is not None]
    assert [stream.stop_reason for stream in streams] == ["context", "context"]
    for pieces, whole in zip(heard, expected, strict=True):
        assert torch.allclose(torch.cat(pieces), whole, atol=1e-4)
    assert graphed.facts == (4, 4, 2)  # two of them eager
    assert torch.equal(graphed.speak().audio_tokens, eager(graphed))
    assert graphed.backend.captures == 4


class Enough(Exception):  # noqa: N818  # it is no error
    pass


def test_a_state_comes_back_however_the_run_ends(graphed: Graphed, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(error: type[BaseException]) -> Any:
        def report(progress: Any) -> None:
            if progress.frames == 5:
                raise error

        return report

    expected = graphed.speak().audio_tokens
    with pytest.raises(Enough):
        graphed.speak(progress=stop(Enough))
    assert graphed.facts == (2, 1, 1)
    with pytest.raises(GenerationInterrupted):
        graphed.speak(progress=stop(KeyboardInterrupt))
    assert graphed.facts == (2, 1, 1)

    for end in ("close", "forget"):
        stream = graphed.tts.stream(SCRIPT, seed=1, use_cuda_graph=True)
        next(stream)
        assert not graphed.pool._free
        if end == "close":
            stream.close()
        else:
            del stream
            gc.collect()
        assert graphed.facts == (2, 1, 1)

    def fail(*_: object, **__: object) -> None:
        raise Enough

    case = Case("tiny3", "prefix1")
    with monkeypatch.context() as patch:
        patch.setattr(session, "warmup_with_prefix", fail)
        with pytest.raises(Enough):
            graphed.tts.generate(case.expected["script"], case.config(use_cuda_graph=True))
    assert graphed.facts == (2, 1, 1)
    with pytest.raises(UsageError):
        graphed.speak(edits=[ReplaceToken(3, 1, codebook=99)])
    assert graphed.facts == (2, 1, 1)
    assert torch.equal(graphed.speak().audio_tokens, expected)
    assert graphed.facts == (2, 1, 1)


def test_a_result_is_its_own(graphed: Graphed) -> None:
    recorder = Recorder("step_tokens,audio_buf.column,loop,draw.cb0")
    first = graphed.speak(observer=recorder)
    kept_values = [first.audio_tokens, first.waveform, recorder.grid, *recorder.seen["step_tokens"]]
    before = [value.clone() for value in kept_values]
    graphed.speak("other words altogether", observer=Recorder("step_tokens,audio_buf.column,loop,draw.cb0"), seed=2)
    assert graphed.facts[1:] == (1, 1)
    assert all(torch.equal(now, then) for now, then in zip(kept_values, before, strict=True))


def tensors(value: object, path: str = "gen") -> Iterator[tuple[str, Tensor]]:
    """Every tensor of a state."""
    if isinstance(value, Tensor):
        yield path, value
    elif isinstance(value, tuple):
        for index, part in enumerate(value):
            yield from tensors(part, f"{path}[{index}]")
    elif is_dataclass(value):
        for field in fields(value):
            yield from tensors(getattr(value, field.name), f"{path}.{field.name}")
    elif type(value).__name__ == "KVCache":
        for name, part in vars(value).items():
            yield from tensors(part, f"{path}.{name}")


def build(graphed: Graphed, **changes: Any) -> GenerationState:
    config = Case("tiny3", "plain_cfg2").config(use_cuda_graph=True, **changes)
    return generator.build_initial_state(graphed.tts.runtime, config, seed=5)


def test_a_used_state_begins_as_a_fresh_one(graphed: Graphed) -> None:
    with graphed.tts.runtime.computing():
        fresh = {name: value.clone() for name, value in tensors(build(graphed))}
        gc.collect()
        used = build(graphed)
        constant = {"gen.delays", "gen.specials", "gen.decode.stages"}
        constant |= {name for name in fresh if "rotation" in name}
        assert len(fresh) == 13, sorted(fresh)  # so that one that is new is thought of
        for name, value in tensors(used):
            if name not in constant:
                value.fill_(torch.nan if value.is_floating_point() else 1)
        used.calls, used.last_step = 7, 6
        del used
        again = build(graphed)
    assert graphed.allocated == 1
    assert (again.calls, again.last_step) == (0, -1)
    found = dict(tensors(again))
    assert found.keys() == fresh.keys()
    for name, value in fresh.items():
        assert torch.equal(found[name], value), name


def test_an_eager_run_borrows_nothing(graphed: Graphed) -> None:
    assert build(graphed, seed=1).lease is not None
    config = Case("tiny3", "plain_cfg2").config()
    gen = generator.build_initial_state(graphed.tts.runtime, config, seed=5)
    assert gen.lease is None
    assert gen.decode.transformer.slots == whole_rows(graphed.tts.max_context_steps)


def test_few_states_wait(graphed: Graphed) -> None:
    with graphed.tts.runtime.computing():
        held = [build(graphed) for _ in range(STATES + 2)]
        assert len({gen.audio_buf.data_ptr() for gen in held}) == STATES + 2
        del held
        gc.collect()
    assert len(graphed.pool._free) == STATES
    assert {state.size for state in graphed.pool._free} == {Size(2, 375)}
