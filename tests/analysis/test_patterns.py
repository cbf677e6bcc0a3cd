"""Attention by slot with its words, and heads that look at a word beside what distance alone would give."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dia2.adapter.pictures import placed_words, spoken_slots
from dia2.adapter.trace import Dia2Trace
from dia2.analysis import HeadTable, attention_pattern, head_table, labels_of
from dia2.common.errors import UsageError

from ..support.reference import engine
from .runs import CHECKPOINT, runs


def test_weights_are_those_of_a_replay_and_words_stand_beside() -> None:
    trace, tts, calls = runs()[0], engine(CHECKPOINT), range(10, 24)
    found = attention_pattern(trace, tts, 1, calls)
    replay = trace.replay(tts, calls, attention=True)
    assert np.array_equal(found.weights, replay.attention[1][:, 0].numpy())
    assert found.weights.sum(axis=-1) == pytest.approx(1.0, abs=1e-5)
    for word in placed_words(trace, 24):
        assert all(found.slot_words[slot] == word.text for slot in word.slots if slot < 24)
        assert all(found.slot_speakers[slot] == word.speaker for slot in word.slots if slot < 24)
    assert sum(map(bool, found.slot_words)) == sum(len([s for s in w.slots if s < 24]) for w in placed_words(trace, 24))
    assert [bool(speaker) for speaker in found.slot_speakers] == list(map(bool, found.slot_words))
    said = labels_of(trace)
    assert found.call_speakers == said.speaker[calls.start : calls.stop].tolist()
    assert found.call_words == [said.words[n].text if n >= 0 else "" for n in said.word[calls.start : calls.stop]]
    assert {word.text for word in found.words} == set(found.call_words) - {""}


def test_a_layer_that_is_not_there_is_refused() -> None:
    with pytest.raises(UsageError, match=r"No activation is called 'act.9.pattern'"):
        attention_pattern(runs()[0], engine(CHECKPOINT), 9, [12])


def table_by_hand(traces: list[Dia2Trace]) -> tuple[np.ndarray, np.ndarray, int]:
    """Share on the word, and share by distance alone, in plain loops."""
    tts, rows = engine(CHECKPOINT), []
    for trace in traces:
        spoken = spoken_slots(trace, placed_words(trace, len(trace)))
        layers = [layer[:, 0].double().numpy() for layer in trace.replay(tts, attention=True).attention]
        rows += [
            (call, slots, np.stack([layer[call][:, : call + 1] for layer in layers]))
            for call, slots in enumerate(spoken)
            if slots
        ]
    on_word = np.mean([weights[:, :, slots].sum(axis=-1) for _, slots, weights in rows], axis=0)
    by_distance = []
    for call, slots, _ in rows:
        share = np.zeros(on_word.shape)
        for distance in (call - slot for slot in slots):
            share += np.mean([w[:, :, c - distance] for c, _, w in rows if c >= distance], axis=0)
        by_distance.append(share)
    return on_word, np.mean(by_distance, axis=0), len(rows)


def test_the_table_is_what_loops_find() -> None:
    found = head_table(runs()[:2], engine(CHECKPOINT))
    on_word, by_distance, calls = table_by_hand(runs()[:2])
    np.testing.assert_allclose(found.on_word, on_word, atol=1e-5)
    np.testing.assert_allclose(found.by_distance, by_distance, atol=1e-5)
    assert (found.calls, found.runs) == (calls, 2)
    assert (found.low <= found.excess + 1e-9).all()
    assert (found.high >= found.excess - 1e-9).all()


def test_one_seed_gives_one_interval() -> None:
    first, again, other = (head_table(runs(), engine(CHECKPOINT), seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first.low, again.low)
    assert not np.array_equal(first.low, other.low)


def test_a_head_that_looks_by_distance_has_no_excess(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that looks at the slot before, whatever stands there, and one that looks at the word."""
    import torch

    from dia2.adapter import looking

    trace = runs()[0]
    spoken = spoken_slots(trace, placed_words(trace, len(trace)))

    def weights(query: Any, key: Any, seen: Any) -> Any:
        found = torch.zeros(query.shape[0], query.shape[1], len(seen), seen.shape[1])
        for call in range(len(seen)):
            row = found[:, :, call]
            row[:, 0, max(call - 1, 0)] = 1.0
            row[:, 1, spoken[call][0] if spoken[call] else call] = 1.0
        return found

    monkeypatch.setattr(looking, "attention_weights", weights)
    monkeypatch.setattr("dia2.analysis.patterns.drawing_calls", lambda *_: None)
    calls = [call for call, slots in enumerate(spoken) if slots]
    monkeypatch.setattr("dia2.analysis.patterns.check_given", lambda *_: list(range(len(trace))))
    found = head_table(trace, engine(CHECKPOINT))
    assert found.on_word[:, 1] == pytest.approx(1.0)
    assert found.excess[:, 0] == pytest.approx(0.0, abs=1e-6)
    assert found.excess[:, 1].min() > 0.1
    assert {head for _, head in found.best(found.excess.shape[0])} == {1}
    assert found.calls == len(calls)


def test_the_best_come_first() -> None:
    excess = np.array([[0.1, 0.4], [0.3, -0.2]])
    found = HeadTable(excess, np.zeros_like(excess), excess, excess, 1, 1)
    assert found.best(3) == [(0, 1), (1, 0), (0, 0)]
