"""What the explorer says would have been drawn with other settings, beside what the samplers themselves draw."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from dia.adapter.trace import DiaTrace
from dia.sampling import choose, kept_logits
from dia2.adapter.draws import filtered as filtered_of
from dia2.adapter.draws import table_of
from dia2.adapter.trace import Dia2Trace
from dia2.adapter.view_draws import candidates_of, draw_header, sampling_header
from dia2.core.uniforms import uniform_table
from dia2.engine import Dia2
from dia2.generation import GenerationConfig, SamplingConfig
from dia2.inspect import record, sample
from dia2.inspect.record.draws import arrays, draw_columns
from dia2.inspect.schema.view import View
from dia2.inspect.schema.view_draws import drawn_columns, stored_candidates
from dia2.inspect.views.explorer.pack import pack
from dia2.inspect.views.explorer.payload import payload
from dia2.inspect.views.explorer.view import view_of
from dia2.runtime.edits import ForceAction, ReplaceToken
from dia2.runtime.guidance import special_codes
from dia2.runtime.sampler import draw as draw_token
from dia2.runtime.sampler import probabilities

from ..support.dia import toy
from ..support.node import FRONT_TESTS, node
from ..support.reference import engine

MODEL = sample().model  # nano's
SPECIALS = special_codes(MODEL.tokens, MODEL.audio_vocabulary)
NAMES = ("action", "cb0", "dep.3")
WIDTHS = {"action": MODEL.actions, "cb0": MODEL.audio_vocabulary, "dep.3": MODEL.codes}


@dataclass(frozen=True)
class Setting:
    """Of one draw."""

    temperature: float
    top_k: int
    cfg: float
    keep: int

    @property
    def config(self) -> GenerationConfig:
        sampling = SamplingConfig(self.temperature, self.top_k)
        return GenerationConfig(text=sampling, audio=sampling, cfg_scale=self.cfg, cfg_filter_k=self.keep)

    def told(self, width: int, guided: bool) -> dict[str, float]:
        """As the front end has it: a number of candidates beyond the `width` of the vocabulary is 0."""
        found = {"temperature": self.temperature, "top_k": self.top_k if self.top_k < width else 0}
        return found | ({"cfg": self.cfg, "keep": self.keep if self.keep < width else 0} if guided else {})


def some_setting(rng: np.random.Generator, near: Setting | None = None) -> Setting:
    """A setting; `near`: all but some of another one's values."""
    temperature = [0.0, 0.6, 0.8, 1.0, round(float(rng.uniform(0.05, 2)), 2), float(10 ** rng.uniform(-4, 1))]
    new = Setting(
        temperature[rng.integers(len(temperature))],
        [int(rng.integers(1, 17)), int(rng.integers(1, 201)), 0][rng.integers(3)],
        [1.0, 2.0, round(float(rng.uniform(1, 4)), 1), float(rng.uniform(1, 4))][rng.integers(4)],
        [int(rng.integers(1, 17)), int(rng.integers(1, 201)), 50, 0][rng.integers(4)],
    )
    if near is None:
        return new
    changed = rng.random(4) < 0.4
    changed[rng.integers(4)] = True
    values = zip(vars(near).items(), vars(new).values(), changed, strict=True)
    return Setting(**{name: other if change else own for (name, own), other, change in values})


def made_logits(rng: np.random.Generator, width: int) -> Tensor:
    """[2, width] as a model might give them, from flat to sure."""
    cond = rng.normal(0, rng.uniform(0.1, 6), width)
    uncond = cond + rng.normal(0, rng.uniform(0.05, 2), width)
    return torch.from_numpy(np.stack((cond, uncond)) + rng.uniform(-20, 20)).float()


def drawn(name: str, logits: Tensor, setting: Setting, uniform: float) -> int:
    kept = filtered_of(name, logits, setting.config, SPECIALS)
    return int(draw_token(kept, setting.temperature, setting.top_k, torch.tensor([uniform])))


def border(name: str, logits: Tensor, setting: Setting, rng: np.random.Generator) -> float:
    """A number within a few roundings of where one token's share of 0 … 1 ends and the next one's begins."""
    kept = filtered_of(name, logits, setting.config, SPECIALS)
    shares = np.unique(probabilities(kept, setting.temperature or 1.0, setting.top_k).cumsum(0).numpy())
    return float(rng.choice(shares)) + float(rng.normal(0, 3e-7))


def view_of_draws(name: str, level: str, logits: list[Tensor], settings: list[Setting], choices: list[int]) -> View:
    """A view of calls with one draw each, out of what a trace of a level has of them."""
    parts, sampling = [], []
    for call, (each, setting, choice) in enumerate(zip(logits, settings, choices, strict=True)):
        chosen = np.array([[choice]], np.int32)
        table = table_of(name, each[:, None, None], torch.from_numpy(chosen).long(), setting.config, SPECIALS)
        columns = arrays(draw_columns(table))
        if level == "full":
            shown = WIDTHS[name]
            found = candidates_of(each[None].numpy(), [(slice(None), setting.config)], name, MODEL, chosen[:, 0], shown)
        else:
            shown = 16
            stored = stored_candidates(columns, chosen, shown)
            assert stored is not None
            found = stored
        parts.append(drawn_columns(found, columns["draw.probability"], chosen, shown, MODEL.audio_vocabulary))
        sampling.append(sampling_header(call, setting.config))
    header = {
        "calls": len(parts), "given": {"calls": 0, "why": ""}, "sampling": sampling, "words": None,
        "grid": {"codebooks": 1}, "draws": [draw_header(name, MODEL)],
    }  # fmt: skip
    return View(header, {column: np.concatenate([part[column] for part in parts]) for column in parts[0]})


def asked(packed: bytes, draws: list[tuple[int, int, dict[str, float]]], folder: Path) -> list[dict[str, Any]]:
    """What the front end says of draws of a packed view, each with other settings."""
    (folder / "draws.view").write_bytes(packed)
    (folder / "asked.json").write_text(json.dumps(draws), encoding="utf-8")
    done = node(FRONT_TESTS / "again.js", folder / "draws.view", folder / "asked.json")
    assert done.returncode == 0, done.stdout
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def check(answer: dict[str, Any], token: int, case: object) -> str:
    """The kind of an answer, none of which may be wrong where the sampler draws `token`."""
    kind: str = answer["kind"]
    assert kind in ("token", "close", "beyond"), (case, answer)
    assert kind != "token" or answer["token"] == token, (case, answer)
    assert kind != "close" or token in answer["tokens"], (case, answer)
    return kind


def compare(
    name: str, level: str, logits: list[Tensor], rng: np.random.Generator, folder: Path, borders: bool = False
) -> Counter[str]:
    """How often each answer came; fails where a token is named that the sampler does not draw.

    Args:
        name: of the draw.
        level: of the trace that it is taken for.
        logits: [2, V] of each draw.
        rng: gives settings and uniforms.
        folder: to write to.
        borders: take uniforms next to where another token would be drawn.
    """
    count = len(logits)
    own = [some_setting(rng) for _ in range(count)]
    other = [some_setting(rng, near=setting) for setting in own]
    # Without guidance there is no slider for it.
    other = [replace(new, cfg=1.0) if one.cfg == 1 else new for new, one in zip(other, own, strict=True)]
    uniforms = uniform_table(int(rng.integers(2**63)), count, 1)
    if borders:
        near = [border(name, each, new, rng) for each, new in zip(logits, other, strict=True)]
        uniforms[:, 0] = np.clip(near, 2.0**-24, 1 - 2.0**-24)
    choices = [drawn(name, *each) for each in zip(logits, own, uniforms[:, 0].tolist(), strict=True)]
    wanted = [drawn(name, *each) for each in zip(logits, other, uniforms[:, 0].tolist(), strict=True)]
    view = view_of_draws(name, level, logits, own, choices)
    view.columns["draw_uniform"] = uniforms
    draws = [(i, 0, new.told(WIDTHS[name], one.cfg != 1)) for i, (new, one) in enumerate(zip(other, own, strict=True))]
    found: Counter[str] = Counter()
    for i, answer in enumerate(asked(pack(view), draws, folder)):
        kind = check(answer, wanted[i], (own[i], other[i], choices[i], wanted[i]))
        assert kind != "beyond" or level == "topk"
        found[kind] += 1
        found["changed"] += kind == "token" and wanted[i] != choices[i]
    return found


@pytest.mark.parametrize("level", ["topk", "full"])
@pytest.mark.parametrize("name", NAMES)
def test_no_other_token_is_named_than_the_sampler_draws(name: str, level: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(NAMES.index(name))
    found = compare(name, level, [made_logits(rng, WIDTHS[name]) for _ in range(300)], rng, tmp_path)
    assert found["changed"] > 10, "settings that change nothing show nothing"
    assert found["close"] < 10


@pytest.mark.parametrize("level", ["topk", "full"])
def test_on_a_border_it_cannot_be_told(level: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    found = compare("dep.3", level, [made_logits(rng, 256) for _ in range(200)], rng, tmp_path, borders=True)
    assert found["close"] > (60 if level == "full" else 20)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Dia2Trace:
    """A short run of a tiny checkpoint, with all logits."""
    path = tmp_path_factory.mktemp("run") / "run.dia2trace"
    with record(path, level="full"):
        engine("tiny8").generate("[S1] Hello there.", seed=5)
    return Dia2Trace.load(path)


@pytest.mark.parametrize("full", [True, False])
def test_a_run_of_dia2_is_drawn_again_with_its_own_chance(full: bool, run: Dia2Trace, tmp_path: Path) -> None:
    """End to end: settings, candidates and uniforms of a trace's payload, beside the run's own logits and seed."""
    rng, config = np.random.default_rng(3), run.run.config
    packed = payload(run) if full else pack(view_of(run, candidates=16))
    table = uniform_table(run.run.seed, len(run), 2 + run.model.codebooks)
    specials = special_codes(run.model.tokens, run.model.audio_vocabulary)
    draws, tokens = [], []
    for call in range(run.warmup_calls, len(run), 2):
        logits = run.logits(call)
        for i, one in enumerate([logits["action"], logits["cb0"], *logits["dep"]]):
            own = config.audio if i else config.text
            setting = Setting(own.temperature, own.top_k, config.cfg_scale, config.cfg_filter_k)
            new, width = some_setting(rng, near=setting), one.shape[-1]
            kept = filtered_of("cb0" if i == 1 else "other", torch.from_numpy(one.copy()), new.config, specials)
            uniform = torch.from_numpy(table[call, [i + (i > 0)]])
            draws.append((call, i, new.told(width, True)))
            tokens.append(int(draw_token(kept, new.temperature, new.top_k, uniform)))
    found = Counter(check(*each) for each in zip(asked(packed, draws, tmp_path), tokens, draws, strict=True))
    assert found["token"] > (0.9 if full else 0.1) * len(draws)
    assert found["beyond"] == 0 or not full


@pytest.mark.parametrize("full", [pytest.param(True, marks=pytest.mark.slow), False])
def test_a_run_of_dia_is_drawn_again_with_its_own_chance(full: bool, tmp_path: Path) -> None:
    """Likewise, with top-p, and an end that is drawn alone or not at all."""
    with record(tmp_path / "run.dia2trace", level="full"):
        toy().speak(["[S1] Hello there.", "[S2] Hi! How are you?"], seed=2, max_tokens=60, cfg_filter_top_k=9)
    trace, rng, script = DiaTrace.load(tmp_path / "run.dia2trace"), np.random.default_rng(4), 1
    packed = payload(trace, script=script) if full else pack(view_of(trace, script=script, candidates=16))
    config, eos = trace.run.config, trace.model.eos
    table = uniform_table(trace.run.seed + script, len(trace), trace.model.channels)
    draws, tokens = [], []
    for call in range(trace.prefill_calls, len(trace)):
        temperature = float(rng.choice([0, config.temperature, rng.uniform(0.3, 2)]))
        top_p = float(rng.choice([1, config.top_p, rng.uniform(0.1, 1)]))
        cfg = config.cfg_scale if rng.random() < 0.5 else float(rng.uniform(0, 4))
        keep = config.cfg_filter_top_k if rng.random() < 0.5 else int(rng.integers(1, 30))
        kept = kept_logits(torch.from_numpy(trace.logits(call)), cfg_scale=cfg, keep=keep, eos=eos)[script][None]
        again = choose(
            kept, torch.from_numpy(table[call])[None], temperature=temperature, top_p=top_p, top_k=keep, eos=eos
        )[0]
        told = {"temperature": temperature, "top_p": top_p, "cfg": cfg, "keep": keep}
        draws += [(call, channel, told) for channel in range(trace.model.channels)]
        tokens += again.tolist()
    found = Counter(check(*each) for each in zip(asked(packed, draws, tmp_path), tokens, draws, strict=True))
    assert found["token"] > (0.9 if full else 0.05) * len(draws)


def test_what_was_put_there_has_no_chance_of_its_own(run: Dia2Trace, tmp_path: Path) -> None:
    edits = [ReplaceToken(12, 3, codebook=2), ForceAction(13, "pad"), ReplaceToken(14, 5, stream="main")]
    run.fork(engine("tiny8"), 10, edits=edits, path=tmp_path / "fork.dia2trace")
    fork = Dia2Trace.load(tmp_path / "fork.dia2trace")
    uniforms = view_of(fork).columns["draw_uniform"]
    there = [[call, draw] for call, draw in np.argwhere(np.isnan(uniforms)).tolist() if call >= 10]
    assert there == [[12, 3], [13, 0]]
    assert np.isnan(uniforms[:10]).all()  # drawn by another run, whose seed this one need not have
    told = asked(payload(fork), [(12, 3, {"temperature": 1}), (9, 1, {"temperature": 1})], tmp_path)
    assert [answer["kind"] for answer in told] == ["put", "put"]


def test_a_model_that_does_not_say_how_it_draws_is_not_drawn_again(run: Dia2Trace, tmp_path: Path) -> None:
    view = view_of(run)
    for draw in view.header["draws"]:
        del draw["sampler"]
    assert asked(pack(view), [(12, 3, {"temperature": 1})], tmp_path) == [{"kind": "unknown"}]


def test_where_the_record_contradicts_itself_nothing_is_named(run: Dia2Trace, tmp_path: Path) -> None:
    view = view_of(run)
    first = view.columns["draw_uniform"][run.warmup_calls :]
    first[:] = np.roll(first, 1, axis=0)  # the chance of other calls
    calls, count = range(run.warmup_calls, len(run)), len(run.manifest.draws)
    draws = [(call, draw, {"temperature": 1.0}) for call in calls for draw in range(count)]
    kinds = Counter(answer["kind"] for answer in asked(pack(view), draws, tmp_path))
    assert kinds["contrary"] > 5


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Dia2Trace]:
    """Nano's own, with all logits."""
    folder, found = tmp_path_factory.mktemp("runs"), []
    for seed in range(3):
        with record(folder / f"{seed}.dia2trace", level="full"):
            Dia2.nano().generate("[S1] Hello there. How are you? [S2] Not too bad, thank you.", seed=seed)
        found.append(Dia2Trace.load(folder / f"{seed}.dia2trace"))
    return found


def real_logits(name: str, count: int, runs: list[Dia2Trace]) -> list[Tensor]:
    """`count` [2, V] of some runs, over and over."""
    found: list[Tensor] = []
    for trace in runs:
        for call in range(trace.warmup_calls, len(trace)):
            logits = trace.logits(call)
            parts = {"action": [logits["action"]], "cb0": [logits["cb0"]]}.get(name, list(logits["dep"]))
            found += [torch.from_numpy(part.copy()) for part in parts]
    return [found[i % len(found)] for i in range(count)]


@pytest.mark.slow
@pytest.mark.parametrize("level", ["topk", "full"])
def test_ten_thousand_draws(level: str, runs: list[Dia2Trace], tmp_path: Path) -> None:
    """Half with nano's own logits; about one in 300 is too close to tell."""
    found: Counter[str] = Counter()
    for i, (name, count) in enumerate({"action": 1000, "cb0": 4500, "dep.3": 4500}.items()):
        rng = np.random.default_rng([i, 7])
        made = [made_logits(rng, WIDTHS[name]) for _ in range(count // 2)]
        found += compare(name, level, made + real_logits(name, count - count // 2, runs), rng, tmp_path)
    assert found["token"] + found["close"] + found["beyond"] == 10_000
    assert found["changed"] > (1000 if level == "full" else 300)
    assert found["close"] < 100
