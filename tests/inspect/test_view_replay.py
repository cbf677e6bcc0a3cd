"""A replay in the explorer: its numbers are those of the replay, bounded in bytes, and of this run alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dia.adapter.trace import DiaTrace
from dia2 import Dia2
from dia2.adapter.replay import Replay
from dia2.adapter.trace import Dia2Trace
from dia2.common.errors import UsageError
from dia2.inspect import load, record, sample
from dia2.inspect.schema.view_replay import as_bytes
from dia2.inspect.trace.replaying import digest
from dia2.inspect.views.explorer import replayed as room
from dia2.inspect.views.explorer.payload import payload
from dia2.inspect.views.explorer.widget import Explorer

from ..support.dia import toy
from ..support.node import FRONT_TESTS, node
from ..support.reference import local_files
from .test_console_trace import recorded
from .test_explorer import opened

CALLS = [3, 40, 12, 76, 12]  # in any order, one of them twice


@pytest.fixture(scope="module")
def trace() -> Dia2Trace:
    return sample()


@pytest.fixture(scope="module")
def replay(trace: Dia2Trace) -> Replay:
    found: Replay = trace.replay(Dia2.nano(), CALLS, attention=True)
    return found


@pytest.fixture(scope="module")
def dia(tmp_path_factory: pytest.TempPathFactory) -> DiaTrace:
    path = tmp_path_factory.mktemp("dia") / "run.dia2trace"
    with record(path):
        toy().speak(["[S1] Hi.", "[S1] No, [S2] no."], seed=1, max_tokens=40)
    return DiaTrace.load(path)


def seen(packed: bytes, folder: Path) -> dict[str, Any]:
    """What the front end makes of it."""
    file = folder / "replayed.view"
    file.write_bytes(packed)
    done = node(FRONT_TESTS / "replayed.js", file)
    assert done.returncode == 0, done.stdout
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def bound(weights: np.ndarray) -> np.ndarray:
    """By how much weights may be off, see `shades`."""
    found: np.ndarray = np.sqrt(weights) / 255 + 1 / 260_100 + 1e-6
    return found


def test_shades_are_as_fine_as_they_say() -> None:
    weights = np.linspace(0, 1, 100_001)
    assert (np.abs((as_bytes(weights) / 255.0) ** 2 - weights) <= bound(weights)).all()
    assert as_bytes(np.array([0.0, 1.0])).tolist() == [0, 255]


def test_the_page_has_the_numbers_of_the_replay(trace: Dia2Trace, replay: Replay, tmp_path: Path) -> None:
    found = seen(payload(trace, replay=replay), tmp_path)
    assert [told["call"] for told in found["told"]] == sorted(set(CALLS))
    assert found["missing"] == [call for call in range(len(trace)) if call not in CALLS]
    draws = [replay.action[:, 0], replay.cb0[:, 0], *(replay.dep[:, stage, 0] for stage in range(7))]
    for told in found["told"]:
        at, call = CALLS.index(told["call"]), told["call"]
        maps = np.stack([layer[at, 0].numpy() for layer in replay.attention])  # [layers, heads, slots]
        assert np.allclose(maps.sum(-1), 1, atol=1e-5)
        (shown,) = told["looks"]
        assert np.shape(shown) == (5, 4, call + 1)
        assert (np.abs(np.array(shown) - maps[..., : call + 1]) <= bound(maps[..., : call + 1])).all()
        mean = maps[0].mean(0)[: call + 1]
        assert np.abs(np.array(told["means"][0]) - mean).max() <= 1 / 255
        for logits, own in zip(told["logits"], draws, strict=True):
            exact = own[at].numpy().astype(np.float64)
            best = np.argsort(-exact, kind="stable")[: len(logits)]
            assert [each["token"] for each in logits] == best.tolist()
            assert np.allclose([each["logit"] for each in logits], exact[best], atol=2**-12)
            chance = np.exp(exact[best] - np.logaddexp.reduce(exact))
            assert np.allclose([each["chance"] for each in logits], chance, rtol=1e-3)


def test_all_logits_are_there_where_there_is_room(trace: Dia2Trace, replay: Replay, tmp_path: Path) -> None:
    packed = payload(trace, replay=replay)
    header, columns = opened(packed)
    assert columns["logit_ids"].shape == (4, 9, trace.model.audio_vocabulary)
    assert header["replay"]["left_out"] == ""
    assert [track["name"] for track in header["tracks"]].count("attention") == 1


@pytest.mark.parametrize(
    ("attention", "logits", "said", "calls", "heads", "best"),
    [
        (2000, 1 << 19, "single heads, of which each layer has the mean", 4, 1, 258),
        (150, 1 << 19, "2 calls of 4, the last ones; single heads, of which each layer has the mean", 2, 1, 258),
        (1 << 20, 4 * 9 * 20 * 4, "logits below the best 20 of each draw", 4, 4, 20),
        (1 << 20, 3 * 9 * 16 * 4, "1 call of 4, the last ones; logits below the best 16 of each draw", 3, 4, 16),
    ],
)
def test_what_there_is_no_room_for_is_said(
    trace: Dia2Trace,
    replay: Replay,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    attention: int,
    logits: int,
    said: str,
    calls: int,
    heads: int,
    best: int,
) -> None:
    monkeypatch.setattr(room, "ATTENTION_BYTES", attention)
    monkeypatch.setattr(room, "LOGITS_BYTES", logits)
    packed = payload(trace, replay=replay)
    header, columns = opened(packed)
    facts = header["replay"]
    assert facts["left_out"] == said
    assert columns["replay_calls"].tolist() == sorted(set(CALLS))[:calls]
    assert (facts["looks"][0]["heads"], columns["logit_ids"].shape[2]) == (heads, best)
    assert facts["looks"][0]["means"] == (heads == 1)
    assert columns["look_0"].nbytes <= attention
    assert columns["logit_ids"].nbytes + columns["logit_steps"].nbytes <= logits
    for told in seen(packed, tmp_path)["told"]:
        maps = np.stack([layer[CALLS.index(told["call"]), 0].numpy() for layer in replay.attention])
        mean = maps[0].mean(0)[: told["call"] + 1]
        assert np.abs(np.array(told["means"][0]) - mean).max() <= 1 / 255


def test_without_attention_there_are_logits(trace: Dia2Trace) -> None:
    header, columns = opened(payload(trace, replay=trace.replay(Dia2.nano(), [4])))
    assert header["replay"]["looks"] == []
    assert columns["logit_ids"].shape[0] == 1
    assert "attention" not in {track["name"] for track in header["tracks"]}


def test_a_page_without_a_replay_says_how_to_get_one(trace: Dia2Trace) -> None:
    header, columns = opened(payload(trace))
    assert "trace.replay(tts" in header["replay"]["how"]
    assert not {"replay_calls", "look_0", "logit_ids"} & set(columns)


def test_a_replay_of_another_run_is_refused(trace: Dia2Trace, replay: Replay, tmp_path: Path) -> None:
    path = tmp_path / "other.dia2trace"
    with record(path):
        Dia2.nano().generate("[S1] Hello there, how are you today?", seed=2)
    other = load(path)
    early = trace.replay(Dia2.nano(), [20], attention=True)  # both have such a call
    with pytest.raises(UsageError, match="This replay is of another run than"):
        other.to_html(tmp_path / "run.html", replay=replay)
    with pytest.raises(UsageError, match="of another run"):
        Explorer(other, replay=early, page=False)
    assert Explorer(trace, replay=early, page=False)
    with pytest.raises(UsageError, match="replay takes what"):
        trace.to_html(tmp_path / "run.html", replay=trace)
    with pytest.raises(UsageError, match="leave out replay, or other"):
        trace.to_html(tmp_path / "run.html", other=other, replay=replay)
    with pytest.raises(UsageError, match="leave out replay, or other"):
        trace.explore(other, replay=replay)
    assert not (tmp_path / "run.html").exists()


def test_the_notebook_shows_the_same(trace: Dia2Trace, replay: Replay) -> None:
    (view,) = trace.explore(replay=replay)._views
    assert view == payload(trace, replay=replay)


def test_without_the_voice_calls_that_read_it_are_left_out() -> None:
    trace = Dia2Trace(recorded())
    calls = [2, trace.warmup_calls, trace.warmup_calls + 3]
    replay = trace.replay(Dia2.from_local(**local_files("tiny8"), device="cpu", dtype="float32"), calls, attention=True)
    header, columns = opened(payload(trace, replay=replay))
    assert columns["replay_calls"].tolist() == calls
    assert (columns["logit_ids"][0, 2:] == -1).all()  # of a given call the depformer is not run
    assert (columns["logit_ids"][1] >= 0).any(-1).all()
    header, columns = opened(payload(trace, replay=replay, voice=False))
    assert columns["replay_calls"].tolist() == calls[1:]
    assert header["replay"]["left_out"] == "calls that read the recordings"


def test_of_dia_it_shows_rows_and_text_of_one_script(dia: DiaTrace, tmp_path: Path) -> None:
    calls = [0, 20, 33]
    replay = dia.replay(toy(), calls, scripts=[1], attention=True)
    packed = payload(dia, script=1, replay=replay)
    header, _ = opened(packed)
    rows, text = header["replay"]["looks"]
    assert (rows["over"], text["over"]) == ("calls", "text")
    assert "".join(text["labels"]) == "[S1] No, [S2] no."
    for place, told in enumerate(seen(packed, tmp_path)["told"]):
        for shown, maps in zip(told["looks"], (replay.self_attention, replay.cross_attention), strict=True):
            exact = np.stack([layer[place, 1].numpy() for layer in maps])[..., : np.shape(shown)[-1]]
            assert (np.abs(np.array(shown) - exact) <= bound(exact)).all()
        for channel, logits in enumerate(told["logits"]):
            if calls[place] < dia.prefill_calls:
                assert logits is None
                continue
            exact = replay.logits[place, 1, channel].numpy()
            assert [each["token"] for each in logits] == np.argsort(-exact, kind="stable")[: len(logits)].tolist()
    with pytest.raises(UsageError, match=r"lacks script 0: it has 1\. Make one with scripts=\[0\]"):
        payload(dia, script=0, replay=replay)


def test_of_dia_a_replay_is_of_the_text_and_the_checkpoint_too(tmp_path: Path) -> None:
    """The first row that is read is the same, whatever the encoder was given."""
    traces = []
    for text in ("[S1] Hi.", "[S1] No, I am longer."):
        with record(tmp_path / text[5:7]):
            toy().speak(text, seed=1, max_tokens=40)
        traces.append(DiaTrace.load(tmp_path / text[5:7]))
    one, other = traces
    assert (one.tokens[:1] == other.tokens[:1]).all()
    replay = one.replay(toy(), [0], attention=True)
    assert payload(one, replay=replay)
    with pytest.raises(UsageError, match="of another run"):
        payload(other, replay=replay)
    elsewhere = digest(dict.fromkeys(one.run.hashes, "other"), one.tokens[:1])
    with pytest.raises(UsageError, match="of another run"):
        payload(one, replay=replace(replay, read=elsewhere))


def test_of_dia_rows_that_are_given_have_no_logits(tmp_path: Path) -> None:
    prompt = torch.arange(6 * 9).reshape(6, 9)  # [T, C]
    with record(tmp_path / "run.dia2trace"):
        toy().speak("[S1] Hi. [S2] No.", audio_prompt=prompt, seed=1, max_tokens=40)
    trace = DiaTrace.load(tmp_path / "run.dia2trace")
    given = trace.prefill_calls
    assert given > 0
    replay = trace.replay(toy(), [given - 1, given], attention=True)
    _, columns = opened(payload(trace, replay=replay))
    assert (columns["logit_ids"][0] == -1).all()
    assert (columns["logit_ids"][1] >= 0).any(-1).all()
    _, columns = opened(payload(trace, replay=replay, voice=False))
    assert columns["replay_calls"].tolist() == [given]


def families() -> Iterator[Any]:
    from dia2.inspect.schema.adapter import adapters

    return iter(adapters().values())


def test_who_can_be_replayed_can_be_shown() -> None:
    assert all((adapter.replay is None) == (adapter.replayed is None) for adapter in families())
