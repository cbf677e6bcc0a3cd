"""The explorer of a run of Dia in a real browser: what is drawn, what keys and clicks do."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from dia import Dia
from dia.adapter.trace import DiaTrace
from dia.sampling import all_or_no_eos, kept_logits, probabilities
from dia2.inspect import load

from ...support.browser import Page, keep_picture, needs_chromium
from ...support.dia import toy
from .test_view import SCRIPTS, recorded

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def trace() -> DiaTrace:
    found = load(recorded())
    assert isinstance(found, DiaTrace)
    return found


@pytest.fixture(scope="module")
def file(trace: DiaTrace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trace.to_html(tmp_path_factory.mktemp("page") / "run.html")


def go(page: Page, call: int) -> None:
    page.page.evaluate(f"document.getElementById('explorer').dia2.store.set({{call: {call}}})")
    page.drawn()


def test_keys_move_through_rows_and_draws(page: Page, trace: DiaTrace) -> None:
    assert page.readout("call") == "0"
    assert page.readout("writes row") == "1"
    for _ in range(3):
        page.press("ArrowRight")
    assert page.readout("call") == "3"
    page.press("End")
    assert page.readout("call") == str(len(trace) - 1)
    assert page.readout("countdown") == str(trace.countdown[-1, 0])
    page.press("Home")
    page.press("ArrowDown")
    assert page.state("draw") == 1
    assert "channel 1" in page.page.locator(".draw select").evaluate("x => x.selectedOptions[0].innerText")


def test_play_moves_on_and_pauses(page: Page) -> None:
    page.press("Space")
    page.until("document.getElementById('explorer').dia2.store.state.call > 3")
    page.press("Space")
    assert not page.state("playing")
    call = page.state("call")
    page.page.wait_for_timeout(300)
    assert page.state("call") == call


def test_phase_time_and_row_go_together(page: Page, trace: DiaTrace) -> None:
    lit = "document.querySelector('.row[aria-current=step] .number').innerText"
    given = trace.run.prefill_steps[0]
    page.tab("Call")
    go(page, 3)
    assert (page.readout("phase"), page.readout("time"), page.page.evaluate(lit)) == ("prompt", "prompt", "8")
    go(page, given - 1)
    assert (page.readout("phase"), page.readout("time")) == ("step", "0.00 s")
    ended = trace.ended_at(0)
    assert ended is not None
    go(page, ended)
    assert (page.readout("phase"), page.page.evaluate(lit)) == ("countdown", "10")
    rate = trace.model.frame_rate
    assert rate is not None
    assert page.readout("time") == f"{(ended + 1 - given) / rate:.2f} s"


def test_a_click_on_a_cell_shows_the_draw_that_made_it(page: Page, trace: DiaTrace) -> None:
    go(page, 60)
    canvas = page.page.locator(".grid canvas")
    box = canvas.bounding_box()
    first, span = page.state("first"), page.state("span")
    row, channel = 55, 3
    x = (row + 0.5 - first) / span * box["width"]
    canvas.click(position={"x": x, "y": (channel + 0.5) * box["height"] / trace.model.channels})
    call = row - 1
    assert page.readout("call") == str(call)
    draw = trace.draws(call)[channel]
    assert page.page.inner_text(".why-said b").endswith(str(draw.choice))
    assert page.page.inner_text(".why-took .why-token") == str(draw.choice)
    frame = row - trace.model.delays[channel] - trace.run.prefill_steps[0]
    said = page.told()
    bits = round(-16 * math.log2(draw.probability)) / 16  # as the view tells them
    assert said == (
        f"Channel {channel}, row {row}: code {draw.choice} of frame {frame}, drawn by call {call}, {bits:.1f} bits"
    )


def test_chances_are_those_of_the_sampler(page: Page, trace: DiaTrace) -> None:
    call, channel, config = 70, 5, trace.run.config
    go(page, call)
    page.page.locator(".draw select").select_option(index=channel)
    page.drawn()
    logits = trace.logits(call)
    assert logits is not None
    eos = trace.model.eos
    kept = kept_logits(torch.from_numpy(logits), cfg_scale=config.cfg_scale, keep=config.cfg_filter_top_k, eos=eos)
    chance = probabilities(all_or_no_eos(kept, eos), config.temperature, config.cfg_filter_top_k, config.top_p)
    names = {"eos": eos, "PAD": trace.model.pad, "BOS": trace.model.bos}
    rows = page.page.locator(".why-table tbody tr").all()
    assert len(rows) >= 16  # and the choice, where it is none of the best
    for row in rows:
        token, told = row.locator(".why-token").inner_text(), row.locator(".why-number").inner_text()
        own = float(chance[0, channel, names.get(token) or int(token)])
        assert (told in ("out", "cut")) == (own == 0)
        if own:
            assert float(told.strip(" <\u2009\u00a0%")) / 100 == pytest.approx(own, abs=0.006)


def test_a_row_of_the_state_tells_read_drawn_and_written(page: Page, trace: DiaTrace) -> None:
    ended = trace.ended_at(0)
    assert ended is not None
    call = ended + trace.model.delays[1] - 1  # which writes eos into channel 1
    page.tab("Machine")
    go(page, call)
    cells = page.page.locator(".cells tbody tr").nth(1).locator("td").all_inner_texts()
    assert cells == [str(trace.tokens[call, 0, 1]), str(trace.drawn[call, 0, 1]), "eos", "forced"]
    cells = page.page.locator(".cells tbody tr").first.locator("td").all_inner_texts()
    assert cells[2:] == ["PAD", "forced"]
    page.page.locator(".cells button").nth(4).click()
    page.drawn()
    assert page.state("draw") == 4


def test_the_script_is_shown_by_speaker_and_has_no_words_in_time(page: Page) -> None:
    page.tab("Script")
    said = page.page.locator(".script .said")
    assert [text.strip() for text in said.all_inner_texts()] == ["[S1] Hello there.", "[S2] Hi! How are you?"]
    assert ["s1" in said.nth(0).get_attribute("class"), "s2" in said.nth(1).get_attribute("class")] == [True, True]
    assert "word" not in str(page.page.get_attribute("input[type=search]", "placeholder")).lower()  # codes alone
    assert page.page.locator("[aria-label='Find a word']").count() == 0
    page.press("?")
    assert "word" not in page.page.inner_text("dialog")


def test_rows_jump_and_tell_what_they_did(page: Page, trace: DiaTrace) -> None:
    page.tab("Call")
    rows = page.page.locator(".row")
    assert rows.count() == 13
    rows.nth(9).click()
    ended = trace.ended_at(0)
    assert ended is not None
    assert page.readout("call") == str(ended - 1)
    assert "count_down" in page.page.inner_text(".detail")
    rows.nth(2).click()
    page.drawn()
    assert trace.rows()[2].outputs in page.page.inner_text(".detail")


def test_everything_that_can_be_used_has_a_name(page: Page) -> None:
    unnamed = page.page.evaluate(
        """[...document.querySelectorAll('button, select, input, meter, canvas:not([aria-hidden])')]
           .filter(x => !(x.getAttribute('aria-label') || x.textContent || '').trim()).map(x => x.outerHTML)"""
    )
    assert unnamed == []


@pytest.mark.parametrize("width", [1280, 800])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_cut_off(browser: Any, file: Path, trace: DiaTrace, width: int, scheme: str) -> None:
    opened = Page(browser, file, width, 800, scheme)
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
    wide = opened.page.evaluate(
        "[...document.querySelectorAll('.pane')].filter(x => x.scrollWidth > x.clientWidth + 1).map(x => x.className)"
    )
    assert wide == []
    ended = trace.ended_at(0)
    assert ended is not None
    go(opened, ended + 9)
    keep_picture(opened.page, f"dia-{width}-{scheme}")
    opened.check()
    opened.page.context.close()


def test_a_hostile_script_is_text(browser: Any, trace: DiaTrace, tmp_path: Path) -> None:
    opened = Page(browser, trace.to_html(tmp_path / "run.html", script=1))
    opened.tab("Script")
    assert opened.page.evaluate("document.querySelectorAll('#explorer script, #explorer b[onclick]').length") == 0
    assert "<script>" in opened.page.inner_text(".script")  # shown as it was written
    opened.check()
    opened.page.context.close()


def test_a_run_without_sound_plays(browser: Any, tmp_path: Path) -> None:
    mute = Dia.toy(device="cpu", load_dac=False)
    mute.speak(SCRIPTS[0], seed=1, max_tokens=60, trace=tmp_path / "run.dia2trace")
    opened = Page(browser, load(tmp_path / "run.dia2trace").to_html(tmp_path / "run.html"))
    assert "no sound in this trace" in opened.page.inner_text(".track.sound")
    assert opened.readout("time") == "–"
    opened.press("Space")
    opened.until("document.getElementById('explorer').dia2.store.state.call > 5")
    opened.check()
    opened.page.context.close()


def test_two_runs_are_shown_where_they_part(browser: Any, tmp_path: Path) -> None:
    for name, temperature in (("a", 1.2), ("b", 0.6)):
        path = tmp_path / f"{name}.dia2trace"
        toy().speak(SCRIPTS[0], seed=1, max_tokens=60, temperature=temperature, trace=path)
    a, b = (load(tmp_path / f"{name}.dia2trace") for name in "ab")
    parted = a.diff(b)
    opened = Page(browser, a.to_html(tmp_path / "two.html", other=b))
    assert opened.readout("call") == str(parted.shared)
    assert f"call {parted.shared}" in opened.page.inner_text(".parted")
    assert opened.page.locator(".grid canvas").count() == 2
    assert "differs" in opened.page.locator(".grid .head").first.inner_text()
    go(opened, 40)
    keep_picture(opened.page, "dia-two")
    opened.check()
    opened.page.context.close()
