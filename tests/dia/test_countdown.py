"""The end of scripts: the countdown and the loop, driven by tokens that the test chooses instead of a network's."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dia import loop
from dia.audio import apply_audio_delay
from dia.config import DataConfig, DiaConfig, parse_config
from dia.generation import GenerationConfig
from dia.loop import (
    GenerationState,
    begin,
    count_down,
    decode_step,
    delayed_rows,
    finished_lengths,
    new_state,
    run_loop,
)
from dia.state import UNKNOWN

from ..support.dia import CPU, random_dia, tiny_dia

EOS, PAD, BOS = 16, 17, 18


@dataclass
class Run:
    """A run whose draws are a table: what the network and the sampler would have given."""

    state: GenerationState
    data: DataConfig
    draws: Tensor  # [rows, B, C]: of the row that is written
    rows: int
    given: Tensor  # [B, T, C]

    def to_the_end(self, stop_after: int | None = None) -> tuple[int, bool]:
        """Step as `decode_step` does, but for the draw; Ctrl-C after so many steps."""

        def step(row: int) -> None:
            if stop_after is not None and row - (min(self.state.output.prefill_steps) - 1) >= stop_after:
                raise KeyboardInterrupt
            tokens, following = self.state.output.generated_tokens, row + 1
            forced = count_down(self.state, self.draws[following], self.data)
            known = tokens[:, following]
            tokens[:, following] = torch.where(known == UNKNOWN, forced, known)
            self.state.row.add_(1)

        return run_loop(self.state, step, rows=self.rows)


def config_of(delays: list[int]) -> DiaConfig:
    return parse_config(
        tiny_dia(
            {
                "delay_pattern": delays,
                "decoder_config.num_channels": len(delays),
                "decoder_config.max_position_embeddings": 64,
            }
        )
    )


def started(delays: list[int], prompts: list[int], rows: int, draws: Tensor) -> Run:
    """A run of scripts with prompts of so many frames."""
    config = config_of(delays)
    data, scripts = config.data, len(prompts)
    table = torch.full((scripts, max(prompts) + max(1, max(delays)), len(delays)), UNKNOWN)
    table[:, 0] = BOS
    for i, length in enumerate(prompts):
        table[i, 1 : 1 + length] = 3
    delayed = apply_audio_delay(table, delays, bos=BOS, pad=UNKNOWN)
    state = new_state(config, scripts=scripts, rows=rows, text=1, dtype=torch.float32, device=CPU)
    begin(state, delayed, [1 + length for length in prompts], rows=rows, seed=0, data=data)
    return Run(state, data, draws, rows, delayed)


@st.composite
def runs(draw: st.DrawFn) -> Run:
    """Runs of random delays, prompts, lengths and ends; eos is drawn often, in prompts and after the end, too."""
    delays = draw(st.lists(st.integers(0, 5), min_size=1, max_size=4))
    prompts = draw(st.lists(st.integers(0, 8), min_size=1, max_size=3))
    rows = draw(st.integers(max(prompts) + 2, 24))
    ends = draw(st.lists(st.sets(st.integers(1, rows), max_size=4), min_size=len(prompts), max_size=len(prompts)))
    draws = torch.randint(0, EOS, (rows, len(prompts), len(delays)), generator=torch.Generator().manual_seed(rows))
    for i, drawn in enumerate(ends):
        for row in drawn:
            if row < rows:
                draws[row, i, 0] = EOS
    return started(delays, prompts, rows, draws)


def end_by_hand(run: Run, i: int) -> tuple[int, bool]:
    """Row of script i's end, and whether it was drawn: the first eos from its own rows on, if that is not too late."""
    first = min(run.state.output.prefill_steps)
    for row in range(first, run.rows):
        drew = int(run.draws[row, i, 0]) == EOS and row >= run.state.output.prefill_steps[i]
        if drew or row >= run.rows - run.data.max_delay:
            return row, drew
    return run.rows, False  # max_delay 0, and no eos


@settings(max_examples=60)
@given(run=runs())
def test_every_cell_of_a_run(run: Run) -> None:
    steps, interrupted = run.to_the_end()
    assert not interrupted
    delays, most = run.data.delay_pattern, run.data.max_delay
    first, prompts = min(run.state.output.prefill_steps), run.state.output.prefill_steps
    ends = [end_by_hand(run, i) for i in range(len(prompts))]
    # An eos with no row to count down in ends the loop in its own row.
    last = min(run.rows, max(end + max(1, most) for end, _ in ends))
    assert first + steps == last
    tokens = run.state.output.generated_tokens
    for i, (end, drew) in enumerate(ends):
        if end < run.rows:
            assert (int(run.state.ended_at[i]), bool(run.state.drew_eos[i])) == (end, drew)
        for row in range(first, last):
            for c, delay in enumerate(delays):
                known = int(run.given[i, row, c]) if row < run.given.shape[1] else UNKNOWN
                since = row - end  # steps of the countdown
                if known != UNKNOWN:  # a prompt's delayed tail
                    expected = known
                elif 0 <= since < most and since == delay:
                    expected = EOS
                elif 0 <= since < most and since > delay:
                    expected = PAD
                else:
                    expected = int(run.draws[row, i, c])
                assert int(tokens[i, row, c]) == expected, (i, row, c)
    assert bool((tokens[:, max(last, run.given.shape[1]) :] == UNKNOWN).all())


@settings(max_examples=60)
@given(run=runs())
def test_lengths_are_rows_from_the_prompt_to_the_end(run: Run) -> None:
    steps, _ = run.to_the_end()
    given_rows = run.state.output.prefill_steps
    written = min(given_rows) + steps
    lengths = finished_lengths(run.state, written, run.data)
    assert lengths == [max(0, end_by_hand(run, i)[0] - given_rows[i]) for i in range(len(given_rows))]
    for i, rows in enumerate(delayed_rows(run.state, lengths, run.data)):
        assert rows.shape == (lengths[i] + run.data.max_delay, len(run.data.delay_pattern))
        assert bool((rows != UNKNOWN).all())
        own = run.state.output.generated_tokens[i, given_rows[i] : given_rows[i] + lengths[i]]
        assert torch.equal(rows[: lengths[i]], own)  # what is written where nothing is past the end


@settings(max_examples=60)
@given(run=runs(), after=st.integers(0, 23))
def test_ctrl_c_keeps_whole_frames_only(run: Run, after: int) -> None:
    """Every cell of a frame that is kept was written, also where the script was counting down."""
    steps, interrupted = run.to_the_end(stop_after=after)
    given_rows, delays = run.state.output.prefill_steps, run.data.delay_pattern
    written = min(given_rows) + steps
    assert steps <= after or not interrupted
    tokens = run.state.output.generated_tokens
    for i, length in enumerate(finished_lengths(run.state, written, run.data)):
        for frame in range(length):
            for c, delay in enumerate(delays):
                row = given_rows[i] + frame + delay
                assert row < written
                drawn_eos = EOS if c else UNKNOWN  # only channel 0 draws it
                assert int(tokens[i, row, c]) not in (UNKNOWN, PAD, drawn_eos)


def drawn(rows: int, scripts: int, channels: int, eos: dict[int, list[int]]) -> Tensor:
    """Code 5 throughout, but eos for script i in these rows."""
    draws = torch.full((rows, scripts, channels), 5)
    for i, ends in eos.items():
        draws[ends, i, 0] = EOS
    return draws


def test_a_staircase_written_out() -> None:
    run = started([0, 2, 3], [0], 20, drawn(20, 1, 3, {0: [4]}))
    steps, _ = run.to_the_end()
    assert steps == 6
    assert run.state.output.generated_tokens[0, :8].tolist() == [
        [BOS, BOS, BOS],
        [5, BOS, BOS],
        [5, BOS, BOS],
        [5, 5, 5],  # the last cell of what is given is cut off
        [EOS, 5, 5],
        [PAD, 5, 5],
        [PAD, EOS, 5],
        [-1, -1, -1],
    ]
    assert finished_lengths(run.state, 1 + steps, run.data) == [3]


def test_an_eos_inside_the_scripts_own_prompt_is_ignored() -> None:
    run = started([0, 2], [6, 0], 20, drawn(20, 2, 2, {0: [2, 5, 9], 1: [3]}))
    run.to_the_end()
    assert run.state.ended_at.tolist() == [9, 3]


def test_a_script_that_has_ended_is_written_on_and_cannot_end_again() -> None:
    run = started([0, 2], [0, 0], 20, drawn(20, 2, 2, {0: [3, 7, 8], 1: [11]}))
    steps, _ = run.to_the_end()
    assert 1 + steps == 13
    assert run.state.ended_at.tolist() == [3, 11]
    channel = run.state.output.generated_tokens[0, :13, 0].tolist()
    assert channel == [BOS, 5, 5, EOS, PAD, 5, 5, EOS, EOS, 5, 5, 5, 5]
    assert finished_lengths(run.state, 13, run.data) == [2, 10]


@pytest.mark.parametrize("rows", [4, 9, 20])
def test_the_end_is_forced_so_that_the_delays_fit(rows: int) -> None:
    run = started([0, 1, 3], [0], rows, drawn(rows, 1, 3, {}))
    steps, _ = run.to_the_end()
    assert 1 + steps == rows
    assert run.state.ended_at.tolist() == [rows - 3]
    assert run.state.drew_eos.tolist() == [False]
    assert int(run.state.output.generated_tokens[0, rows - 3, 0]) == EOS


def test_without_delays_an_eos_ends_at_once() -> None:
    run = started([0, 0], [2], 10, drawn(10, 1, 2, {0: [5]}))
    steps, _ = run.to_the_end()
    assert 3 + steps == 6
    assert finished_lengths(run.state, 6, run.data) == [2]


@settings(max_examples=15)
@given(prompts=st.lists(st.integers(0, 6), min_size=1, max_size=3), forced=st.integers(0, EOS), rows=st.integers(9, 16))
def test_the_real_step_writes_as_these_tests_do(prompts: list[int], forced: int, rows: int) -> None:
    """`decode_step` and `run_loop` with a network, and a draw that is put in the place of the sampler's."""
    draws = drawn(rows, len(prompts), 3, {})
    draws[:, :, 0] = torch.where(torch.arange(rows)[:, None] % 5 == 4, forced, 5)
    by_hand = started([0, 2, 3], prompts, rows, draws)
    by_hand.to_the_end()

    run = started([0, 2, 3], prompts, rows, draws)
    model = random_dia(tiny_dia({"decoder_config.max_position_embeddings": 64, "delay_pattern": [0, 2, 3]}))
    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
        patch.setattr(loop, "choose", lambda *_, **__: draws[int(run.state.row) + 1])
        run.state.decoder.take_text(
            model.decoder.keys_values(torch.zeros(2 * len(prompts), 1, 24)),
            torch.ones(2 * len(prompts), 1, dtype=torch.bool),
        )
        given_rows = loop.prefill(model, run.state)
        assert given_rows == min(prompts)
        run_loop(run.state, lambda row: decode_step(model, run.state, GenerationConfig(), row + 1), rows=rows)
    assert torch.equal(run.state.output.generated_tokens, by_hand.state.output.generated_tokens)
    assert torch.equal(run.state.countdown, by_hand.state.countdown)
