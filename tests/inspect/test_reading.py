"""Activations read by replay: they are what torch's own hooks find, in any file and in chunks of any size."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from pyarrow import parquet
from torch import Tensor

from dia2.adapter import activations as reading
from dia2.adapter import replay as replaying
from dia2.adapter.activation_file import written_file
from dia2.adapter.activations import Activations, activations, load_activations
from dia2.adapter.looking import Looker, sizes
from dia2.adapter.trace import Dia2Trace
from dia2.common.errors import UsageError
from dia2.common.hooks import HookPoint
from dia2.common.reading import readings
from dia2.core.acts import Write, Writes
from dia2.core.transformer import Block
from dia2.inspect import load
from dia2.runtime.activation_point import Point
from dia2.runtime.points import ACTIVATIONS

from ..analysis.runs import CHECKPOINT, steered
from ..support.dia import toy
from ..support.reference import engine
from ..support.traces import recorded_dia, recorded_quickly

CALLS = range(28, 45)  # the warm-up has 33


@pytest.fixture(scope="module")
def trace() -> Dia2Trace:
    return cast(Dia2Trace, load(recorded_quickly()))


@pytest.fixture(scope="module")
def replay(trace: Dia2Trace) -> Any:
    return trace.replay(engine("tiny3"), CALLS, attention=True, layers=True, points="act.*")


def test_reading_changes_no_number(trace: Dia2Trace, replay: Any) -> None:
    plain = trace.replay(engine("tiny3"), CALLS)
    for name in ("hidden", "action", "cb0", "dep", "probability", "rank"):
        assert torch.equal(getattr(plain, name).nan_to_num(), getattr(replay, name).nan_to_num())
    assert plain.acts == {}


def test_shapes_are_those_of_the_registry(trace: Dia2Trace, replay: Any) -> None:
    config = engine("tiny3").runtime.config
    wanted = readings("act.*", sizes(config, 2, max(CALLS) + 1), "dia2")
    assert list(replay.acts) == [found.name for found in wanted]
    assert len(wanted) == 2 + 8 * config.model.decoder.n_layer + 2 * config.model.depformer.n_layer
    assert all(replay.acts[found.name].shape == (len(CALLS), *found.shape) for found in wanted)
    assert all(values.dtype == torch.float32 for values in replay.acts.values())


def test_only_the_depformers_are_unknown_in_warm_up(trace: Dia2Trace, replay: Any) -> None:
    warm = [call < trace.warmup_calls for call in CALLS]
    for name, values in replay.acts.items():
        unknown = values.isnan().flatten(1).all(dim=1).tolist()
        assert unknown == (warm if name.startswith("act.dep") else [False] * len(CALLS))


def test_they_are_what_torchs_hooks_find(trace: Dia2Trace, replay: Any) -> None:
    model, seen = engine("tiny3").runtime.model, dict[str, Tensor]()

    def out(name: str, _: Any, __: Any, value: Tensor) -> None:
        seen[name] = value.transpose(0, 1)[CALLS.start :]

    def given(name: str, _: Any, values: tuple[Tensor, ...]) -> None:
        seen[name] = values[0].transpose(0, 1)[CALLS.start :]

    with ExitStack() as hooks:
        hooks.enter_context(model.transformer.layers[0].register_forward_pre_hook(partial(given, "act.embed")))
        hooks.enter_context(model.transformer.norm.register_forward_hook(partial(out, "act.hidden")))
        for number, block in enumerate(model.transformer.layers):
            assert isinstance(block, Block)
            name = f"act.{number}"
            hooks.enter_context(block.register_forward_hook(partial(out, f"{name}.resid")))
            hooks.enter_context(block.attn.register_forward_hook(partial(out, f"{name}.attn")))
            hooks.enter_context(block.attn.o_proj.register_forward_pre_hook(partial(given, f"{name}.heads")))
            hooks.enter_context(block.mlp.register_forward_hook(partial(out, f"{name}.mlp")))
        trace.replay(engine("tiny3"), [max(CALLS)])  # all calls up to it in one pass
    assert len(seen) == 2 + 4 * len(model.transformer.layers)
    for name, values in seen.items():
        assert torch.equal(replay.acts[name].flatten(2), values.flatten(2)), name


def test_the_stream_is_the_sum_of_its_parts(replay: Any) -> None:
    stream = replay.acts["act.embed"]
    for layer in range(len(engine("tiny3").runtime.model.transformer.layers)):
        stream = stream + replay.acts[f"act.{layer}.attn"] + replay.acts[f"act.{layer}.mlp"]
        torch.testing.assert_close(stream, replay.acts[f"act.{layer}.resid"], rtol=1e-5, atol=1e-5)


def test_patterns_are_the_softmax_of_queries_and_keys(trace: Dia2Trace, replay: Any) -> None:
    """Of all keys up to the call: in NumPy, head by head."""
    whole = activations(trace, engine("tiny3"), ["act.*.k", "act.*.q", "act.*.v", "act.*.heads"], range(max(CALLS) + 1))
    for layer in range(len(engine("tiny3").runtime.model.transformer.layers)):
        queries, keys, values = (whole[f"act.{layer}.{part}"].astype(np.float64) for part in "qkv")
        groups = queries.shape[2] // keys.shape[2]
        assert groups > 1
        for row, call in enumerate(CALLS):
            for branch in range(2):
                for head in range(queries.shape[2]):
                    scores = keys[: call + 1, branch, head // groups] @ queries[call, branch, head]
                    weights = np.exp(scores - scores.max())
                    weights /= weights.sum()
                    found = replay.acts[f"act.{layer}.pattern"][row, branch, head].numpy()
                    np.testing.assert_allclose(found[: call + 1], weights, atol=2e-6)
                    assert not found[call + 1 :].any()
                    mixed = weights @ values[: call + 1, branch, head // groups]
                    np.testing.assert_allclose(whole[f"act.{layer}.heads"][call, branch, head], mixed, atol=2e-5)


def test_stages_are_those_of_the_depformer(trace: Dia2Trace, replay: Any) -> None:
    model, main = engine("tiny3").runtime.model.depformer, [i for i, c in enumerate(CALLS) if c >= trace.warmup_calls]
    for layer, states in enumerate(replay.depformer_layers):
        assert torch.equal(replay.acts[f"act.dep.{layer}.resid"].nan_to_num(), states.nan_to_num())
    seen: list[Tensor] = []  # of the last layer, stage by stage
    last = cast(Any, model.layers[-1]).self_attention
    with ExitStack() as hooks:
        for linear in last.out_proj:
            hooks.enter_context(linear.register_forward_pre_hook(lambda _, given: seen.append(given[0])))
        trace.replay(engine("tiny3"), CALLS)
    heads = torch.stack(seen, dim=1) if len(seen) > 1 else seen[0]  # [n · B, K-1, heads · head_dim]
    found = replay.acts[f"act.dep.{len(model.layers) - 1}.heads"][main].flatten(3)
    assert torch.equal(found.flatten(0, 1), heads)


def test_what_is_written_is_seen() -> None:
    """And a look does not take a write's place."""
    transformer = engine("tiny3").runtime.model.transformer
    config, into = engine("tiny3").runtime.config, dict[str, Tensor]()
    looker, rows = Looker(readings("act.embed,act.hidden", sizes(config, 1, 3), "dia2")), torch.tensor([1])
    tokens = torch.ones(1, 2 + config.data.num_codebooks, 3, dtype=torch.int64)
    rotation = engine("tiny3").runtime.model.rotation(config.model.decoder.gqa_head_dim, 3, tokens.device)
    given = Writes(embed=Write(add=torch.full((1, 1, config.model.decoder.n_embd), 7.0)))
    with torch.no_grad(), looker.transformer(transformer.layers, rows, into, given) as writes:
        out = transformer(tokens, rotation, writes=writes)
    plain, steered = (transformer(tokens, rotation, writes=writes).hidden for writes in (None, given))
    torch.testing.assert_close(into["act.embed"][0], transformer.embed(tokens)[:, 1] + 7.0)
    assert torch.equal(into["act.hidden"][0], steered[:, 1])
    assert torch.equal(out.hidden, steered)
    assert not torch.equal(plain, steered)


def test_a_steered_run_is_read_as_it_was() -> None:
    """Or, from the same tokens, as it would have been."""
    (trace, added), tts = steered(), engine(CHECKPOINT)
    points = ["act.*.resid", "act.0.pattern", "act.dep.0.resid"]
    with_, without = (activations(trace, tts, points, edits=edits) for edits in (True, False))
    moved = torch.from_numpy(with_["act.1.resid"] - without["act.1.resid"])
    assert not moved[:9].any()
    torch.testing.assert_close(moved[9:], added.expand_as(moved[9:]), rtol=1e-4, atol=1e-4)
    assert np.array_equal(with_["act.0.resid"], without["act.0.resid"]), "it is layer 1 that is steered, the last"
    assert not np.array_equal(with_["act.dep.0.resid"], without["act.dep.0.resid"])
    replay = trace.replay(tts, points="act.1.resid", attention=True)
    assert np.array_equal(replay.acts["act.1.resid"].numpy(), with_["act.1.resid"])
    assert np.array_equal(replay.attention[0].numpy(), with_["act.0.pattern"])
    assert with_.read == replay.read != without.read


# Names


@pytest.mark.parametrize(("spec", "names"), [
    ("act.*.resid", ["act.0.resid", "act.1.resid"]),
    ("act.1.resid", ["act.1.resid"]),
    (["act.hidden", "act.embed"], ["act.embed", "act.hidden"]),
    ("act.1.heads, act.dep.*.heads", ["act.1.heads", "act.dep.0.heads", "act.dep.1.heads"]),
    ("act.[1-9].q", ["act.1.q"]),
    ("act.dep.1.*", ["act.dep.1.resid", "act.dep.1.heads"]),
    (lambda point: point.activation.alias == "hook_embed", ["act.embed"]),
])  # fmt: skip
def test_names_and_globs(spec: Any, names: list[str]) -> None:
    found = readings(spec, sizes(engine("tiny3").runtime.config, 2, 9), "dia2")
    assert [reading.name for reading in found] == names


@pytest.mark.parametrize(
    "spec", ["act.2.resid", "act.resid", "act.*.k.0", "logits.cb0", "act.0.resid,act.0.rest", "*.0"]
)
def test_an_unknown_point_says_what_there_is(trace: Dia2Trace, spec: str) -> None:
    told = r"there is act.embed, act.L.resid, .*act.dep.L.heads \(layers 0 … 1, depformer layers 0 … 1\)"
    for ask in (trace.replay, lambda tts, calls, points: activations(trace, tts, points, calls)):
        with pytest.raises(UsageError, match=told):
            ask(engine("tiny3"), CALLS, points=spec)


@pytest.mark.parametrize("spec", ["", [], lambda point: False])
def test_something_has_to_be_named(trace: Dia2Trace, spec: Any) -> None:
    with pytest.raises(UsageError):
        activations(trace, engine("tiny3"), spec, CALLS)


def test_a_model_without_activations_says_so() -> None:
    dia = load(recorded_dia())
    with pytest.raises(UsageError, match="have no points"):
        dia.replay(toy(), [0], points="act.*")
    with pytest.raises(UsageError, match="Runs of dia have no activations"):
        readings("act.*", {}, "dia")


def _names(point: HookPoint) -> Iterator[tuple[str, int | None]]:
    if "{l}" not in point.name:
        yield point.name, None
    for layer in (0, 7, 12):
        if "{l}" in point.name:
            yield point.name.replace("{l}", str(layer)), layer


def test_every_name_of_the_registry_is_a_point() -> None:
    found = [(Point.of(name), layer) for point in ACTIVATIONS for name, layer in _names(point)]
    assert len({point for point, _ in found}) == len(found)
    assert all(point.layer == layer for point, layer in found)
    for name in ("act.01.resid", "act.-1.resid", "act.embed.0", "act.0.keys", "act.dep.resid", "act.0.resid ", 3, None):
        with pytest.raises(UsageError, match=r"A point is act.embed, .* or act.dep.L.heads"):
            Point.of(name)


def test_only_some_can_be_edited() -> None:
    edited = {point.name for point in ACTIVATIONS if point.activation is not None and point.activation.edited}
    of_layers = {f"act.{{l}}.{part}" for part in ("resid", "attn", "mlp", "heads")}
    assert edited == {"act.embed", "act.hidden", *of_layers, "act.dep.{l}.resid", "act.dep.{l}.heads"}
    for point in ACTIVATIONS:
        name = point.name.replace("{l}", "1")
        if point.name in edited:
            assert Point.to_edit(name) == Point.of(name)
            continue
        with pytest.raises(
            UsageError, match=rf"{name} can be read and not changed.*act.dep.L.resid or act.dep.L.heads"
        ):
            Point.to_edit(name)


# Files and chunks


def same(found: Activations, replay: Any) -> bool:
    assert found.points == list(replay.acts)
    return all(np.array_equal(found[name], replay.acts[name].numpy(), equal_nan=True) for name in found.points)


def test_a_file_holds_the_same(trace: Dia2Trace, replay: Any, tmp_path: Path) -> None:
    path = tmp_path / "acts.safetensors"
    done: list[tuple[int, int]] = []
    found = activations(trace, engine("tiny3"), "act.*", CALLS, into=path, progress=lambda *now: done.append(now))
    assert isinstance(found["act.embed"], np.memmap)
    assert same(found, replay)
    assert found.calls.tolist() == list(CALLS)
    assert (found.read, done) == (replay.read, [(45, 45)])
    again = load_activations(path)
    assert (again.checkpoint, again.read) == (found.checkpoint, found.read)
    assert same(again, replay)
    assert same(activations(trace, engine("tiny3"), "act.*", [*reversed(CALLS), 30]), replay)  # sorted, each once


def test_a_table_holds_the_same(trace: Dia2Trace, replay: Any, tmp_path: Path) -> None:
    activations(trace, engine("tiny3"), ["act.1.heads", "act.hidden"], CALLS, into=tmp_path / "acts.parquet")
    table = parquet.read_table(tmp_path / "acts.parquet")
    assert table["call"].to_pylist() == [call for call in CALLS for _ in range(2)]
    assert table["branch"].to_pylist() == [0, 1] * len(CALLS)
    for name in ("act.1.heads", "act.hidden"):
        values = np.array(table[name].to_pylist(), np.float32).reshape(replay.acts[name].shape)
        assert np.array_equal(values, replay.acts[name].numpy())
    assert table.schema.metadata[b"act.1.heads.shape"] == b"[2, 20]"


@pytest.mark.parametrize("suffix", ["safetensors", "parquet"])
def test_no_more_than_a_chunk_is_held(
    trace: Dia2Trace, replay: Any, suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replaying, "CHUNK", 8)
    held: list[int] = []
    written = written_file

    def watched(*given: Any) -> Any:
        return _watched(written(*given), held)

    monkeypatch.setattr(reading, "written_file", watched)
    path = tmp_path / f"acts.{suffix}"
    activations(trace, engine("tiny3"), ["act.*.resid", "act.*.pattern", "act.dep.0.resid"], CALLS, into=path)
    assert held == [4, 8, 5]  # calls 28 … 31, 32 … 39, 40 … 44
    if suffix == "safetensors":
        found = load_activations(path)
        for name in found.points:
            np.testing.assert_allclose(found[name], replay.acts[name].numpy(), rtol=1e-5, atol=1e-4)


def test_passes_without_a_call_that_is_wanted_look_at_nothing(
    trace: Dia2Trace, replay: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the first of them where calls late in a long run are asked for."""
    monkeypatch.setattr(replaying, "CHUNK", 8)
    found = trace.replay(engine("tiny3"), [40, 41], attention=True, layers=True, points="act.*")
    for ours, whole in zip(found.attention, replay.attention, strict=True):
        np.testing.assert_allclose(ours, whole[[12, 13], :, :, :42], atol=1e-5)
    assert len(found.acts) == len(replay.acts)


class _watched:  # noqa: N801  # a context manager, as what it stands for
    def __init__(self, inside: Any, held: list[int]) -> None:
        self.inside, self.held = inside, held

    def __enter__(self) -> Callable[..., None]:
        sink = self.inside.__enter__()

        def counted(first: int, values: Any) -> None:
            self.held.append(len(next(iter(values.values()))))
            sink(first, values)

        return counted

    def __exit__(self, *error: Any) -> Any:
        return self.inside.__exit__(*error)


@pytest.mark.parametrize("suffix", ["safetensors", "parquet"])
def test_what_is_interrupted_leaves_what_was_there(
    trace: Dia2Trace, suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replaying, "CHUNK", 8)
    path = tmp_path / f"acts.{suffix}"
    path.write_text("before")

    def stop(done: int, _: int) -> None:
        if done == 40:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        activations(trace, engine("tiny3"), "act.*.resid", CALLS, into=path, progress=stop)
    assert path.read_text() == "before"
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_what_cannot_be_written_or_read_is_told(trace: Dia2Trace, tmp_path: Path) -> None:
    tts = engine("tiny3")
    with pytest.raises(UsageError, match=r"written as .safetensors or .parquet"):
        activations(trace, tts, "act.embed", CALLS, into=tmp_path / "acts.npz")
    with pytest.raises(UsageError, match="does not exist"):
        activations(trace, tts, "act.embed", CALLS, into=tmp_path / "there" / "acts.safetensors")
    (tmp_path / "text.safetensors").write_text("text")
    for path in (
        tmp_path / "text.safetensors",
        tmp_path / "none.safetensors",
        Path("dia2/runtime/nano/model.safetensors"),
    ):
        with pytest.raises(UsageError, match="holds no activations"):
            load_activations(path)
    with pytest.raises(UsageError, match=r"act.0.q' was not read here, only act.embed"):
        activations(trace, tts, "act.embed", CALLS)["act.0.q"]


def test_more_than_memory_is_refused_and_a_file_is_not(trace: Dia2Trace, monkeypatch: pytest.MonkeyPatch) -> None:
    from dia2.inspect.trace import replaying as common

    monkeypatch.setattr(common, "MOST", 1000)
    with pytest.raises(UsageError, match="into='FILE'"):
        activations(trace, engine("tiny3"), "act.embed", CALLS)
    with pytest.raises(UsageError, match="ask for fewer calls"):
        trace.replay(engine("tiny3"), [40], points="act.*")
