"""What the explorer is given of a run of Dia; how it looks and acts is for test_browser."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pytest
import torch

from dia import Dia
from dia.adapter.origins import ORIGINS
from dia.adapter.trace import DiaTrace
from dia.sampling import all_or_no_eos, kept_logits, probabilities
from dia2.common.errors import TraceError, UsageError
from dia2.inspect import load, record
from dia2.inspect.schema.view import View
from dia2.inspect.views.explorer import to_html
from dia2.inspect.views.explorer.payload import payload
from dia2.inspect.views.explorer.view import view_of

from ...support.dia import toy
from ..test_console_trace import HOSTILE
from ..test_console_trace import recorded as recorded_dia2
from ..test_explorer import opened

SCRIPTS = ["[S1] Hello there. [S2] Hi! How are you?", f"[S1] Fine. {HOSTILE}"]
PROMPT = torch.arange(10 * 9).reshape(10, 9) % 64  # [T, C] of the first script
ORIGIN = dict(zip(("unknown", "bos", "prompt", "drawn", "end", "eos", "pad", "after"), range(8), strict=True))


@cache
def recorded() -> Path:
    """A batch of two scripts, the first with a prompt; recorded once a process, never to be changed."""
    path = Path(mkdtemp(prefix="dia2-test-")) / "run.dia2trace"
    with record(path, level="full"):
        toy().speak(SCRIPTS, seed=1, max_tokens=120, audio_prompt=[PROMPT, None])
    return path


@pytest.fixture(scope="module")
def trace() -> DiaTrace:
    found = DiaTrace.load(recorded())
    assert isinstance(found, DiaTrace)
    return found


@pytest.fixture(scope="module", params=[0, 1])
def script(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(scope="module")
def view(trace: DiaTrace, script: int) -> View:
    return view_of(trace, script=script)


def test_columns_are_those_of_the_trace(trace: DiaTrace, script: int, view: View) -> None:
    columns = view.columns
    np.testing.assert_array_equal(columns["countdown"], trace.countdown[:, script])
    np.testing.assert_array_equal(columns["drawn"], trace.drawn[:, script])
    np.testing.assert_array_equal(columns["grid"], trace.grid(script))
    np.testing.assert_array_equal(np.stack((columns["kv_self"], columns["kv_cross"]), axis=1), trace.kv_lengths)
    assert len(set(columns["kv_cross"].tolist())) == 1
    assert columns["kv_self"].tolist() == list(range(1, len(trace) + 1))


def test_the_header_counts_as_the_trace_does(trace: DiaTrace, script: int, view: View) -> None:
    """The row that a call writes, and its second, by the header's numbers alone, as the front end has them."""
    clock, grid = view.header["clock"], view.header["grid"]
    rate, lengths = trace.model.frame_rate, trace.result.lengths
    assert rate is not None
    assert lengths is not None
    assert view.header["calls"] == len(trace)
    assert view.header["given"]["calls"] == int((trace.phase == 0).sum())
    for call in range(len(trace)):
        if trace.phase[call]:
            np.testing.assert_array_equal(view.columns["grid"][call + grid["ahead"]], trace.written[call, script])
        np.testing.assert_array_equal(view.columns["grid"][call + grid["at"]], trace.tokens[call, script])
        second = (call + 1 - trace.run.prefill_steps[script]) / rate
        assert (call - clock["zero"]) / clock["rate"] == second
    assert grid["frames"] == lengths[script]
    assert view.header["seconds"] == lengths[script] / rate


def test_a_frame_of_the_codes_stands_along_the_delays(trace: DiaTrace, script: int, view: View) -> None:
    grid, codes = view.header["grid"], trace.codes(script)
    for channel, delay in enumerate(grid["delays"]):
        rows = grid["first"] + delay + np.arange(len(codes))
        np.testing.assert_array_equal(view.columns["grid"][rows, channel], codes[:, channel])


def test_one_row_is_lit_at_every_call(trace: DiaTrace, script: int, view: View) -> None:
    lit = {row["number"]: row["lit"] for row in view.header["rows"]}
    assert {number for number, stretches in lit.items() if stretches} == {8, 10}  # the other script has no prompt
    ended = trace.ended_at(script)
    assert ended is not None
    for call in range(len(trace)):
        (number,) = [n for n, stretches in lit.items() if any(start <= call < end for start, end in stretches)]
        forced = ended - 1 <= call < ended - 1 + trace.model.max_delay
        assert number == (10 if forced else 8)


def test_prefill_is_a_row_of_its_own(tmp_path: Path) -> None:
    toy().speak(SCRIPTS[0], seed=1, max_tokens=40, audio_prompt=PROMPT, trace=tmp_path / "run.dia2trace")
    view = view_of(DiaTrace.load(tmp_path / "run.dia2trace"))
    lit = {row["number"]: row["lit"] for row in view.header["rows"]}
    assert lit[7] == [(0, 10)]
    assert lit[8][0][0] == 10
    assert view.columns["phase"][:11].tolist() == [0] * 10 + [2]
    assert (view.columns["draw_choice"][:10] == -1).all()
    assert (view.columns["draw_choice"][10:] >= 0).all()


def test_cells_know_where_they_come_from(trace: DiaTrace, script: int, view: View) -> None:
    grid, origins, model = view.columns["grid"], view.columns["grid_origin"], trace.model
    assert len(ORIGIN) == len(ORIGINS)
    drawn = np.full_like(grid, -1)
    drawn[1 : 1 + len(trace)] = trace.drawn[:, script]
    assert (grid[origins == ORIGIN["bos"]] == model.bos).all()
    assert (origins[0] == ORIGIN["bos"]).all()
    for name in ("drawn", "eos"):
        assert (grid == drawn)[origins == ORIGIN[name]].all()
    assert (grid[origins == ORIGIN["pad"]] == model.pad).all()
    assert (grid[np.isin(origins, (ORIGIN["eos"], ORIGIN["end"]))] == model.eos).all()
    forced = np.isin(origins, (ORIGIN["end"], ORIGIN["pad"]))
    assert forced.any()
    assert (grid != drawn)[forced].all()
    assert (origins == ORIGIN["prompt"]).any() == (script == 0)
    if script == 0:
        for channel, delay in enumerate(model.delays):
            rows = np.flatnonzero(origins[:, channel] == ORIGIN["prompt"])
            laid = np.arange(len(PROMPT) + model.max_delay)  # the slowest channel's last code falls below it
            np.testing.assert_array_equal(rows, laid[1 + delay : 1 + delay + len(PROMPT)])
            np.testing.assert_array_equal(grid[rows, channel], PROMPT[: len(rows), channel])
    given = np.isin(origins, (ORIGIN["bos"], ORIGIN["prompt"]))
    for channel, edge in enumerate(view.header["grid"]["edge"]):
        assert given[:, channel].tolist() == [row < edge for row in range(len(grid))]
    end = trace.ended_at(script)
    assert end is not None
    assert (origins == ORIGIN["after"]).any(axis=1).tolist() == [
        row >= end + model.max_delay for row in range(len(grid))
    ]


def test_draws_are_those_of_the_trace(trace: DiaTrace, script: int, view: View) -> None:
    columns = view.columns
    for call in (0, 30, len(trace) - 1):
        draws = trace.draws(call, script)
        assert len(draws) == trace.model.channels
        for i, draw in enumerate(draws):
            assert view.header["draws"][i]["title"] == draw.name.replace(".", " ")
            assert view.header["draws"][i]["book"] == i
            by_token = {candidate.token: candidate for candidate in draw.candidates}
            shown = [token for token in columns["draw_ids"][call, i].tolist() if token >= 0]
            assert draw.choice in shown
            assert columns["draw_choice"][call, i] == draw.choice
            assert columns["draw_probability"][call, i] == pytest.approx(draw.probability, rel=2**-16)
            step = float(columns["draw_step_cond"][call, i])
            assert by_token.keys() <= set(shown)  # of the level `full` all are
            for place, token in enumerate(shown):
                if token not in by_token:
                    continue
                cond = columns["best_cond"][call, i] - columns["draw_cond"][call, i, place] * step
                assert cond == pytest.approx(by_token[token].cond, abs=step)
                assert bool(columns["draw_kept"][call, i, place // 8] >> place % 8 & 1) == by_token[token].kept


@pytest.mark.parametrize(
    "settings",
    [{}, {"temperature": 0.7, "top_p": 0.4}, {"cfg_scale": 0.0, "cfg_filter_top_k": 5}, {"temperature": 0.0}],
    ids=str,
)
def test_who_is_in_a_draw_and_how_likely_is_what_the_sampler_says(settings: dict[str, Any], tmp_path: Path) -> None:
    """Told without the logits, from the chance of the choice alone; beside Dia's own sampling of the logits."""
    with record(tmp_path / "run.dia2trace", level="full"):
        toy().speak(SCRIPTS, seed=1, max_tokens=60, audio_prompt=[PROMPT, None], **settings)
    trace = DiaTrace.load(tmp_path / "run.dia2trace")
    config, eos, cut = trace.run.config, trace.model.eos, 0
    for script in range(2):
        columns = view_of(trace, script=script).columns
        for call in range(len(trace)):
            logits = torch.from_numpy(trace.logits(call))
            kept = kept_logits(logits, cfg_scale=config.cfg_scale, keep=config.cfg_filter_top_k, eos=eos)
            if config.temperature > 0:
                kept = all_or_no_eos(kept, eos)
                chance = probabilities(kept, config.temperature, config.cfg_filter_top_k, config.top_p)[script].numpy()
            else:
                chance = np.eye(kept.shape[-1])[kept.argmax(dim=-1)[script].numpy()]
            for channel, own in enumerate(chance):
                ids = columns["draw_ids"][call, channel]
                alive = np.unpackbits(columns["draw_alive"][call, channel], bitorder="little")[: len(ids)].astype(bool)
                np.testing.assert_array_equal(alive, own[ids] > 0)
                stays = np.unpackbits(columns["draw_kept"][call, channel], bitorder="little")[: len(ids)].astype(bool)
                cut += int((stays & ~alive).sum())
                step = float(columns["draw_step_cond"][call, channel])
                near = 2 * step / max(config.temperature, 0.1)
                below = columns["draw_cond"][call, channel].astype(int)
                behind = (below[ids == columns["draw_choice"][call, channel]] - below) * step
                told = columns["draw_probability"][call, channel] * np.exp(behind / max(config.temperature, 0.1))
                np.testing.assert_allclose(np.where(alive, told, 0), own[ids], rtol=near, atol=1e-6)
    assert cut or not settings, "nothing was cut: this run tests less than it says"


def test_the_script_is_what_the_encoder_read(trace: DiaTrace) -> None:
    script = view_of(trace).header["script"]
    assert [(part["speaker"], part["tag"], part["text"].strip()) for part in script["parts"]] == [
        (1, "[S1]", "Hello there."),
        (2, "[S2]", "Hi! How are you?"),
    ]
    assert script["cut"] is None
    assert f"{len(trace.run.text_bytes[0])} of 256 bytes" in script["note"]


def test_what_was_cut_off_is_told(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="cut off"):
        toy().speak("[S1] " + 300 * "a" + " [S2] End.", seed=1, max_tokens=20, trace=tmp_path / "run.dia2trace")
    script = view_of(DiaTrace.load(tmp_path / "run.dia2trace")).header["script"]
    assert len(script["parts"][0]["text"]) == 255
    assert script["cut"] == {"bytes": 1 + 1 + 300 + 1 + 1 + 5 - 256, "text": (302 - 256) * "a" + " [S2] End."}


def test_no_text_of_a_trace_is_markup(trace: DiaTrace, tmp_path: Path) -> None:
    told = json.dumps(view_of(trace, script=1).header, ensure_ascii=False)
    for attack in ("\x1b", "\x07", "\u202e", "\u200f", "\r"):
        assert attack not in told
    page = trace.to_html(tmp_path / "run.html", script=1).read_text(encoding="utf-8")
    assert "<script>" not in page
    assert page.count("</script>") == 3


def test_a_run_without_a_codec_has_no_time(tmp_path: Path) -> None:
    mute = Dia.toy(device="cpu", load_dac=False)
    mute.speak(SCRIPTS[0], seed=1, max_tokens=20, trace=tmp_path / "run.dia2trace")
    header, columns = opened(payload(DiaTrace.load(tmp_path / "run.dia2trace")))
    assert header["clock"] is None
    assert header["seconds"] is None
    assert header["sounds"] == []
    assert "peaks" not in columns


def test_a_run_that_was_stopped_shows_what_there_is(tmp_path: Path) -> None:
    def stop(steps: int) -> None:
        if steps == 30:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        toy().speak(SCRIPTS[0], seed=1, max_tokens=120, progress=stop, trace=tmp_path / "run.dia2trace")
    header, columns = opened(payload(DiaTrace.load(tmp_path / "run.dia2trace")))
    assert not header["complete"]
    assert header["calls"] == 30
    assert columns["grid"].shape == (31, 9)
    assert set(columns["phase"].tolist()) == {2}
    assert set(np.unique(columns["grid_origin"]).tolist()) == {ORIGIN["bos"], ORIGIN["drawn"]}


def test_some_channels_alone_may_have_draws(tmp_path: Path) -> None:
    with record(tmp_path / "run.dia2trace", hooks=["draw.channel.3", "draw.channel.7"]):
        toy().speak(SCRIPTS, seed=1, max_tokens=30)
    trace = DiaTrace.load(tmp_path / "run.dia2trace")
    header, columns = opened(payload(trace, script=1))
    assert [draw["book"] for draw in header["draws"]] == [3, 7]
    np.testing.assert_array_equal(columns["draw_choice"], trace.drawn[:, 1][:, [3, 7]])
    assert [draw.choice for draw in trace.draws(12, 1)] == columns["draw_choice"][12].tolist()


def test_the_level_tokens_has_no_draws(tmp_path: Path) -> None:
    with record(tmp_path / "run.dia2trace", level="tokens"):
        toy().speak(SCRIPTS[0], seed=1, max_tokens=20)
    header, columns = opened(payload(DiaTrace.load(tmp_path / "run.dia2trace")))
    assert header["draws"] == []
    assert "draw_ids" not in columns


def test_what_cannot_be_shown_is_refused(trace: DiaTrace, tmp_path: Path) -> None:
    dia2 = load(recorded_dia2())
    with pytest.raises(TraceError, match="no script 2"):
        trace.to_html(tmp_path / "run.html", script=2)
    with pytest.raises(TraceError, match="no script 1"):
        to_html(dia2, tmp_path / "run.html", script=1)
    for one, other in ((dia2, trace), (trace, dia2)):
        with pytest.raises(TraceError, match="compare runs of one model"):
            to_html(one, tmp_path / "run.html", other=other)
    with pytest.raises(UsageError, match="leave out tts"):
        to_html(trace, tmp_path / "run.html", tts=dia2)


def test_the_command_counts_scripts_from_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from dia2.cli import main

    output = tmp_path / "run.html"
    assert main(["trace", "html", str(recorded()), "-o", str(output), "--script", "2"]) == 0
    assert capsys.readouterr().out.strip() == str(output)
    assert main(["trace", "html", str(recorded()), "-o", str(output), "--script", "3"]) == 2
    assert "There is no script 3" in capsys.readouterr().err


def test_the_widget_shows_it_too(trace: DiaTrace) -> None:
    explorer = trace.explore(script=1)
    assert repr(explorer) == f"<Explorer of run.dia2trace: {len(trace)} calls, complete>"
    assert opened(explorer._views[0])[0]["facts"][0] == "script 2 of 2"
