"""Autoencoders: their files, what they do to an activation, and what their features tell."""

from __future__ import annotations

import base64
import io
import subprocess
import sys
import wave
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from dia2.adapter.activations import checkpoint_of
from dia2.analysis import Features, Sae, feature_scores, feature_table, labels_of
from dia2.common.errors import UsageError
from training.sae import SaeRecipe, _revival, train, train_on

from ..support.reference import engine
from .runs import CHECKPOINT, runs

RECIPE = SaeRecipe(features=24, k=3, steps=400, batch=128, seed=1)


def sparse(count: int = 3000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Activations [n, 16] that are sums of three of twelve directions [12, 16]."""
    rng = np.random.default_rng(seed)
    directions = rng.normal(size=(12, 16))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    codes = np.zeros((count, 12))
    for row in codes:
        row[rng.choice(12, 3, replace=False)] = rng.uniform(1, 3, 3)
    return (codes @ directions + 0.5).astype(np.float32), directions


def random_sae(seed: int = 3) -> Sae:
    generator = torch.Generator().manual_seed(seed)

    def noise(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    return Sae(noise(8, 20), noise(20), noise(20, 8), noise(8), k=4, point="act.0.resid", checkpoint="abc")


def test_the_largest_stay_and_none_is_below_zero() -> None:
    sae, x = replace(random_sae(), k=15), np.random.default_rng(1).normal(size=(50, 8)).astype(np.float32)
    found = sae.encode(x)
    before = (x - sae.b_dec.numpy()) @ sae.W_enc.numpy() + sae.b_enc.numpy()
    for row, all_ in zip(found, before, strict=True):
        best = np.argsort(-all_)[:15]
        expected = np.zeros(20, np.float32)
        expected[best] = np.maximum(all_[best], 0)
        np.testing.assert_allclose(row, expected, atol=1e-5)
    np.testing.assert_allclose(sae.decode(found), found @ sae.W_dec.numpy() + sae.b_dec.numpy(), atol=1e-5)
    left = x - sae.decode(found)
    assert sae.unexplained(x) == pytest.approx((left**2).sum() / ((x - x.mean(axis=0)) ** 2).sum(), rel=1e-4)
    assert torch.equal(sae.direction(5).tensor, sae.W_dec[5])


def test_a_file_gives_it_back(tmp_path: Path) -> None:
    sae = random_sae()
    sae.save(tmp_path / "sae.safetensors")
    again = Sae.load(tmp_path / "sae.safetensors")
    assert all(torch.equal(getattr(again, n), getattr(sae, n)) for n in ("W_enc", "b_enc", "W_dec", "b_dec"))
    assert (again.k, again.point, again.checkpoint) == (4, "act.0.resid", "abc")


def test_a_file_of_saelens_loads(tmp_path: Path) -> None:
    """It has the same tensors, and says k in another file."""
    sae, path = random_sae(), tmp_path / "sae_weights.safetensors"
    save_file({name: getattr(sae, name) for name in ("W_enc", "b_enc", "W_dec", "b_dec")}, path)
    with pytest.raises(UsageError, match=r"stay is not known: give k=, 1 … 20"):
        Sae.load(path)
    again = Sae.load(path, k=4, point="act.2.resid")
    x = np.random.default_rng(1).normal(size=(9, 8))
    assert np.array_equal(again.encode(x), sae.encode(x))
    assert again.point == "act.2.resid"


@pytest.mark.parametrize("wrong", ["missing", "text", "no decoder", "shapes", "k"])
def test_what_is_no_autoencoder_is_refused(wrong: str, tmp_path: Path) -> None:
    path, sae = tmp_path / "sae.safetensors", random_sae()
    tensors = {name: getattr(sae, name) for name in ("W_enc", "b_enc", "W_dec", "b_dec")}
    if wrong == "text":
        path.write_text("text")
    if wrong == "no decoder":
        save_file({"W_enc": sae.W_enc}, path)
    if wrong == "shapes":
        save_file(tensors | {"W_dec": sae.W_enc.clone()}, path)
    if wrong == "k":
        save_file(tensors, path, {"k": "99"})
    with pytest.raises(UsageError, match=r"no autoencoder|not known"):
        Sae.load(path)
    with pytest.raises(UsageError, match=r"takes activations \[n, 8\], not \[3, 7\]"):
        sae.encode(np.zeros((3, 7)))
    with pytest.raises(UsageError, match="no feature 20"):
        sae.direction(20)


# Training


def test_training_finds_the_directions_that_are_there() -> None:
    values, directions = sparse()
    done: list[tuple[int, float]] = []
    sae = train(values, replace(RECIPE, steps=1500), lambda *now: done.append(now))
    unseen = sparse(3500)[0][3000:]
    assert sae.unexplained(unseen) < 0.1
    alike = np.abs(directions @ sae.W_dec.numpy().T).max(axis=1)
    assert (alike > 0.9).sum() >= 10
    assert sae.W_dec.norm(dim=1).numpy() == pytest.approx(1.0, abs=1e-4)
    assert [step for step, _ in done] == list(range(100, 1501, 100))
    assert done[-1][1] < done[0][1] / 2


def test_one_seed_gives_one_autoencoder() -> None:
    values, _ = sparse(500)
    first, again, other = (train(values, replace(RECIPE, steps=50, seed=seed)) for seed in (1, 1, 2))
    assert torch.equal(first.W_enc, again.W_enc)
    assert not torch.equal(first.W_enc, other.W_enc)


def test_dead_features_are_fitted_to_what_the_others_leave() -> None:
    sae, generator = random_sae(), torch.Generator().manual_seed(4)
    x = torch.randn(30, 8, generator=generator)
    dead = torch.zeros(20, dtype=torch.bool)
    assert float(_revival(sae, x, x, dead)) == 0.0
    dead[[2, 7]] = True
    weights = [sae.W_dec.requires_grad_(), sae.W_enc.requires_grad_()]
    slopes = torch.autograd.grad(_revival(sae, x, x, dead), weights)
    assert slopes[0].abs().sum(dim=1).nonzero().flatten().tolist() == [2, 7]
    assert slopes[1].abs().sum(dim=0).nonzero().flatten().tolist() == [2, 7]
    pre = ((x - sae.b_dec) @ sae.W_enc + sae.b_enc)[:, [2, 7]].relu()
    expected = (x - pre @ sae.W_dec[[2, 7]]).square().mean()
    assert float(_revival(sae, x, x, dead).detach()) == pytest.approx(float(expected.detach()), rel=1e-5)


@pytest.fixture(scope="module")
def trained() -> Sae:
    return train_on(runs()[:6], engine(CHECKPOINT), "act.1.resid", RECIPE)


def test_it_says_what_it_was_trained_on(trained: Sae) -> None:
    assert (trained.point, trained.checkpoint) == ("act.1.resid", checkpoint_of(engine(CHECKPOINT).runtime))


def test_the_recipe_is_a_command(tmp_path: Path) -> None:
    from dia2.inspect import sample

    out = tmp_path / "sae.safetensors"
    command = [sys.executable, "-m", "training.sae", str(out), "--trace", str(sample().path), "--point", "act.1.resid"]
    options = ["--features", "32", "--k", "4", "--steps", "100"]
    run = subprocess.run([*command, *options], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == str(out)
    assert "step 100" in run.stdout
    assert Sae.load(out).point == "act.1.resid"
    wrong = subprocess.run([*command, *options, "--point", "act.x"], capture_output=True, text=True)
    assert wrong.returncode == 1
    assert "No activation is called 'act.x'" in wrong.stderr


# What its features tell


def test_features_are_found_where_they_fire(trained: Sae) -> None:
    tts = engine(CHECKPOINT)
    found = feature_table(trained, runs(), tts, top=3)
    codes = [trained.encode(t.replay(tts, points="act.1.resid").acts["act.1.resid"][:, 0]) for t in runs()]
    whole = np.concatenate(codes)
    assert found.calls == len(whole)
    np.testing.assert_allclose(found.frequency, (whole > 0).mean(axis=0))
    fired = int(np.argmax(found.frequency))
    assert found.mean[fired] == pytest.approx(whole[whole[:, fired] > 0, fired].mean(), rel=1e-4)
    for feature, moments in enumerate(found.top):
        assert [moment.value for moment in moments] == sorted((m.value for m in moments), reverse=True)
        assert len(moments) <= 3
        if moments:
            assert moments[0].value == pytest.approx(float(whole[:, feature].max()), rel=1e-4)
        for moment in moments:
            assert moment.value == pytest.approx(float(codes[moment.run][moment.call, feature]), rel=1e-3)
            said = labels_of(runs()[moment.run])
            number = int(said.word[moment.call])
            assert moment.word == (said.words[number].text if number >= 0 else "")
        words = [(m.run, int(labels_of(runs()[m.run]).word[m.call])) for m in moments]
        assert len({word for word in words if word[1] >= 0}) == len([word for word in words if word[1] >= 0])


def test_a_moment_can_be_played(trained: Sae) -> None:
    found = feature_table(trained, runs(), engine(CHECKPOINT), top=2)
    moment = next(m for moments in found.top for m in moments if 12 < m.call < 30)
    trace = runs()[moment.run]
    sound, rate = moment.play(runs(), 0.1)
    frame = int(trace.steps[moment.call]) + 1 - trace.model.delays[0] - trace.crop
    assert trace.audio is not None
    middle = (frame + 0.5) / trace.model.frame_rate
    assert np.array_equal(sound, trace.audio[0][round((middle - 0.1) * rate) : round((middle + 0.1) * rate)])
    assert len(sound) == pytest.approx(0.2 * rate, abs=1)


@pytest.fixture(scope="module")
def table(trained: Sae) -> Features:
    """With a label whose value is no plain text."""

    def given(trace: Any) -> Any:
        return labels_of(trace, given={"kind": np.where(np.arange(len(trace)) % 3 == 0, "<b>&third", "")})

    return feature_table(trained, runs(), engine(CHECKPOINT), top=3, labels=given)


class TestDashboard:
    def test_values_are_counted_and_labels_told(self, trained: Sae, table: Features) -> None:
        tts = engine(CHECKPOINT)
        codes = np.concatenate(
            [trained.encode(t.replay(tts, points="act.1.resid").acts["act.1.resid"][:, 0]) for t in runs()]
        )
        speaker = np.concatenate([labels_of(trace).speaker for trace in runs()])
        feature = int(table.frequency.argmax())
        assert (table.histogram.sum(axis=1) == (codes > 0).sum(axis=0)).all()
        counts, _ = np.histogram(codes[codes[:, feature] > 0, feature], bins=20, range=(0, table.largest[feature]))
        assert np.abs(np.cumsum(table.histogram[feature]) - np.cumsum(counts)).max() <= 2  # values at an edge
        told = next(one for one in table.told if (one.label, one.value) == ("speaker", 2))
        fires, is_it = codes[speaker > 0, feature] > 0, speaker[speaker > 0] == 2
        assert told.precision[feature] == pytest.approx((fires & is_it).sum() / fires.sum())
        assert told.recall[feature] == pytest.approx((fires & is_it).sum() / is_it.sum())
        assert told.share == pytest.approx(is_it.mean())
        assert told.calls == len(is_it)

    def test_a_page_plays_and_says_what_the_feature_does(self, table: Features, tmp_path: Path) -> None:
        feature = int(table.frequency.argmax())
        board = table.dashboard(feature, runs())
        moments = table.top[feature]
        assert board.html.count("<audio") == len(moments) == 3
        first = board.html.split('src="data:audio/wav;base64,')[1].split('"')[0]
        with wave.open(io.BytesIO(base64.b64decode(first))) as sound:
            heard = np.frombuffer(sound.readframes(sound.getnframes()), "<i2") / 32767
            samples, rate = moments[0].play(runs())
            assert (sound.getframerate(), sound.getnchannels()) == (rate, 1)
        np.testing.assert_allclose(heard, samples.clip(-1, 1), atol=1e-4)
        assert board.html.count("<rect") == int((table.histogram[feature] > 0).sum())
        assert "kind &lt;b&gt;&amp;third" in board.html
        assert "<b>&third" not in board.html
        assert "<script" not in board.html
        assert repr(board).startswith(f"<Dashboard of feature {feature}: above zero in")
        board.save(tmp_path / "board.html")
        assert board._repr_html_() in (tmp_path / "board.html").read_text(encoding="utf-8")

    def test_words_of_data_are_escaped(self, table: Features) -> None:
        feature = int(table.frequency.argmax())
        mean = replace(table.top[feature][0], word='"><script>', before="<i>", after="&amp;")
        board = replace(table, top=[[mean]] * len(table.top)).dashboard(feature, runs())
        assert "<script" not in board.html
        assert "<i>" not in board.html
        assert "&amp;amp;" in board.html

    def test_a_dead_feature_and_a_wrong_one(self, table: Features) -> None:
        dead = replace(table, top=[[]] * len(table.top), histogram=np.zeros_like(table.histogram))
        assert "it is dead in these runs" in dead.dashboard(0, runs()).html
        with pytest.raises(UsageError, match="There is no feature 999"):
            table.dashboard(999, runs())
        feature = next(i for i, moments in enumerate(table.top) if any(m.run for m in moments))
        with pytest.raises(UsageError, match="made of more than these 1 traces"):
            table.dashboard(feature, runs()[:1])


def test_the_best_feature_is_chosen_in_training_and_judged_elsewhere() -> None:
    """A label that is true exactly where feature 3 is above zero."""
    tts, width = engine(CHECKPOINT), engine(CHECKPOINT).runtime.config.model.decoder.n_embd
    noise = torch.Generator().manual_seed(2)
    encoder, decoder = (torch.randn(*shape, generator=noise) for shape in ((width, 5), (5, width)))
    always = torch.tensor([1e3, 0, 0, 0, 0])  # feature 0 fires in every call: all are recalled, and few rightly
    sae = Sae(encoder, always, decoder, torch.zeros(width), 2, "act.0.resid")

    def given(trace: Any) -> Any:
        codes = sae.encode(trace.replay(tts, points="act.0.resid").acts["act.0.resid"][:, 0])
        return labels_of(trace, given={"fires": np.where(codes[:, 3] > 0, "yes", "no")})

    yes = next(
        score
        for score in feature_scores(sae, "fires", runs()[:6], runs()[6:], tts, labels=given, least=1)
        if score.value == "yes"
    )
    assert (yes.feature, yes.precision, yes.recall, yes.f1) == (3, 1.0, 1.0, 1.0)
    share = yes.calls / sum(map(len, runs()[6:]))
    assert yes.always == pytest.approx(2 * share / (1 + share))


def test_speakers_are_told_by_counting(trained: Sae) -> None:
    tts = engine(CHECKPOINT)
    scores = feature_scores(trained, "speaker", runs()[:6], runs()[6:], tts, least=1)
    assert [score.value for score in scores] == [1, 2]
    for score in scores:
        right = fired = there = 0
        for trace in runs()[6:]:
            codes = trained.encode(trace.replay(tts, points="act.1.resid").acts["act.1.resid"][:, 0])
            speaker = labels_of(trace).speaker
            fires = (codes[:, score.feature] > 0)[speaker > 0]
            is_it = speaker[speaker > 0] == score.value
            right, fired, there = right + int((fires & is_it).sum()), fired + int(fires.sum()), there + int(is_it.sum())
        assert score.precision == pytest.approx(right / max(fired, 1))
        assert score.recall == pytest.approx(right / there)
        assert score.f1 == pytest.approx(2 * right / (fired + there))
        assert score.calls == there
    assert feature_scores(trained, "speaker", runs()[:6], runs()[6:], tts, least=10_000) == []


def test_what_does_not_go_together_is_refused(trained: Sae) -> None:
    tts = engine(CHECKPOINT)
    with pytest.raises(UsageError, match="trained on another checkpoint"):
        feature_table(replace(trained, checkpoint="other"), runs(), tts)
    with pytest.raises(UsageError, match="does not say what it was trained on"):
        feature_table(replace(trained, point=""), runs(), tts)
    with pytest.raises(UsageError, match="loudness is a number"):
        feature_scores(trained, "loudness", runs()[:6], runs()[6:], tts)
