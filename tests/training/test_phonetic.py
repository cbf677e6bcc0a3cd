"""Labels of half frames: the phoneme that sounds in the middle of each, and who speaks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dia2.common.errors import Dia2Error
from training.corpus import Recording
from training.phonetic import Inventory, accuracy, latest, speakers
from training.spoken import Spoken


def recording(phonemes: tuple[tuple[str, float], ...], frames: int = 4) -> Recording:
    spoken = (Spoken("a", 2, 0.08, 0.16), Spoken("", 0, 0.16, 0.2), Spoken("b", 1, 0.24, 0.3))
    return Recording("", spoken, 0.3, phonemes, np.zeros(frames * 1920, np.float32))


def test_a_half_frame_has_the_phoneme_that_began_last() -> None:
    said = recording((("pau", 0.0), ("t", 0.04), ("aa", 0.12), ("zz", 0.28)))
    inventory = Inventory.of([recording((("t", 0.0), ("aa", 0.1), ("pau", 0.2)))])
    assert inventory.names == ("_", "aa", "t")  # a pause is no phoneme of its own
    assert inventory.labels(said).tolist() == [[0, 2, 1, 1], [2, 1, 1, 0]]  # zz is not known
    assert inventory.labels(recording(())).tolist() == [[0] * 4] * 2


def test_what_begins_at_a_moment_is_there_at_it() -> None:
    starts, values = np.array([0.5, 1.0]), np.array([3, 4])
    assert latest(starts, values, np.array([0.4, 0.5, 0.9, 1.0, 2.0])).tolist() == [0, 3, 3, 4, 4]


def test_frames_before_the_first_word_are_nobodys() -> None:
    assert speakers(recording(())).tolist() == [0, 2, 2, 1]


@given(st.lists(st.integers(1, 8), min_size=1, max_size=20), st.data())
def test_on_the_grid_every_half_frame_of_a_phoneme_has_its_label(lengths: list[int], data: st.DataObject) -> None:
    names = data.draw(st.lists(st.sampled_from("abcdef"), min_size=len(lengths), max_size=len(lengths)))
    starts = np.cumsum([0, *lengths[:-1]]) * 0.04
    said = recording(tuple(zip(names, starts.tolist(), strict=True)), frames=-(-sum(lengths) // 2))
    inventory = Inventory.of([said])
    wanted = [name for name, length in zip(names, lengths, strict=True) for _ in range(length)]
    found = [inventory.names[i] for i in inventory.labels(said).T.flatten().tolist()]
    assert found[: len(wanted)] == wanted


def test_the_inventory_is_kept_beside_the_codec(tmp_path: Path) -> None:
    inventory = Inventory(("_", "aa", "t"))
    inventory.write(tmp_path / "phonemes.json")
    assert Inventory.read(tmp_path / "phonemes.json") == inventory
    with pytest.raises(Dia2Error, match=r"is no list of phonemes .*: train the encoder first\."):
        Inventory.read(tmp_path / "other.json")


def test_accuracy_counts_half_frames() -> None:
    codes, labels = torch.arange(20).view(4, 5), torch.full((2, 5), 7)
    assert accuracy([codes[:2], labels], [labels, labels]) == pytest.approx(11 / 20)
