"""The transformer against a naive one in float64, and its many-frames form against one frame at a time."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dia2.core.cache import KVCache, Span, additive_mask, causal_mask
from dia2.core.config import ACTIVATIONS, DiaConfig
from dia2.core.layers import GatedMLP, RMSNorm, Rotation, TextEmbedding, attend, rotary_table, rotate
from dia2.core.model import Dia2Model
from dia2.core.transformer import TransformerOutput

from ..support.models import backward, random_model, tiny_config
from ..support.naive import ACTIVATION, naive_transformer, rms_norm, turn

CPU = torch.device("cpu")
DECODER = "model.decoder."

CONFIGS: dict[str, dict[str, object]] = {
    "two queries per kv head": {},
    "one kv head": {DECODER + "kv_heads": 1},
    "a kv head per query": {DECODER + "gqa_query_heads": 3, DECODER + "kv_heads": 3},
    "three queries per kv head": {DECODER + "gqa_query_heads": 6, DECODER + "kv_heads": 2},
    "full-width table": {DECODER + "low_rank_dim": None},
    "large eps": {"model.normalization_layer_epsilon": 0.5},
    "other timescales": {"model.rope_min_timescale": 0.5, "model.rope_max_timescale": 30.0},
    "other activations": {"model.linear.mlp_activations": ["gelu", "relu"]},
}
parametrize_configs = pytest.mark.parametrize("changes", CONFIGS.values(), ids=CONFIGS.keys())


def random_tokens(config: DiaConfig, batch: int, frames: int, seed: int = 0) -> Tensor:
    """[B, C, T], with every third second-stream token the pad."""
    generator = torch.Generator().manual_seed(seed)
    data = config.data
    text = torch.randint(data.text_vocab_size, (batch, 2, frames), generator=generator)
    text[:, 1, ::3] = data.text_pad_token_id
    audio = torch.randint(data.audio_vocab_size, (batch, data.num_codebooks, frames), generator=generator)
    return torch.cat((text, audio), dim=1)


def rotation_at(model: Dia2Model, positions: list[int]) -> Rotation:
    cos, sin = model.rotation(model.config.model.decoder.gqa_head_dim, max(positions) + 1, CPU)
    return cos[positions], sin[positions]


def new_cache(model: Dia2Model, batch: int, slots: int) -> KVCache:
    return model.new_decode_state(branches=batch, slots=slots, positions=1, device=CPU).transformer


def in_chunks(
    model: Dia2Model, tokens: Tensor, positions: list[int], lengths: list[int], cache: KVCache
) -> TransformerOutput:
    """Run T frames through a cache, `lengths` frames a pass."""
    parts: list[TransformerOutput] = []
    first = 0
    for length in lengths:
        stop = first + length
        mask = causal_mask(first, length, CPU) if length > 1 else None
        span = Span(cache, torch.arange(first, stop), stop, mask)
        parts.append(model.transformer(tokens[:, :, first:stop], rotation_at(model, positions[first:stop]), span))
        first = stop
    return TransformerOutput(*(torch.cat(values, dim=1) for values in zip(*parts, strict=True)))


def assert_close(ours: TransformerOutput, theirs: TransformerOutput, tolerance: float = 1e-5) -> None:
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.shape == other.shape
        assert float((mine - other).abs().max()) <= tolerance


def cut(out: TransformerOutput, frames: slice) -> TransformerOutput:
    return TransformerOutput(*(values[:, frames] for values in out))


# The whole network


@parametrize_configs
@torch.no_grad()
def test_it_computes_what_the_naive_network_computes(changes: dict[str, object]) -> None:
    raw = tiny_config(changes)
    model, frames = random_model(raw, seed=1), 6
    positions = [0, 1, 2, 2, 3, 7]
    tokens = random_tokens(model.config, 2, frames)
    causal = [[j <= i for j in range(frames)] for i in range(frames)]
    out = model.transformer(tokens, rotation_at(model, positions), mask=causal_mask(0, frames, CPU))
    hidden, action, cb0 = naive_transformer(model.state_dict(), raw, tokens, positions, causal)
    assert float((out.hidden - hidden).abs().max()) <= 1e-5
    assert float((out.action_logits - action).abs().max()) <= 1e-5
    assert float((out.cb0_logits - cb0).abs().max()) <= 1e-5
    assert action.std() > 0.3  # something was compared


@parametrize_configs
@pytest.mark.parametrize("batch", [1, 2])
@torch.no_grad()
def test_one_frame_at_a_time_equals_all_at_once(changes: dict[str, object], batch: int) -> None:
    model, frames = random_model(tiny_config(changes), seed=2), 8
    tokens, positions = random_tokens(model.config, batch, frames, seed=3), list(range(frames))
    at_once = model.transformer(tokens, rotation_at(model, positions), mask=causal_mask(0, frames, CPU))
    assert_close(in_chunks(model, tokens, positions, [1] * frames, new_cache(model, batch, frames)), at_once)


_MODEL = random_model(tiny_config(), seed=4)


@given(
    lengths=st.lists(st.integers(1, 5), min_size=1, max_size=5),
    batch=st.integers(1, 2),
    seed=st.integers(0, 1000),
    data=st.data(),
)
@settings(max_examples=25, deadline=None)
@torch.no_grad()
def test_any_chunking_at_any_positions_equals_all_at_once(
    lengths: list[int], batch: int, seed: int, data: st.DataObject
) -> None:
    frames = sum(lengths)
    positions = data.draw(st.lists(st.integers(0, 60), min_size=frames, max_size=frames))
    tokens = random_tokens(_MODEL.config, batch, frames, seed)
    at_once = _MODEL.transformer(tokens, rotation_at(_MODEL, positions), mask=causal_mask(0, frames, CPU))
    assert_close(in_chunks(_MODEL, tokens, positions, lengths, new_cache(_MODEL, batch, frames + 3)), at_once)


@torch.no_grad()
def test_a_frame_run_twice_takes_a_new_slot_at_the_same_position() -> None:
    raw = tiny_config()
    model, frames = random_model(raw, seed=5), 5
    positions = [0, 1, 2, 2, 3]  # as after a prefix: the frame at position 2 is run again, with other text
    tokens = random_tokens(model.config, 1, frames)
    tokens[:, 2:, 3] = tokens[:, 2:, 2]
    out = in_chunks(model, tokens, positions, [3, 1, 1], new_cache(model, 1, frames))
    causal = [[j <= i for j in range(frames)] for i in range(frames)]
    hidden, _, _ = naive_transformer(model.state_dict(), raw, tokens, positions, causal)
    assert float((out.hidden - hidden).abs().max()) <= 1e-5
    other = in_chunks(model, tokens, list(range(frames)), [3, 1, 1], new_cache(model, 1, frames))
    assert float((out.hidden - other.hidden)[:, 3:].abs().max()) > 1e-3  # position 3 would not be the same


# What a frame sees


@torch.no_grad()
def test_a_frame_depends_on_no_frame_after_it() -> None:
    model, frames = random_model(tiny_config(), seed=6), 6
    tokens, rotation = random_tokens(model.config, 1, frames), rotation_at(model, list(range(frames)))
    mask = causal_mask(0, frames, CPU)
    before = model.transformer(tokens, rotation, mask=mask)
    changed = tokens.clone()
    changed[:, :, 4] = random_tokens(model.config, 1, 1, seed=9)[:, :, 0]
    after = model.transformer(changed, rotation, mask=mask)
    assert_close(cut(after, slice(0, 4)), cut(before, slice(0, 4)), tolerance=0.0)
    assert float((after.hidden - before.hidden)[:, 5].abs().max()) > 1e-3


@torch.no_grad()
def test_without_a_mask_every_frame_sees_all() -> None:
    raw = tiny_config()
    model, frames = random_model(raw, seed=7), 4
    tokens, positions = random_tokens(model.config, 2, frames), [3, 1, 0, 2]
    out = model.transformer(tokens, rotation_at(model, positions))
    everything = [[True] * frames] * frames
    hidden, _, _ = naive_transformer(model.state_dict(), raw, tokens, positions, everything)
    assert float((out.hidden - hidden).abs().max()) <= 1e-5


@torch.no_grad()
def test_any_mask_is_kept_with_a_cache_and_without() -> None:
    raw = tiny_config()
    model, frames = random_model(raw, seed=8), 5
    allowed = [[i == j or (3 * i + j) % 4 == 0 for j in range(frames)] for i in range(frames)]
    tokens, positions = random_tokens(model.config, 2, frames), list(range(frames))
    hidden, _, _ = naive_transformer(model.state_dict(), raw, tokens, positions, allowed)
    mask = torch.tensor(allowed)
    rotation = rotation_at(model, positions)
    span = Span(new_cache(model, 2, frames), torch.arange(frames), frames, mask)
    for out in (model.transformer(tokens, rotation, mask=mask), model.transformer(tokens, rotation, span)):
        assert float((out.hidden - hidden).abs().max()) <= 1e-5


@torch.no_grad()
def test_rows_of_a_batch_do_not_see_each_other() -> None:
    model, frames = random_model(tiny_config(), seed=9), 5
    tokens, positions = random_tokens(model.config, 2, frames), list(range(frames))
    both = in_chunks(model, tokens, positions, [3, 2], new_cache(model, 2, frames))
    for row in range(2):
        alone = in_chunks(model, tokens[row : row + 1], positions, [3, 2], new_cache(model, 1, frames))
        assert_close(alone, TransformerOutput(*(values[row : row + 1] for values in both)))


@torch.no_grad()
def test_slots_beyond_the_length_are_never_looked_at() -> None:
    model, frames = random_model(tiny_config(), seed=10), 5
    tokens, positions = random_tokens(model.config, 1, frames), list(range(frames))
    clean = in_chunks(model, tokens, positions, [2, 1, 2], new_cache(model, 1, frames + 4))
    dirty = new_cache(model, 1, frames + 4)
    dirty.keys.fill_(math.nan)
    dirty.values.fill_(math.nan)
    assert_close(in_chunks(model, tokens, positions, [2, 1, 2], dirty), clean, tolerance=0.0)


@torch.no_grad()
def test_masked_slots_of_a_cleared_cache_do_not_count() -> None:
    model, slots = random_model(tiny_config(), seed=11), 12
    tokens, frames = random_tokens(model.config, 2, 4), 4
    cache = new_cache(model, 2, slots)
    cache.clear()
    for frame in range(frames):  # as under a CUDA graph: all slots are read, the mask says which count
        mask = (torch.arange(slots) <= frame)[None]
        out = model.transformer(
            tokens[:, :, frame, None], rotation_at(model, [frame]), Span(cache, torch.tensor([frame]), slots, mask)
        )
    expected = in_chunks(model, tokens, list(range(frames)), [frames], new_cache(model, 2, frames))
    assert_close(out, cut(expected, slice(3, 4)))


def test_causal_mask_starts_after_the_slots_already_filled() -> None:
    assert causal_mask(2, 3, CPU).tolist() == [
        [True, True, True, False, False],
        [True, True, True, True, False],
        [True, True, True, True, True],
    ]


@torch.no_grad()
def test_a_pass_writes_its_own_slots_and_no_others() -> None:
    model = random_model(tiny_config(), seed=12)
    cache = new_cache(model, 1, 6)
    cache.keys.fill_(7.0)
    cache.values.fill_(7.0)
    span = Span(cache, torch.tensor([2, 3]), 4, None)
    model.transformer(random_tokens(model.config, 1, 2), rotation_at(model, [0, 1]), span)
    for buffer in (cache.keys, cache.values):  # [layers, B, heads, slots, head_dim]
        untouched = (buffer == 7.0).all(dim=-1).all(dim=2)[:, 0]
        assert untouched.tolist() == [[True, True, False, False, True, True]] * 2
    assert cache.slots == 6


# Attention


@pytest.mark.parametrize(("heads", "kv_heads"), [(4, 2), (4, 1), (6, 3), (3, 3)])
@pytest.mark.parametrize("masked", [False, True])
def test_query_head_h_reads_kv_head_h_over_groups(heads: int, kv_heads: int, masked: bool) -> None:
    torch.manual_seed(0)
    query, key, value = torch.randn(2, heads, 3, 8), torch.randn(2, kv_heads, 5, 8), torch.randn(2, kv_heads, 5, 8)
    mask = torch.tensor([[1, 0, 1, 1, 0], [0, 1, 1, 0, 1], [1, 1, 1, 1, 1]]).bool() if masked else None
    added = None if mask is None else additive_mask(mask, heads // kv_heads, query.dtype)
    out = attend(query, key, value, added).view(2, 3, heads, 8)
    for h in range(heads):
        source = h // (heads // kv_heads)
        for b in range(2):
            scores = query[b, h].double() @ key[b, source].double().T  # scale 1.0
            if mask is not None:
                scores[~mask] = -math.inf
            weights = scores.exp() / scores.exp().sum(dim=-1, keepdim=True)
            assert torch.allclose(out[b, :, h].double(), weights @ value[b, source].double(), atol=1e-5)


def test_q_and_k_are_normalised_before_rotary() -> None:
    # A weight that differs within a rotary pair does not commute with the turn, so the order shows.
    model = random_model(tiny_config(), seed=13)
    weight = model.get_parameter("transformer.layers.0.attn.q_norm.weight")
    assert not torch.allclose(weight[:3], weight[3:], atol=0.05)
    raw, positions = tiny_config(), [0, 40]
    tokens = random_tokens(model.config, 1, 2)
    with torch.no_grad():
        out = model.transformer(tokens, rotation_at(model, positions))
        hidden, _, _ = naive_transformer(model.state_dict(), raw, tokens, positions, [[True] * 2] * 2)
    assert float((out.hidden - hidden).abs().max()) <= 1e-5


# Rotary


@pytest.mark.parametrize(("low", "high"), [(1.0, 10000.0), (0.25, 0.25), (2.0, 77.0)])
@pytest.mark.parametrize("dim", [2, 4, 10])
def test_rotary_turns_half_split_pairs(low: float, high: float, dim: int) -> None:
    torch.manual_seed(0)
    positions = [0, 1, 5, 1499]
    x = torch.randn(2, 3, len(positions), dim)
    ours = rotate(x, rotary_table(torch.tensor(positions), dim, low, high))
    for t, position in enumerate(positions):
        for b in range(2):
            for h in range(3):
                theirs = turn(x[b, h, t].tolist(), position, low, high)
                assert ours[b, h, t].tolist() == pytest.approx(theirs, abs=5e-4 if position > 1000 else 1e-5)


def test_rotary_frequencies_run_from_the_shortest_timescale_towards_the_longest() -> None:
    cos, sin = rotary_table(torch.tensor([1]), 8, 2.0, 32.0)
    angles = torch.atan2(sin, cos)[0, 4:].tolist()  # of the second half; the first has the sine's sign turned
    assert angles == pytest.approx([1 / 2, 1 / 4, 1 / 8, 1 / 16])  # 2 · (32 / 2)^(2i / 8)


@given(shift=st.integers(0, 500), a=st.integers(0, 20), b=st.integers(0, 20), seed=st.integers(0, 100))
@settings(max_examples=25, deadline=None)
def test_scores_depend_on_the_distance_of_positions_only(shift: int, a: int, b: int, seed: int) -> None:
    q, k = torch.randn(2, 1, 1, 1, 8, generator=torch.Generator().manual_seed(seed))

    def score(first: int, second: int) -> float:
        left = rotate(q, rotary_table(torch.tensor([first]), 8, 1.0, 10000.0))
        right = rotate(k, rotary_table(torch.tensor([second]), 8, 1.0, 10000.0))
        return float((left * right).sum())

    assert score(a + shift, b + shift) == pytest.approx(score(a, b), abs=2e-3)


# Norm, MLP, text


@pytest.mark.parametrize("eps", [0.0, 1e-6, 1e-2, 10.0])
def test_rms_norm_adds_eps_to_the_mean_square(eps: float) -> None:
    torch.manual_seed(0)
    norm = RMSNorm(12, eps)
    torch.nn.init.normal_(norm.weight)
    x = torch.randn(3, 5, 12) * torch.tensor([1e-2, 1.0, 100.0])[:, None, None]
    expected = rms_norm(x.double(), norm.weight.double(), eps)
    assert torch.allclose(norm(x).double(), expected, rtol=1e-5, atol=1e-6)


def test_every_rms_norm_has_the_eps_of_the_config() -> None:
    model = random_model(tiny_config({"model.normalization_layer_epsilon": 0.125}))
    norms = [module for module in model.modules() if isinstance(module, RMSNorm)]
    assert len(norms) == 2 * 4 + 1 + 2 * 4 + 1  # per layer two of the block, q and k; one final, in both stacks
    assert {norm.eps for norm in norms} == {0.125}


def test_every_activation_of_the_spec_is_known() -> None:
    assert set(ACTIVATION) == set(ACTIVATIONS)


@pytest.mark.parametrize("first", sorted(ACTIVATION))
@pytest.mark.parametrize("second", ["linear", "relu"])
def test_the_mlp_activates_both_halves_and_multiplies(first: str, second: str) -> None:
    torch.manual_seed(0)
    mlp = GatedMLP(6, 10, [first, second])
    x = torch.randn(4, 6)
    inner = x.double() @ mlp.wi.weight.double().T
    gate, up = inner[:, :10], inner[:, 10:]
    product = torch.tensor(
        [
            [ACTIVATION[first](g) * ACTIVATION[second](u) for g, u in zip(row, other, strict=True)]
            for row, other in zip(gate.tolist(), up.tolist(), strict=True)
        ]
    ).double()
    assert torch.allclose(mlp(x).double(), product @ mlp.wo.weight.double().T, atol=1e-6)


def test_gelu_is_the_exact_one() -> None:
    x = torch.linspace(-4, 4, 101)
    mlp = GatedMLP(1, 1, ["gelu", "linear"])
    with torch.no_grad():
        mlp.wi.weight.copy_(torch.tensor([[1.0], [0.0]]))
        gate = mlp.act0(x)
    exact = torch.tensor([0.5 * v * (1 + math.erf(v / math.sqrt(2))) for v in x.tolist()])
    tanh = torch.nn.functional.gelu(x, approximate="tanh")
    assert (gate - exact).abs().max() < 1e-6 < (gate - tanh).abs().max()


@pytest.mark.parametrize("width", [5, 8], ids=["low-rank", "full-width"])
def test_the_second_stream_counts_only_where_it_is_not_pad(width: int) -> None:
    torch.manual_seed(0)
    text = TextEmbedding(11, width, 8, pad=3)
    main, second = torch.tensor([[1, 3, 3, 5]]), torch.tensor([[2, 3, 4, 3]])
    table, first_proj, second_proj = text.embedding.weight, text.main_proj.weight, text.second_proj.weight
    out = text(main, second)
    assert out.shape == (1, 4, 8)
    for t, (a, b) in enumerate([(1, 2), (3, None), (3, 4), (5, None)]):  # a pad in the main stream does count
        expected = first_proj @ table[a] + (0 if b is None else second_proj @ table[b])
        assert torch.allclose(out[0, t], expected, atol=1e-6)


def test_a_second_pad_lets_no_gradient_and_no_nan_through() -> None:
    text = TextEmbedding(11, 5, 8, pad=3)
    backward(text(torch.tensor([1]), torch.tensor([3])).sum())
    assert text.second_proj.weight.grad is None or not text.second_proj.weight.grad.any()
    with torch.no_grad():
        text.embedding.weight[3] = math.nan
        assert text(torch.tensor([1]), torch.tensor([3])).isfinite().all()


@pytest.mark.parametrize(("low_rank", "width"), [(9, 9), (None, 20)])
def test_the_text_table_is_as_wide_as_the_config_says(low_rank: int | None, width: int) -> None:
    model = random_model(tiny_config({DECODER + "low_rank_dim": low_rank}))
    state = model.state_dict()
    assert state["transformer.text_embed.embedding.weight"].shape == (23, width)
    assert state["transformer.text_embed.main_proj.weight"].shape == (20, width)
    assert state["transformer.text_embed.second_proj.weight"].shape == (20, width)


@torch.no_grad()
def test_each_codebook_has_its_own_table() -> None:
    model = random_model(tiny_config(), seed=14)
    tokens = torch.full((1, 6, 1), 3)
    base = model.transformer.embed(tokens)
    for k, weight in enumerate(model.transformer.audio_embeds.weight):
        changed = tokens.clone()
        changed[0, 2 + k] = 5
        assert torch.allclose(model.transformer.embed(changed) - base, weight[5] - weight[3], atol=1e-5)


# Training


def test_without_a_cache_gradients_reach_every_weight() -> None:
    model, frames = random_model(tiny_config(), seed=15), 6
    tokens = random_tokens(model.config, 2, frames)
    out = model.transformer(tokens, rotation_at(model, list(range(frames))), mask=causal_mask(0, frames, CPU))
    backward(out.action_logits.square().sum() + out.cb0_logits.square().sum() + out.hidden.square().sum())
    for name, parameter in model.transformer.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 1e-6, name


def test_gradients_are_those_of_finite_differences() -> None:
    model, frames = random_model(tiny_config(), seed=16), 4
    tokens, rotation = random_tokens(model.config, 1, frames), rotation_at(model, list(range(frames)))
    weight: Tensor = model.get_parameter("transformer.layers.0.attn.qkv_proj.weight")
    direction = torch.randn(weight.shape, generator=torch.Generator().manual_seed(0))

    def loss() -> Tensor:
        out = model.transformer(tokens, rotation, mask=causal_mask(0, frames, CPU))
        value: Tensor = out.cb0_logits.double().square().mean()
        return value

    backward(loss())
    assert weight.grad is not None
    slope = float((weight.grad * direction).sum())
    step = 1e-3
    with torch.no_grad():
        weight += step * direction
        after = float(loss())
        weight -= 2 * step * direction
        before = float(loss())
    assert slope == pytest.approx((after - before) / (2 * step), rel=0.02)


@pytest.mark.parametrize("frames", [1, 3])
@torch.no_grad()
def test_a_state_dict_has_a_table_for_each_codebook_and_loads_them(frames: int) -> None:
    model, other = random_model(tiny_config(), seed=17), random_model(tiny_config(), seed=18)
    state = model.state_dict()
    names = [name for name in state if name.startswith("transformer.audio_embeds.")]
    assert names == [f"transformer.audio_embeds.{k}.weight" for k in range(4)]
    tokens = random_tokens(model.config, 2, frames)
    expected = model.transformer.text_embed(tokens[:, 0], tokens[:, 1])
    for k, name in enumerate(names):
        expected = expected + torch.nn.functional.embedding(tokens[:, 2 + k], state[name])
    assert not torch.allclose(other.transformer.embed(tokens), expected, atol=1e-3)
    other.load_state_dict(state)
    assert torch.allclose(other.transformer.embed(tokens), expected, atol=1e-5)
    state[names[2]].zero_()  # a view: what is copied into it is loaded
    assert not model.transformer.audio_embeds.weight[2].any()
