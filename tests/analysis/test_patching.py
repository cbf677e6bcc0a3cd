"""Patching: what is put in is the clean run's, where and in what it says; nothing else changes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from dia2.analysis import activation_patching, exchange_word, exchanges, labels_of, pooled
from dia2.analysis import patching as module
from dia2.common.errors import UsageError
from dia2.core.cache import causal_mask

from ..support.reference import engine
from .runs import CHECKPOINT, runs, steered

JUDGED = range(14, 20)


def exchanged() -> np.ndarray:
    """The first run, which reads other tokens in calls 4 and 9."""
    tokens = runs()[0].step_tokens[:, 0].astype(np.int64)
    tokens[4, 0], tokens[9, 1], tokens[9, 3] = tokens[4, 0] + 1, tokens[9, 1] + 1, (tokens[9, 3] + 7) % 60
    return tokens


def by_hooks(point: str, call: int, head: int | None) -> float:
    """The metric of the exchanged run with one activation of the clean one, by torch's own hooks."""
    tts, trace, count = engine(CHECKPOINT), runs()[0], JUDGED.stop
    model, config = tts.runtime.model.transformer, tts.runtime.config.model.decoder
    _, layer, part = point.split(".")
    block: Any = model.layers[int(layer)]
    clean, kept = trace.step_tokens[:count, 0], list[Tensor]()
    rotation = tts.runtime.model.rotation(config.gqa_head_dim, count, torch.device("cpu"))

    def run(tokens: np.ndarray) -> Tensor:
        given = torch.from_numpy(tokens[:count].astype(np.int64)).T[None]
        logits: Tensor = model(given, rotation, mask=causal_mask(0, count, given.device)).cb0_logits[0]
        return logits

    def change(x: Tensor) -> Tensor:
        if not kept:
            kept.append(x.clone())
            return x
        x = x.clone()
        where = slice(None) if head is None else slice(head * config.gqa_head_dim, (head + 1) * config.gqa_head_dim)
        x[:, call, where] = kept[0][:, call, where]
        return x

    if part == "heads":
        hook = block.attn.o_proj.register_forward_pre_hook(lambda _, given: (change(given[0]),))
    else:
        target = {"resid": block, "attn": block.attn, "mlp": block.mlp}[part]
        hook = target.register_forward_hook(lambda _, __, out: change(out))
    with hook, torch.no_grad():
        run(clean)
        logits = run(exchanged())[list(JUDGED)]
    drawn = torch.from_numpy(trace.codes[list(JUDGED), 0]).long()
    return float(torch.nn.functional.cross_entropy(logits, drawn))


@pytest.mark.parametrize(("point", "head"), [
    ("act.0.resid", None), ("act.1.attn", None), ("act.0.mlp", None), ("act.1.heads", None), ("act.1.heads", 1),
])  # fmt: skip
def test_a_patch_is_what_a_hook_would_make(point: str, head: int | None) -> None:
    calls = [4, 9, 15]
    found = activation_patching(
        engine(CHECKPOINT), runs()[0], exchanged(), point, calls, calls=JUDGED, by_head=head is not None
    )
    row = found.rows.index(point if head is None else f"{point}[{head}]")
    expected = [by_hooks(point, call, head) for call in calls]
    np.testing.assert_allclose(found.metric[row], expected, rtol=1e-4)
    assert len({round(value, 5) for value in (*expected, found.corrupted)}) > 1, "they differ"


def test_all_of_the_embedding_gives_the_clean_run() -> None:
    found = activation_patching(
        engine(CHECKPOINT),
        runs()[0],
        exchanged(),
        ["act.embed", "act.hidden"],
        {"all": range(JUDGED.stop), "where they differ": [4, 9], "judged": list(JUDGED), "before": [0, 1, 2]},
        calls=JUDGED,
    )
    assert found.rows == ["act.embed", "act.hidden"]
    assert found.columns == ["all", "where they differ", "judged", "before"]
    embed, hidden = found.restored
    assert embed[:2] == pytest.approx([1.0, 1.0], abs=1e-4)
    assert hidden[[0, 2]] == pytest.approx([1.0, 1.0], abs=1e-4)
    assert (embed[3], hidden[3]) == pytest.approx((0.0, 0.0), abs=1e-4)
    assert found.clean != pytest.approx(found.corrupted)


def test_the_clean_metric_is_that_of_a_replay() -> None:
    trace, tts = runs()[0], engine(CHECKPOINT)
    found = activation_patching(tts, trace, exchanged(), "act.embed", [4], calls=JUDGED)
    replay = trace.replay(tts, JUDGED)
    drawn = torch.from_numpy(trace.codes[list(JUDGED), 0]).long()
    assert found.clean == pytest.approx(float(torch.nn.functional.cross_entropy(replay.cb0[:, 0], drawn)), rel=1e-4)
    assert found.calls == list(JUDGED)


def test_a_metric_of_the_callers() -> None:
    def gap(logits: Any) -> float:
        assert logits["cb0"].shape[0] == logits["action"].shape[0] == len(JUDGED)
        return float((logits["action"][:, 1] - logits["action"][:, 0]).mean())

    trace, tts = runs()[0], engine(CHECKPOINT)
    found = activation_patching(tts, trace, exchanged(), "act.embed", [4], gap, calls=JUDGED)
    action = trace.replay(tts, JUDGED).action[:, 0]
    assert found.clean == pytest.approx(float((action[:, 1] - action[:, 0]).mean()), rel=1e-3)
    with pytest.raises(UsageError, match="A metric gives a finite number, not nan"):
        activation_patching(tts, trace, exchanged(), "act.embed", [4], lambda _: float("nan"), calls=JUDGED)


def test_rows_side_by_side_are_each_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: tuple[Any, ...] = (engine(CHECKPOINT), runs()[0], exchanged(), ["act.*.heads", "act.0.resid"], range(3, 12))
    done: list[tuple[int, int]] = []
    together = activation_patching(*asked, calls=JUDGED, by_head=True, progress=lambda *now: done.append(now))
    monkeypatch.setattr(module, "_ROWS", 1)
    alone = activation_patching(*asked, calls=JUDGED, by_head=True)
    np.testing.assert_allclose(together.metric, alone.metric, rtol=1e-4)
    assert together.rows == alone.rows
    assert done[-1] == (alone.metric.size, alone.metric.size)
    assert not np.isnan(alone.metric).any()


def test_another_run_can_be_the_corrupted_one() -> None:
    """Both are forced to what they read, and the metric is of what the clean one drew."""
    first, second = runs()[0], runs()[3]
    found = activation_patching(engine(CHECKPOINT), first, second, "act.embed", {"all": range(20)}, calls=JUDGED)
    assert found.metric[0, 0] == pytest.approx(found.clean, rel=1e-4)
    assert found.corrupted > found.clean


@pytest.mark.parametrize(("given", "told"), [
    ({"points": "act.0.q"}, "can be read and not changed"),
    ({"points": []}, "Name the activations"),
    ({"positions": [20]}, r"no call 20 to patch before the last one that is judged, 19"),
    ({"positions": []}, "no position to patch"),
    ({"corrupted": np.zeros((20, 3), int)}, r"tokens of shape \[20 or more, "),
    ({"corrupted": "run"}, "The corrupted run is a trace"),
])  # fmt: skip
def test_what_cannot_be_patched_is_refused(given: dict[str, Any], told: str) -> None:
    asked: dict[str, Any] = {"corrupted": exchanged(), "points": "act.embed", "positions": [4]} | given
    with pytest.raises(UsageError, match=told):
        activation_patching(engine(CHECKPOINT), runs()[0], **asked, calls=JUDGED)


def test_a_steered_run_is_refused() -> None:
    trace, _ = steered()
    with pytest.raises(UsageError, match=r"has edits of activations, which would be left out"):
        activation_patching(engine(CHECKPOINT), trace, trace, "act.embed", [4])


def test_runs_that_do_not_differ_restore_nothing() -> None:
    trace = runs()[0]
    found = activation_patching(engine(CHECKPOINT), trace, trace, "act.embed", [4], calls=JUDGED)
    with pytest.raises(UsageError, match="nothing to take back"):
        _ = found.restored


# Another word


def test_a_word_is_exchanged_where_its_tokens_stand() -> None:
    trace, tts = runs()[0], engine(CHECKPOINT)
    word = next(word for word in trace.words if word.text == "three")
    for streams, columns in (("both", {0, 1}), ("main", {0}), ("second", {1})):
        tokens = exchange_word(trace, tts, word.index, "eight", streams=streams)  # type: ignore[arg-type]  # one of three
        new = tts.runtime.encode("eight")
        assert len(new) == len(word.tokens)
        calls, changed = np.nonzero(tokens != trace.step_tokens[:, 0])
        assert set(changed) <= columns
        assert all(old != other for old, other in zip(word.tokens, new, strict=True))
        for column in columns:
            here = calls[changed == column]
            assert trace.step_tokens[here, 0, column].tolist() == word.tokens
            assert tokens[here, column].tolist() == new


def test_only_words_of_equal_length_are_exchanged() -> None:
    trace, tts = runs()[0], engine(CHECKPOINT)
    with pytest.raises(UsageError, match=r"exchange words of equal length"):
        exchange_word(trace, tts, 1, "a very much longer word")
    with pytest.raises(UsageError, match=r"There is no word 77"):
        exchange_word(trace, tts, 77, "two")
    wrong: Any = "third"
    with pytest.raises(UsageError, match=r"both, main or second"):
        exchange_word(trace, tts, 1, "two", streams=wrong)


def test_exchanges_are_of_words_that_sound() -> None:
    tts = engine(CHECKPOINT)
    found = exchanges(runs()[:3], tts, 5, seed=2)
    assert 0 < len(found) <= 5
    for one in found:
        trace = runs()[one.run]
        word, said = trace.words[one.word], labels_of(trace)
        assert np.array_equal(one.tokens, exchange_word(trace, tts, one.word, one.text))
        assert one.text != word.text
        assert one.text in {other.text for run in runs()[:3] for other in run.words}
        differ = np.flatnonzero((one.tokens != trace.step_tokens[:, 0]).any(axis=1))
        assert one.slots == [call for call in differ if call <= one.drawn[-1]]
        assert word.step is not None
        assert [int(said.position[call]) for call in one.drawn] == [0, 1, 2][: len(one.drawn)]
        assert int(trace.steps[one.drawn[0]]) + 1 - trace.model.delays[0] == word.step - 2
        assert {said.words[int(said.word[call])].text for call in one.drawn} == {word.text}
    again, other = exchanges(runs()[:3], tts, 5, seed=2), exchanges(runs()[:3], tts, 5, seed=3)
    assert [(one.run, one.word, one.text) for one in again] == [(one.run, one.word, one.text) for one in found]
    assert [(one.run, one.word, one.text) for one in other] != [(one.run, one.word, one.text) for one in found]
    assert len(exchanges(runs()[:3], tts, 1)) == 1
    assert len(exchanges(runs()[:3], tts, 999)) < 20


def test_grids_of_several_pairs_are_one() -> None:
    tts = engine(CHECKPOINT)
    grids = [
        activation_patching(
            tts, runs()[one.run], one.tokens, ["act.embed", "act.0.resid"], {"slots": one.slots}, calls=one.drawn
        )
        for one in exchanges(runs(), tts, 6, seed=2)
    ]
    found = pooled(grids)
    taken = sum(grid.corrupted - grid.metric for grid in grids)
    np.testing.assert_allclose(found.restored, taken / sum(grid.corrupted - grid.clean for grid in grids))
    assert found.restored[0, 0] == pytest.approx(1.0, abs=1e-3)
    assert (found.rows, found.columns, found.pairs) == (["act.embed", "act.0.resid"], ["slots"], len(grids))
    assert found.clean == pytest.approx(np.mean([grid.clean for grid in grids]))
    assert np.array_equal(pooled(grids, seed=0).low, found.low)
    one = pooled(grids[:1])
    np.testing.assert_allclose(one.low, grids[0].restored)
    with pytest.raises(UsageError, match="same points and positions"):
        pooled([grids[0], replace(grids[1], columns=["other"])])
    with pytest.raises(UsageError, match="same points and positions"):
        pooled([])
    with pytest.raises(UsageError, match="nothing to take back"):
        pooled([replace(grids[0], corrupted=grids[0].clean)])


def test_the_tag_of_a_word_stays() -> None:
    trace, tts = runs()[0], engine(CHECKPOINT)
    word = next(word for word in trace.words if word.speaker == 2)
    tag = len(word.tokens) - len(tts.runtime.encode(word.text))
    assert tag > 0
    assert np.array_equal(exchange_word(trace, tts, word.index, word.text), trace.step_tokens[:, 0])
    tokens = exchange_word(trace, tts, word.index, "five")
    calls, columns = np.nonzero(tokens != trace.step_tokens[:, 0])
    assert len(calls)
    assert not {int(trace.step_tokens[call, 0, column]) for call, column in zip(calls, columns, strict=True)} & {
        *word.tokens[:tag]
    }
