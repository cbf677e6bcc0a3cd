"""Delaying channels, and undoing it."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dia.audio import apply_audio_delay, finished_codes, revert_audio_delay
from dia.config import DataConfig

from ..support.dia import dia5

BOS, PAD, EOS = 18, 17, 16
delay_patterns = st.lists(st.integers(0, 7), min_size=1, max_size=6)


def random_codes(scripts: int, frames: int, channels: int, seed: int = 0) -> Tensor:
    return torch.randint(0, EOS, (scripts, frames, channels), generator=torch.Generator().manual_seed(seed))


@settings(max_examples=40)
@given(delays=delay_patterns, scripts=st.integers(1, 3), frames=st.integers(0, 12))
def test_each_cell_of_a_delayed_table(delays: list[int], scripts: int, frames: int) -> None:
    codes = random_codes(scripts, frames, len(delays))
    delayed = apply_audio_delay(codes, delays, bos=BOS, pad=PAD)
    assert delayed.shape == codes.shape
    for t in range(frames):
        for c, delay in enumerate(delays):
            expected = codes[:, t - delay, c] if t >= delay else torch.full((scripts,), BOS)
            assert torch.equal(delayed[:, t, c], expected)


@settings(max_examples=40)
@given(delays=delay_patterns, scripts=st.integers(1, 3), frames=st.integers(0, 12))
def test_each_cell_of_a_table_that_is_put_back(delays: list[int], scripts: int, frames: int) -> None:
    delayed = random_codes(scripts, frames, len(delays))
    codes = revert_audio_delay(delayed, delays, pad=PAD)
    assert codes.shape == delayed.shape
    for t in range(frames):
        for c, delay in enumerate(delays):
            expected = delayed[:, t + delay, c] if t + delay < frames else torch.full((scripts,), PAD)
            assert torch.equal(codes[:, t, c], expected)


@settings(max_examples=40)
@given(delays=delay_patterns, frames=st.integers(1, 12))
def test_the_two_are_inverse_where_nothing_is_cut_off(delays: list[int], frames: int) -> None:
    codes = random_codes(2, frames, len(delays))
    room = torch.full((2, max(delays), len(delays)), PAD)
    delayed = apply_audio_delay(torch.cat((codes, room), dim=1), delays, bos=BOS, pad=PAD)
    back = revert_audio_delay(delayed, delays, pad=PAD)
    assert torch.equal(back[:, :frames], codes)
    assert bool((back[:, frames:] == PAD).all())
    again = apply_audio_delay(back, delays, bos=BOS, pad=PAD)
    assert torch.equal(again, delayed)


def test_an_entry_below_zero_reads_what_is_past_the_end() -> None:
    codes = torch.tensor([[[1, 2], [3, 4]]])
    assert apply_audio_delay(codes, [0, 1], bos=BOS, pad=PAD).tolist() == [[[1, BOS], [3, 2]]]
    assert apply_audio_delay(codes, [0, -1], bos=BOS, pad=PAD).tolist() == [[[1, 4], [3, PAD]]]


@settings(max_examples=40)
@given(delays=delay_patterns, frames=st.integers(0, 12), data=st.data())
def test_finished_codes_are_codes_alone(delays: list[int], frames: int, data: st.DataObject) -> None:
    rows = frames + max(delays)
    values = st.integers(-1, BOS + 1)
    cells = data.draw(st.lists(values, min_size=rows * len(delays), max_size=rows * len(delays)))
    delayed = torch.tensor(cells, dtype=torch.int64).view(rows, len(delays))
    codes = finished_codes(delayed, delays, eos=EOS, pad=PAD)
    assert codes.shape == (frames, len(delays))
    for t in range(frames):
        for c, delay in enumerate(delays):
            value = int(delayed[t + delay, c])
            assert int(codes[t, c]) == (value if 0 <= value < EOS else 0)


@pytest.mark.parametrize("rows", [0, 1, 2, 3])
def test_fewer_rows_than_the_delays_are_no_frames(rows: int) -> None:
    assert finished_codes(random_codes(1, rows, 2)[0], [0, 3], eos=EOS, pad=PAD).shape == (0, 2)


# What a run is given


@settings(max_examples=40)
@given(delays=delay_patterns, lengths=st.lists(st.integers(0, 9), min_size=1, max_size=4))
def test_the_rows_that_prompts_give(delays: list[int], lengths: list[int]) -> None:
    """Row 0 is BOS, rows 1 … P the codes, −1 after them, and all of that delayed; the last code of the longest-delayed
    channel is cut off, so that it is drawn again."""
    data = DataConfig(channels=len(delays), delay_pattern=delays)
    prompts = [random_codes(1, length, len(delays), seed)[0] for seed, length in enumerate(lengths)]
    dia = copy.copy(dia5())
    dia.config = replace(dia.config, data=data)
    table = dia.delayed_prompts(prompts)
    rows = max(lengths) + max(1, max(delays))
    assert table.shape == (len(lengths), rows, len(delays))
    for i, prompt in enumerate(prompts):
        for t in range(rows):
            for c, delay in enumerate(delays):
                frame = t - delay
                if frame <= 0:
                    expected = data.audio_bos_value
                else:
                    expected = int(prompt[frame - 1, c]) if frame <= len(prompt) else -1
                assert int(table[i, t, c]) == expected
    # Whatever the delays are, the rows that the loop may read at once are known.
    for i, length in enumerate(lengths):
        assert bool((table[i, : length + 1] >= 0).all())
