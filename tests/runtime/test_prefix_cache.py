"""A prefix used again is taken from the warm cache, to the bit; whatever differs makes its pass."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from dia2 import Dia2, GenerationConfig
from dia2.adapter.trace import Dia2Trace
from dia2.audio.grid import write_wav
from dia2.common.hooks import POINTS, Span, select
from dia2.runtime import prefix_cache
from dia2.runtime.context import RuntimeContext
from dia2.runtime.generator import build_initial_state, warmup_with_prefix
from dia2.runtime.lru_cache import LRUCache
from dia2.runtime.observed import Frames
from dia2.runtime.voice_clone import PrefixPlan, build_prefix_plan

from ..support.reference import CHECKPOINTS, ROOT, Case, Recorder, engine, local_files

CASE = Case("tiny4", "prefix2")
SCRIPT = "[S1] Hello there."


def prefix_plan(case: Case = CASE) -> PrefixPlan:
    plan = build_prefix_plan(engine(case.checkpoint).runtime, case.config().prefix)
    assert plan is not None
    return plan


def warm(runtime: RuntimeContext, plan: PrefixPlan, *, cfg_scale: float = 2.0, **options: Any) -> tuple[Tensor, Tensor]:
    """Keys and values that a warm-up leaves, in slots that held something else before."""
    config = GenerationConfig(cfg_scale=cfg_scale)
    with runtime.computing():
        gen = build_initial_state(runtime, config, 0, plan)
        cache = gen.decode.transformer
        cache.keys.fill_(7)
        cache.values.fill_(7)
        warmup_with_prefix(runtime, config, plan, runtime.machine.new_state(list(plan.entries)), gen, **options)
    frames = plan.aligned_frames
    assert cache.keys[:, :, :, frames:].eq(7).all()  # and nothing beyond the prefix
    return cache.keys[:, :, :, :frames].clone(), cache.values[:, :, :, :frames].clone()


def other(plan: PrefixPlan, code: int) -> PrefixPlan:
    """The same prefix but for one code."""
    codes = plan.aligned_tokens.clone()
    codes[3, 7] = code
    return PrefixPlan(plan.entries, plan.new_word_steps, codes)


@pytest.mark.parametrize("checkpoint", CHECKPOINTS)
@pytest.mark.parametrize("cfg_scale", [1.0, 2.0])
def test_a_hit_is_the_pass_to_the_bit(checkpoint: str, cfg_scale: float) -> None:
    runtime, plan = engine(checkpoint).runtime, prefix_plan(Case(checkpoint, "prefix2"))
    hits = runtime.warm.hits
    first = warm(runtime, plan, cfg_scale=cfg_scale)
    again = warm(runtime, plan, cfg_scale=cfg_scale)
    assert runtime.warm.hits == hits + 1
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert first[0].shape[1] == (1 if cfg_scale == 1.0 else 2)
    assert first[0].abs().max() > 0.1  # something was compared


def test_whatever_differs_makes_its_pass() -> None:
    runtime, plan = engine("tiny4").runtime, prefix_plan()
    hits = runtime.warm.hits
    warm(runtime, plan)
    warm(runtime, plan, cfg_scale=1.0)  # one branch
    warm(runtime, plan, chunk=7)  # rounded otherwise
    moved = PrefixPlan(plan.entries, [step + 1 for step in plan.new_word_steps], plan.aligned_tokens)
    warm(runtime, moved)  # the same codes with other text
    warm(runtime, other(plan, 5))
    assert runtime.warm.hits == hits


def test_a_prefix_that_begins_as_another_is_another() -> None:
    runtime, plan = engine("tiny4").runtime, prefix_plan()
    hits = runtime.warm.hits
    warm(runtime, plan)
    keys, _ = warm(runtime, PrefixPlan(plan.entries, plan.new_word_steps, plan.aligned_tokens[:, :-1]))
    assert runtime.warm.hits == hits
    assert keys.shape[3] == plan.aligned_frames - 1


def test_weights_that_were_changed_make_their_pass() -> None:
    tts = Dia2.from_local(**local_files("tiny4"), device="cpu")
    runtime, plan = tts.runtime, prefix_plan()
    before, _ = warm(runtime, plan)
    with torch.no_grad():
        runtime.model.transformer.get_parameter("layers.0.attn.k_norm.weight").mul_(2)
    after, _ = warm(runtime, plan)
    assert runtime.warm.hits == 0
    assert not torch.equal(before, after)


def test_a_torch_hook_sees_every_pass() -> None:
    runtime, plan = engine("tiny4").runtime, prefix_plan()
    hits, seen = runtime.warm.hits, []
    warm(runtime, plan)
    handle = runtime.model.transformer.layers[1].register_forward_hook(lambda *_: seen.append(1))
    try:
        warm(runtime, plan)
        warm(runtime, plan)
    finally:
        handle.remove()
    assert len(seen) == 2
    assert runtime.warm.hits == hits
    warm(runtime, plan)
    assert runtime.warm.hits == hits + 1


@pytest.mark.parametrize("sampled", [pytest.param(False, marks=pytest.mark.slow), True])
def test_a_second_run_says_the_same(sampled: bool, caplog: pytest.LogCaptureFixture) -> None:
    tts = engine("tiny4")
    config = CASE.config(seed=3)
    if sampled:
        config = CASE.config(seed=3, text=GenerationConfig().text, audio=GenerationConfig().audio)
    caplog.set_level(logging.INFO, "dia2")
    first = tts.generate(CASE.expected["script"], config)
    said = "prefix: the KV of 33 frames is taken from the warm cache"
    assert said not in caplog.messages
    again = tts.generate(CASE.expected["script"], config)
    assert said in caplog.messages
    assert torch.equal(first.audio_tokens, again.audio_tokens)
    assert torch.equal(first.waveform, again.waveform)
    assert first.timestamps == again.timestamps


def test_verbose_tells_it(capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        engine("tiny4").generate(SCRIPT, CASE.config(seed=1), verbose=True, progress=lambda _: None)
    assert capsys.readouterr().err.count("dia2: prefix: the KV of 33 frames is taken from the warm cache\n") == 1


def test_a_stream_takes_it_too() -> None:
    tts, config = engine("tiny4"), CASE.config(seed=1)
    hits = tts.runtime.warm.hits
    whole = tts.generate(SCRIPT, config)
    joined = torch.cat([chunk.waveform for chunk in tts.stream(SCRIPT, config)])
    assert tts.runtime.warm.hits == hits + 1
    assert torch.allclose(joined, whole.waveform, atol=1e-3)


class StatePool:
    """An observer that keeps what it is handed: calls, machine rows and tensors."""

    def __init__(self) -> None:
        self.points = select("call,machine.*,step_tokens,audio_buf.column,logits.*")
        self.batches: list[Frames] = []
        self.phases: list[str] = []

    def begin(self, span: Span, /) -> None:
        self.phases.append(span.name)

    def end(self, span: Span, /) -> None:
        pass

    def frames(self, frames: Frames, /) -> None:
        if frames.calls[0].phase == "warmup":
            self.batches.append(frames)


def test_an_observer_is_handed_the_same_warm_up() -> None:
    first, again = StatePool(), StatePool()
    for pool in (first, again):
        engine("tiny4").generate(SCRIPT, CASE.config(seed=1), observer=pool)
    assert sum(len(batch.calls) for batch in first.batches) == 33
    for mine, theirs in zip(first.batches, again.batches, strict=True):
        assert (mine.calls, mine.machine, mine.times) == (theirs.calls, theirs.machine, theirs.times)
        assert torch.equal(mine.step_tokens, theirs.step_tokens)
        assert mine.codes is theirs.codes is None


def two_traces(folder: Path) -> tuple[Dia2Trace, Dia2Trace]:
    """A run and the same run again, by an engine that has it warm."""
    for name in ("first", "again"):
        engine("tiny4").generate(CASE.expected["script"], CASE.config(seed=3), trace=folder / name)
    return Dia2Trace.load(folder / "first"), Dia2Trace.load(folder / "again")


@pytest.mark.slow
def test_the_trace_of_a_second_run_is_that_of_the_first(tmp_path: Path) -> None:
    first, again = two_traces(tmp_path)
    assert first.diff(again).same
    assert np.array_equal(first.step_tokens, again.step_tokens)
    assert np.array_equal(first.kv_lengths, again.kv_lengths)
    assert np.array_equal(first.raw_grid, again.raw_grid)
    for mine, theirs in zip(first.frames, again.frames, strict=True):
        assert replace(mine, seconds=None) == replace(theirs, seconds=None)
        assert first.draws(mine.call) == again.draws(mine.call)


def test_every_hook_of_a_second_run_carries_what_it_did_in_the_first() -> None:
    first, again = Recorder(), Recorder()
    for recorder in (first, again):
        engine("tiny4").generate(SCRIPT, CASE.config(seed=3), observer=recorder)
    values = {name for name, point in POINTS.items() if point.family == "value"}
    points = [name for name in first.seen if name in values or name.partition(".dep.")[0] in ("logits", "draw")]
    assert set(first.seen) - set(again.seen) <= {"prefix.encode"}
    assert len(points) > 15
    for point in points:
        for mine, theirs in zip(first.seen[point], again.seen[point], strict=True):
            assert torch.equal(mine, theirs) if isinstance(mine, Tensor) else mine == theirs


@pytest.mark.slow
def test_the_row_says_that_no_pass_was_made(tmp_path: Path) -> None:
    first, again = ({row.row.number: row for row in trace.rows()}[24] for trace in two_traces(tmp_path))
    assert first.mutations == (
        "1 pass over 33 frames instead of as many steps; transformer KV 0 → 33 slots; 4 words taken"
    )
    assert again.mutations == (
        "no pass: the KV of 33 frames is taken from the warm cache, kept from an earlier run of this engine; "
        "transformer KV 0 → 33 slots; 4 words taken"
    )
    assert (first.trigger, first.before, first.outputs) == (again.trigger, again.before, again.outputs)


@pytest.mark.slow
def test_a_fork_of_a_warm_run_is_exact(tmp_path: Path) -> None:
    first, again = two_traces(tmp_path)
    again.fork(engine("tiny4"), 50, path=tmp_path / "fork")
    assert first.diff(Dia2Trace.load(tmp_path / "fork")).same


def test_what_was_used_longest_ago_goes_first() -> None:
    runtime, plan = engine("tiny4").runtime, prefix_plan()
    hits = runtime.warm.hits
    for code in range(4):
        warm(runtime, other(plan, code))
    assert len(runtime.warm) == prefix_cache.MOST_PREFIXES == 4
    warm(runtime, other(plan, 0))  # used again
    assert runtime.warm.hits == hits + 1
    warm(runtime, other(plan, 4))  # in the place of 1
    warm(runtime, other(plan, 0))
    assert runtime.warm.hits == hits + 2
    warm(runtime, other(plan, 1))
    assert runtime.warm.hits == hits + 2


def test_bytes_are_bounded_at_every_moment() -> None:
    kept, made = LRUCache[str, int](most=4, most_bytes=10), []

    def make() -> int:
        made.append(kept.nbytes)  # of the others
        return len(made)

    for name, nbytes in {"a": 4, "b": 4, "c": 5, "d": 10, "e": 11}.items():
        kept.keep(name, nbytes, make)
        assert kept.nbytes <= 10
    assert made == [0, 4, 4, 0]  # e is larger than the bound, and costs nobody a place
    assert kept.get("d") == 4
    assert [kept.get(name) for name in "abce"] == [None] * 4
    kept.keep("d", 3, make)
    assert (len(kept), kept.nbytes) == (1, 3)


def test_no_memory_for_it_ends_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime, plan = engine("tiny4").runtime, prefix_plan()

    def full(*_: object) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(LRUCache, "keep", full)
    warm(runtime, plan)
    assert len(runtime.warm) == 0


@pytest.mark.slow
def test_memory_is_flat_over_many_prefixes(tmp_path: Path) -> None:
    tts, sizes = engine("tiny4"), []
    samples, rate = soundfile.read(ROOT / "tiny4" / "spk1.wav", dtype="float32")
    for i in range(6):
        write_wav(tmp_path / f"{i}.wav", torch.from_numpy(samples) * (1 - i / 20), rate)
        words = [{"text": f"Word{i}", "start": 0.1, "end": 0.5}]
        tts.generate(SCRIPT, seed=1, prefix_speaker_1=tmp_path / f"{i}.wav", prefix_words_1=words)
        sizes.append(tts.runtime.warm.nbytes)
    assert len(tts.runtime.warm) == 4
    assert len(set(sizes[3:])) == 1  # of one length all of them: as large after six as after four
    frames, block = 20, tts.runtime.config.model.decoder
    slots = 2 * 2 * block.n_layer * block.kv_heads * block.gqa_head_dim * 4 * frames  # both branches, keys and values
    assert sizes[-1] == 4 * (slots + 2 * tts.runtime.config.data.channels * frames * 8)


@pytest.mark.slow
def test_an_engine_that_is_closed_lets_go() -> None:
    tts = Dia2.from_local(**local_files("tiny4"), device="cpu")
    for leave in (tts.close, lambda: tts.set_device("cpu")):
        tts.generate(SCRIPT, CASE.config(seed=1))
        assert len(tts.runtime.warm) == 1
        leave()
        assert len(tts.runtime.warm) == 0


def test_another_model_in_a_copy_of_the_context_begins_with_nothing() -> None:
    runtime = engine("tiny4").runtime
    warm(runtime, prefix_plan())
    assert len(runtime.warm) == 1
    assert len(replace(runtime, frame_rate=12.5).warm) == 0
