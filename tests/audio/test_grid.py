"""The delay grid and back, and sound files that are written whole or not at all."""

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dia2.audio.grid import delay_frames, undelay_frames, write_wav
from dia2.common.errors import Dia2Error

PAD = 99

delay_lists = st.lists(st.integers(0, 7), min_size=1, max_size=6)


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def codes(codebooks: int, frames: int) -> Tensor:
    """Codes that are all different."""
    return torch.arange(codebooks * frames).view(codebooks, frames) + 1000


@given(delay_lists, st.integers(0, 9))
@settings(deadline=None)
def test_each_code_stands_its_delay_to_the_right_and_pad_everywhere_else(delays: list[int], frames: int) -> None:
    aligned = codes(len(delays), frames)
    grid = delay_frames(aligned, delays, PAD)
    assert (grid.shape, grid.dtype) == ((len(delays), frames + max(delays)), aligned.dtype)
    assert int((grid == PAD).sum()) == grid.numel() - aligned.numel()
    assert all(grid[k, t + delay] == aligned[k, t] for k, delay in enumerate(delays) for t in range(frames))


@given(delay_lists, st.integers(0, 9))
@settings(deadline=None)
def test_undelay_is_the_exact_inverse_of_delay(delays: list[int], frames: int) -> None:
    aligned = codes(len(delays), frames)
    assert torch.equal(undelay_frames(delay_frames(aligned, delays, PAD), delays), aligned)


@given(delay_lists, st.integers(0, 9))
@settings(deadline=None)
def test_delay_is_the_inverse_of_undelay_but_for_the_corners(delays: list[int], frames: int) -> None:
    grid = codes(len(delays), frames + max(delays))
    columns = torch.arange(grid.shape[1])
    starts = torch.tensor(delays)[:, None]
    corners = (columns < starts) | (columns >= starts + frames)
    assert torch.equal(delay_frames(undelay_frames(grid, delays), delays, PAD), grid.masked_fill(corners, PAD))


def test_a_grid_of_the_published_delays_looks_so() -> None:
    grid = delay_frames(torch.tensor([[1, 2], [3, 4], [5, 6]]), [0, 1, 2], PAD)
    assert grid.tolist() == [[1, 2, PAD, PAD], [PAD, 3, 4, PAD], [PAD, PAD, 5, 6]]


@pytest.mark.parametrize("columns", range(11))
def test_too_few_columns_hold_no_frame(columns: int) -> None:
    assert undelay_frames(torch.zeros(3, columns, dtype=torch.int64), [0, 3, 10]).shape == (3, 0)


def test_one_column_more_than_the_longest_delay_holds_one_frame() -> None:
    grid = torch.arange(10).view(2, 5)
    assert undelay_frames(grid, [2, 4]).tolist() == [[2], [9]]


def test_delaying_leaves_the_codes_alone() -> None:
    aligned = codes(2, 3)
    delay_frames(aligned, [0, 2], PAD).fill_(0)
    assert torch.equal(aligned, codes(2, 3))


@pytest.mark.parametrize("rate", [8000, 24000, 44100])
def test_a_waveform_is_read_back_as_it_was_written(tmp_path: Path, rate: int) -> None:
    waveform = torch.linspace(-1, 1, 4801, requires_grad=True)  # detached when written
    write_wav(tmp_path / "a.wav", waveform, rate)
    info = soundfile.info(tmp_path / "a.wav")
    assert (info.format, info.subtype, info.channels, info.samplerate) == ("WAV", "PCM_16", 1, rate)
    samples, _ = soundfile.read(tmp_path / "a.wav", dtype="float32")
    assert len(samples) == 4801
    assert (torch.from_numpy(samples) - waveform.detach()).abs().max() <= 2 / 32768


def test_an_empty_waveform_is_a_file_without_samples(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", torch.zeros(0), 24000)
    assert soundfile.info(tmp_path / "a.wav").frames == 0


def test_a_longer_file_is_replaced_by_a_shorter_one(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", torch.zeros(5000), 24000)
    write_wav(tmp_path / "a.wav", torch.zeros(10), 24000)
    assert soundfile.info(tmp_path / "a.wav").frames == 10
    assert names(tmp_path) == ["a.wav"]


def test_a_name_without_suffix_is_a_wav_file_too(tmp_path: Path) -> None:
    write_wav(tmp_path / "speech", torch.zeros(10), 24000)
    assert soundfile.info(tmp_path / "speech").format == "WAV"


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """The system refuses to let any file grow beyond `size` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("existing", [True, False])
def test_a_write_that_fails_midway_leaves_the_old_file_and_no_other(tmp_path: Path, existing: bool) -> None:
    path = tmp_path / "a.wav"
    if existing:
        write_wav(path, torch.linspace(-1, 1, 100), 24000)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    with largest_file(4096), pytest.raises(Dia2Error, match=r"a\.wav could not be written \(File too large\)"):
        write_wav(path, torch.zeros(10_000), 24000)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_a_disk_that_is_full_at_the_last_moment_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "a.wav"
    write_wav(path, torch.linspace(-1, 1, 100), 24000)
    before = path.read_bytes()
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(Dia2Error) as error:
        write_wav(path, torch.zeros(10), 24000)
    assert str(error.value) == (
        f"{path} could not be written (No space left on device): free some space or write elsewhere."
    )
    assert path.read_bytes() == before
    assert names(tmp_path) == ["a.wav"]
