"""Tokens that sound alike begin alike, and the table of a checkpoint is an ordinary one."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.support.speech import has_flite
from training.pronunciation import PLACES, Sounding, make_plain, make_sounding, phonemes
from training.tokenizer import TAGS, train_tokenizer

pytestmark = pytest.mark.skipif(not has_flite(), reason="flite's voices are not installed")


def test_letters_are_said_as_flite_says_them() -> None:
    assert phonemes("ing,") == ["ih", "ng"]
    assert phonemes("Thr") == ["th", "r"]
    assert phonemes("don't") == ["d", "aa", "n", "t"]
    assert phonemes("?!") == phonemes("") == phonemes("'") == []


def test_a_row_is_what_its_phonemes_add_up_to_and_something_of_its_own() -> None:
    torch.manual_seed(0)
    sounding = Sounding(["tea", "tee,", "", "eat", "internationalisation"], 6)
    own = torch.randn(5, 6)
    added = sounding(own) - own
    assert torch.allclose(added[0], added[1])
    assert torch.equal(added[2], torch.zeros(6))
    assert not torch.allclose(added[0], added[3])  # the same phonemes elsewhere are others
    assert int((sounding.rows[4] > 0).sum()) == PLACES
    added.sum().backward()
    assert sounding.table.grad is not None
    assert torch.equal(sounding.table.grad[0], torch.zeros(6))  # no phoneme is nothing, and stays so


def test_the_checkpoint_has_an_ordinary_table_with_the_same_rows() -> None:
    tokenizer = train_tokenizer(["Hello there, how are you? łódź"] * 3, 300)
    embedding = nn.Embedding(len(tokenizer), 6)
    before = embedding.weight.detach().clone()
    make_sounding(embedding, tokenizer)
    rows = embedding.weight.detach().clone()
    tag, hello = (tokenizer.convert_tokens_to_ids(text) for text in (TAGS[0], "hello"))
    assert torch.equal(rows[tag], before[tag])
    assert not torch.equal(rows[hello], before[hello])
    make_plain(embedding)
    make_plain(embedding)  # nothing is left to do
    assert set(embedding.state_dict()) == {"weight"}
    assert torch.equal(embedding.weight, rows)
