"""Prefix warm-up: one pass, several chunks and call by call are the same."""

import pytest
import torch

from dia2.common.hooks import CallInfo, observing
from dia2.runtime.generator import build_initial_state, run_generation_loop, warmup_with_prefix
from dia2.runtime.script_parser import parse_script
from dia2.runtime.voice_clone import build_prefix_plan

from ..support.reference import Case, Recorder, checkpoints, engine


def warm(checkpoint: str, chunk: int) -> tuple[torch.Tensor, torch.Tensor, Recorder, object]:
    runtime = engine(checkpoint).runtime
    config = Case(checkpoint, "prefix2").config()
    plan = build_prefix_plan(runtime, config.prefix)
    assert plan is not None
    script = parse_script(["[S1] Hello there."], runtime.encode, runtime.constants, runtime.frame_rate)
    runtime.machine.initial_padding = config.initial_padding
    recorder = Recorder()
    with torch.no_grad(), observing(recorder):
        state = runtime.machine.new_state(plan.entries + script)
        gen = build_initial_state(runtime, config, 0, plan)
        start = warmup_with_prefix(runtime, config, plan, state, gen, chunk=chunk)
    cache, frames = gen.decode.transformer, plan.aligned_frames
    assert start == frames - 1
    return cache.keys[:, :, :, :frames], cache.values[:, :, :, :frames], recorder, (state, gen.text.tolist())


@pytest.mark.parametrize("checkpoint", checkpoints("tiny3", "tiny4"))
@pytest.mark.parametrize("chunk", [7, pytest.param(256, marks=pytest.mark.slow)])
def test_one_pass_equals_call_by_call(checkpoint: str, chunk: int) -> None:
    keys, values, recorder, after = warm(checkpoint, chunk)
    keys_1, values_1, recorder_1, after_1 = warm(checkpoint, 1)
    # Products of one row and of many add up in different orders: 1e-5 of a value's size, and 1e-5 where it is small.
    assert torch.allclose(keys, keys_1, rtol=1e-5, atol=1e-5)
    assert torch.allclose(values, values_1, rtol=1e-5, atol=1e-5)
    assert keys.abs().max() > 0.1  # something was compared
    assert recorder.seen["machine.after"] == recorder_1.seen["machine.after"]
    assert recorder.seen["call"] == recorder_1.seen["call"]
    assert recorder.seen["call"][3] == CallInfo(call=3, phase="warmup", step=3, position=3, slot=3)
    assert after == after_1


def test_progress_counts_frames_from_the_prefixs_end() -> None:
    runtime = engine("tiny4").runtime
    config = Case("tiny4", "prefix2").config()
    plan = build_prefix_plan(runtime, config.prefix)
    assert plan is not None
    script = parse_script(["[S1] Hello there."], runtime.encode, runtime.constants, runtime.frame_rate)
    seen: list[int] = []
    with torch.no_grad():
        state = runtime.machine.new_state(plan.entries + script)
        gen = build_initial_state(runtime, config, 0, plan)
        start = warmup_with_prefix(runtime, config, plan, state, gen)
        run_generation_loop(runtime, config, state, gen, start_step=start, progress=seen.append)
    assert start > 0
    assert seen == list(range(1, gen.last_step - start + 2))
