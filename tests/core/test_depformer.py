"""The depformer: all stages at once equal stage by stage, and both equal a naive one in float64."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dia2.core.cache import Span
from dia2.core.config import parse_config
from dia2.core.depformer import weight_sets
from dia2.core.model import DecodeState, Dia2Model

from ..support.models import backward, random_model, tiny_config
from ..support.naive import naive_depformer

CPU = torch.device("cpu")
DEPFORMER = "model.depformer."
SCHEDULE = "runtime.weights_schedule"

CONFIGS: dict[str, dict[str, object]] = {
    "rope and text": {},
    "no rope": {DEPFORMER + "apply_rope": False},
    "no text": {DEPFORMER + "text_embedding": False},
    "neither": {DEPFORMER + "apply_rope": False, DEPFORMER + "text_embedding": False},
    "shuffled schedule": {SCHEDULE: [2, 0, 1]},
    "schedule with a gap": {SCHEDULE: [2, 0, 2]},  # set 1 exists and no stage uses it
    "one set for all": {SCHEDULE: [0, 0, 0]},
    "default schedule": {SCHEDULE: None},
    "other activations": {DEPFORMER + "mlp_activations": ["relu", "geglu"]},
    "large eps": {"model.normalization_layer_epsilon": 0.5},
    "other timescales": {"model.rope_min_timescale": 0.1, "model.rope_max_timescale": 0.7},
    "BOS before pad by far": {"data.audio_bos_token_id": 9, "data.audio_pad_token_id": 18},
    "pad before BOS": {"data.audio_bos_token_id": 18, "data.audio_pad_token_id": 11},
    "two codebooks": {"data.channels": 4, "data.delay_pattern": [0, 1], SCHEDULE: [0]},
}
parametrize_configs = pytest.mark.parametrize("changes", CONFIGS.values(), ids=CONFIGS.keys())


class Frames:
    """Random inputs of N frames for a model."""

    def __init__(self, model: Dia2Model, count: int, seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)
        data = model.config.data
        self.hidden = torch.randn(count, model.config.model.decoder.n_embd, generator=generator)
        self.codes = torch.randint(data.audio_vocab_size, (count, data.num_codebooks), generator=generator)
        self.main, self.second = torch.randint(data.text_vocab_size, (2, count), generator=generator)
        self.second[::2] = data.text_pad_token_id

    @property
    def text(self) -> tuple[Tensor, Tensor]:
        return self.main, self.second


def at_once(model: Dia2Model, frames: Frames) -> Tensor:
    """[N, K-1, codes]"""
    return model.depformer.forward_frames(frames.hidden, frames.codes, frames.text, model.stage_rotation(CPU))


def new_state(model: Dia2Model, branches: int) -> DecodeState:
    return model.new_decode_state(branches=branches, slots=1, positions=1, device=CPU)


def stage_by_stage(model: Dia2Model, frames: Frames, state: DecodeState) -> Tensor:
    """[N, K-1, codes], as generation calls it, the N frames being branches of one."""
    logits = []
    shared = model.depformer.begin(frames.hidden, state.stage_rotation)
    for stage in range(model.depformer.stages):
        here = slice(stage, stage + 1)
        logits.append(
            model.depformer.forward_stage(
                stage,
                shared,
                frames.codes[:, stage],
                frames.text,
                Span(state.depformer, state.stages[here], stage + 1),
            )
        )
    return torch.stack(logits, dim=1)


def gap(a: Tensor, b: Tensor) -> float:
    assert a.shape == b.shape
    return float((a - b).abs().max())


@parametrize_configs
@torch.no_grad()
def test_all_stages_at_once_equal_the_naive_network(changes: dict[str, object]) -> None:
    raw = tiny_config(changes)
    if raw["runtime"]["weights_schedule"] is None:
        del raw["runtime"]["weights_schedule"]
    model = random_model(raw, seed=1)
    frames = Frames(model, 4)
    ours = at_once(model, frames)
    for n in range(4):
        text = int(frames.main[n]), int(frames.second[n])
        theirs = naive_depformer(model.state_dict(), raw, frames.hidden[n], frames.codes[n].tolist(), text)
        assert gap(ours[n], theirs) <= 1e-5
    assert ours.std() > 0.3  # something was compared


@parametrize_configs
@pytest.mark.parametrize("branches", [1, 2, 5])
@torch.no_grad()
def test_stage_by_stage_equals_all_at_once(changes: dict[str, object], branches: int) -> None:
    model = random_model(tiny_config(changes), seed=2)
    state = new_state(model, branches)
    for frame in range(3):  # the cache of the frame before is written over
        frames = Frames(model, branches, seed=frame)
        assert gap(stage_by_stage(model, frames, state), at_once(model, frames)) <= 1e-5


@given(data=st.data(), codebooks=st.integers(2, 6), seed=st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
@torch.no_grad()
def test_any_schedule_gives_the_same_both_ways(data: st.DataObject, codebooks: int, seed: int) -> None:
    stages = codebooks - 1
    changes = {
        "data.channels": codebooks + 2,
        "data.delay_pattern": [0] * codebooks,
        SCHEDULE: data.draw(st.lists(st.integers(0, stages - 1), min_size=stages, max_size=stages)),
        DEPFORMER + "apply_rope": data.draw(st.booleans()),
        DEPFORMER + "text_embedding": data.draw(st.booleans()),
        DEPFORMER + "n_layer": data.draw(st.integers(1, 3)),
    }
    model = random_model(tiny_config(changes), seed)
    frames = Frames(model, 3, seed)
    assert gap(stage_by_stage(model, frames, new_state(model, 3)), at_once(model, frames)) <= 1e-5


def test_one_codebook_needs_no_stage() -> None:
    raw = tiny_config({"data.channels": 3, "data.delay_pattern": [0], SCHEDULE: []})
    model = random_model(raw)
    assert model.depformer.stages == 0
    assert weight_sets(model.config) == 0
    assert at_once(model, Frames(model, 4)).shape == (4, 0, 17)


@torch.no_grad()
def test_a_cache_full_of_old_stages_does_not_show() -> None:
    model = random_model(tiny_config(), seed=3)
    frames, clean, dirty = Frames(model, 2), new_state(model, 2), new_state(model, 2)
    dirty.depformer.keys.fill_(float("nan"))
    dirty.depformer.values.fill_(float("nan"))
    assert gap(stage_by_stage(model, frames, dirty), stage_by_stage(model, frames, clean)) == 0.0


# Which input reaches which stage


def changed_stages(model: Dia2Model, before: Frames, after: Frames) -> list[bool]:
    """For each stage, whether its logits differ."""
    difference = (at_once(model, before) - at_once(model, after)).abs().amax(dim=(0, 2))
    assert not ((difference > 1e-6) & (difference < 1e-4)).any(), "neither the same nor clearly different"
    return (difference > 1e-4).tolist()


@pytest.mark.parametrize(("codebook", "changed"), [(0, [1, 1, 1]), (1, [0, 1, 1]), (2, [0, 0, 1]), (3, [0, 0, 0])])
@torch.no_grad()
def test_a_code_reaches_its_own_stage_and_those_after(codebook: int, changed: list[bool]) -> None:
    model = random_model(tiny_config(), seed=4)
    before, after = Frames(model, 2), Frames(model, 2)
    after.codes[:, codebook] = (after.codes[:, codebook] + 1) % 17
    assert changed_stages(model, before, after) == changed


@pytest.mark.parametrize("text_embedding", [True, False])
@pytest.mark.parametrize("stream", ["main", "second"])
@torch.no_grad()
def test_text_counts_where_the_config_embeds_it(stream: str, text_embedding: bool) -> None:
    model = random_model(tiny_config({DEPFORMER + "text_embedding": text_embedding}), seed=5)
    before, after = Frames(model, 2), Frames(model, 2)
    getattr(after, stream)[:] = 11
    assert changed_stages(model, before, after) == [text_embedding] * 3
    assert (model.depformer.text_embed is not None) == text_embedding


@torch.no_grad()
def test_text_enters_at_stage_0_only() -> None:
    # Where no stage looks back, what entered at stage 0 can only show there.
    model = random_model(tiny_config(), seed=6)
    for name, parameter in model.depformer.named_parameters():
        if "out_proj" in name:
            parameter.zero_()
    before, after = Frames(model, 2), Frames(model, 2)
    after.main[:] = 11
    assert changed_stages(model, before, after) == [True, False, False]
    text = stage_by_stage(model, before, new_state(model, 2)), stage_by_stage(model, after, new_state(model, 2))
    assert gap(text[0][:, 1:], text[1][:, 1:]) == 0.0


@torch.no_grad()
def test_the_second_stream_s_pad_adds_nothing() -> None:
    model = random_model(tiny_config(), seed=7)
    before, after = Frames(model, 2), Frames(model, 2)
    before.second[:] = after.second[:] = model.config.data.text_pad_token_id
    expected = at_once(model, before)
    model.get_parameter("depformer.text_embed.second_proj.weight").normal_()
    assert gap(at_once(model, after), expected) == 0.0


@torch.no_grad()
def test_a_stage_uses_the_weights_of_its_own_set() -> None:
    model = random_model(tiny_config({SCHEDULE: [2, 0, 1]}), seed=8)
    for name, parameter in model.depformer.named_parameters():
        if "out_proj" in name:
            parameter.zero_()  # so that no stage sees another
    frames = Frames(model, 2)
    before = at_once(model, frames)
    for weight_set, changed in ((0, [0, 1, 0]), (1, [0, 0, 1]), (2, [1, 0, 0])):
        weight = model.get_parameter(f"depformer.depformer_in.{weight_set}.weight")
        kept = weight.clone()
        weight.neg_()
        assert ((at_once(model, frames) - before).abs().amax(dim=(0, 2)) > 1e-4).tolist() == changed
        weight.copy_(kept)


@pytest.mark.parametrize("schedule", [[0, 1, 1], [2, 0, 2], [0, 0, 0]])
@torch.no_grad()
def test_the_hidden_state_is_projected_once_for_each_weight_set(schedule: list[int]) -> None:
    model = random_model(tiny_config({SCHEDULE: schedule}), seed=12)
    calls: list[int] = []
    for number, linear in enumerate(model.depformer.depformer_in):
        linear.register_forward_hook(lambda *_, number=number: calls.append(number))
    for _ in range(2):
        stage_by_stage(model, Frames(model, 2), new_state(model, 2))
    assert calls == 2 * sorted(set(schedule))


# Logits


@pytest.mark.parametrize(("bos", "pad"), [(17, 18), (18, 17), (9, 18), (18, 11)])
@torch.no_grad()
def test_logits_end_before_pad_and_bos(bos: int, pad: int) -> None:
    model = random_model(tiny_config({"data.audio_bos_token_id": bos, "data.audio_pad_token_id": pad}), seed=9)
    frames = Frames(model, 2)
    logits = at_once(model, frames)
    assert logits.shape == (2, 3, min(bos, pad))
    assert stage_by_stage(model, frames, new_state(model, 2)).shape == logits.shape
    assert model.state_dict()["depformer.logits.0.weight"].shape == (19, 14)  # as stored; only the result is cut
    for stage in range(3):  # and they are the first entries, not the last
        weight = model.get_parameter(f"depformer.logits.{stage}.weight")
        weight[min(bos, pad) :] = float("nan")
    assert at_once(model, frames).isfinite().all()


@torch.no_grad()
def test_logits_are_float32_with_bfloat16_weights() -> None:
    model = random_model(tiny_config(), dtype=torch.bfloat16)
    frames = Frames(model, 2)
    frames.hidden = frames.hidden.bfloat16()
    state = new_state(model, 2)
    assert state.depformer.keys.dtype == torch.bfloat16
    assert at_once(model, frames).dtype == torch.float32
    assert stage_by_stage(model, frames, state).dtype == torch.float32


# Training


@pytest.mark.parametrize("text_embedding", [True, False])
def test_gradients_reach_every_weight_and_the_hidden_state(text_embedding: bool) -> None:
    model = random_model(tiny_config({DEPFORMER + "text_embedding": text_embedding}), seed=10)
    frames = Frames(model, 6)
    frames.hidden.requires_grad_(True)
    logits = at_once(model, frames)
    backward(torch.nn.functional.cross_entropy(logits.flatten(0, 1), (frames.codes[:, 1:] % 17).flatten()))
    assert frames.hidden.grad is not None
    assert (frames.hidden.grad.abs().amax(dim=1) > 1e-6).all()
    for name, parameter in model.depformer.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 1e-6, name


def test_gradients_equal_those_of_the_naive_network() -> None:
    raw = tiny_config()
    model = random_model(raw, seed=11)
    frames = Frames(model, 2)
    directions = torch.randn(2, 3, 17, generator=torch.Generator().manual_seed(0))

    def slope(value: float) -> float:
        """The naive network's loss with codebook 0's embedding table scaled by `value`."""
        state: dict[str, Any] = dict(model.state_dict())
        state["depformer.audio_embeds.0.weight"] = value * state["depformer.audio_embeds.0.weight"].double()
        total = 0.0
        for n in range(2):
            text = int(frames.main[n]), int(frames.second[n])
            logits = naive_depformer(state, raw, frames.hidden[n], frames.codes[n].tolist(), text)
            total += float((logits * directions[n]).sum())
        return total

    backward((at_once(model, frames) * directions).sum())
    table = model.get_parameter("depformer.audio_embeds.0.weight")
    assert table.grad is not None
    ours = float((table.grad * table).sum().detach())
    assert ours == pytest.approx((slope(1 + 1e-5) - slope(1 - 1e-5)) / 2e-5, rel=1e-3)


def test_the_number_of_weight_sets_is_the_largest_entry_plus_one() -> None:
    assert weight_sets(parse_config(tiny_config({SCHEDULE: [0, 2, 0]}))) == 3
    model = random_model(tiny_config({SCHEDULE: [0, 2, 0]}))
    names = {name for name in model.state_dict() if name.startswith("depformer.depformer_in.")}
    assert names == {f"depformer.depformer_in.{n}.weight" for n in range(3)}
