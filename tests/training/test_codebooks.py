"""Codebooks fit what is there, and slips go wrong in the way that was asked for."""

from __future__ import annotations

import pytest
import torch

from dia2.audio.mimi.quantizer import ResidualQuantizer
from training.codebooks import Slips, Twins, k_means, quantise, set_codes, slip, vectors_of
from training.codec_network import CodecShape, config_of

SHAPE = CodecShape(filters=2, hidden=16, layers=1, heads=2, codebooks=5, codes=16, latent=8)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_k_means_finds_clusters() -> None:
    centres = torch.tensor([[0.0, 0.0], [5.0, 0.0], [0.0, 5.0]])
    points = torch.cat([centre + 0.1 * torch.randn(50, 2, generator=seeded()) for centre in centres])
    found = k_means(points, 6, seeded())
    assert torch.cdist(centres, found).min(1).values.max() < 0.3


def test_codes_are_the_nearest_to_what_the_codebooks_before_leave_over() -> None:
    quantizer = ResidualQuantizer(config_of(SHAPE), 3)
    points = rest = torch.randn(400, 8, generator=seeded())
    for book in quantizer.codebooks:
        set_codes(book, k_means(rest, 16, seeded()))
        rest = rest - book.nearest(rest)[1]
    found = quantise(quantizer, points.T[None])
    errors = [float((points.T - found.vectors[: n + 1].sum(0)[0]).square().mean()) for n in range(3)]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] == pytest.approx(float(rest.square().mean()))
    assert torch.allclose(vectors_of(quantizer, found.codes), found.vectors)


def test_twins_have_the_same_phonemes_and_voice() -> None:
    labels = torch.randint(0, 4, (2, 300), generator=seeded())
    speakers = torch.randint(1, 3, (300,), generator=seeded(1))
    frames = torch.arange(300).view(3, 100)
    found = Twins(labels, speakers).draw(frames, seeded(2))
    assert torch.equal(labels[:, found], labels[:, frames])
    assert torch.equal(speakers[found], speakers[frames])
    assert float((found != frames).float().mean()) > 0.8
    lonely = Twins(torch.arange(6).view(2, 3), torch.ones(3, dtype=torch.long))
    assert torch.equal(lonely.draw(torch.tensor([2, 0, 1]), seeded()), torch.tensor([2, 0, 1]))


def test_slips_begin_somewhere_and_go_on_through_the_later_codebooks() -> None:
    codes, others = torch.zeros(4, 6, 500, dtype=torch.long), torch.ones(4, 6, 500, dtype=torch.long)
    made, mask = slip(codes, others, 16, Slips(spoilt=1.0, exchanged=1.0, random=0.0, dropped=0.0), seeded())
    assert mask.all()
    assert ((made[:, 1:] - made[:, :-1]) >= 0).all()  # once wrong, wrong to the end
    assert torch.equal(made[:, -1], others[:, -1])
    assert 0.1 < float(made[:, 0].float().mean()) < 0.25
    made, mask = slip(codes, others, 16, Slips(spoilt=1.0, exchanged=0.0, random=0.0, dropped=1.0), seeded())
    assert torch.equal(made, codes)
    assert (mask[:, 1:] <= mask[:, :-1]).all()
    assert not mask[:, -1].any()


def test_half_of_the_crops_stay_as_they_were_coded() -> None:
    codes = torch.randint(0, 16, (200, 6, 20), generator=seeded())
    made, mask = slip(codes, codes, 16, Slips(spoilt=0.5, exchanged=0.0, random=0.3, dropped=0.3), seeded())
    whole = ((made == codes) & mask).flatten(1).all(1)
    assert 0.4 < float(whole.float().mean()) < 0.6
    assert torch.equal(made[:, 0], codes[:, 0])  # the first is never random
