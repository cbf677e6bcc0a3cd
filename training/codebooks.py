"""Codebooks found by k-means, and codes made wrong on purpose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from dia2.audio.mimi.quantizer import Codebook, ResidualQuantizer, vectors


def k_means(points: Tensor, count: int, generator: torch.Generator, rounds: int = 25) -> Tensor:
    """Centres [count, D] of points [N, D]; a centre without points moves to one of them."""
    centres = points[_some(points, count, generator)].clone()
    for _ in range(rounds):
        nearest = torch.cdist(points, centres).argmin(1)
        sizes = torch.bincount(nearest, minlength=count)
        sums = torch.zeros_like(centres).index_add_(0, nearest, points)
        other = points[_some(points, count, generator)]
        centres = torch.where(sizes[:, None] > 0, sums / sizes.clamp(min=1)[:, None], other)
    return centres


def _some(points: Tensor, count: int, generator: torch.Generator) -> Tensor:
    return torch.randint(0, len(points), (count,), generator=generator).to(points.device)


@torch.no_grad()
def set_codes(book: Codebook, codes: Tensor) -> None:
    """Make `codes` [codes, D] the codebook."""
    book.embed_sum.copy_(codes)
    book.cluster_usage.fill_(1.0)


class Quantised(NamedTuple):
    """What a residual quantizer makes of latents."""

    vectors: Tensor  # [books, B, D, T] of each codebook's code
    codes: Tensor  # [B, books, T]


@torch.no_grad()
def quantise(quantizer: ResidualQuantizer, latent: Tensor) -> Quantised:
    """The nearest codes of every codebook in turn.

    Args:
        quantizer: its codebooks are used; its projections are not.
        latent: [B, D, T].
    """
    batch, _, frames = latent.shape
    rest = latent.transpose(1, 2).flatten(0, 1)  # [B · T, D]
    found, codes = [], []
    for book in quantizer.codebooks:
        nearest, vector = book.nearest(rest)
        rest = rest - vector
        found.append(vector.view(batch, frames, -1).transpose(1, 2))
        codes.append(nearest.view(batch, frames))
    return Quantised(torch.stack(found), torch.stack(codes, dim=1))


def vectors_of(quantizer: ResidualQuantizer, codes: Tensor) -> Tensor:
    """Vectors [books, B, D, T] of codes [B, books, T]."""
    batch, books, frames = codes.shape
    found = vectors(quantizer.codebooks[:books], [codes[:, k].flatten() for k in range(books)])
    return found.view(books, batch, frames, -1).transpose(2, 3)


@dataclass(frozen=True)
class Slips:
    """How often codes are made wrong, so that the decoder takes the words from the phonemes and forgives the rest.

    A slip begins with a codebook drawn at random, and goes on through all later ones, as a language model's does.
    """

    spoilt: float = 0.25  # of the crops; the others are as they were coded
    exchanged: float = 0.3  # of their frames: codes of another frame with the same phonemes and voice
    random: float = 0.05  # any codes; never the first codebook
    dropped: float = 0.1  # none


class Twins:
    """Finds another frame with the same phonemes and voice."""

    def __init__(self, labels: Tensor, speakers: Tensor) -> None:
        """Sort the frames by what they have in common.

        Args:
            labels: [2, T] phonemes.
            speakers: [T].
        """
        most = int(labels.max()) + 1 if labels.numel() else 1
        _, kind, sizes = torch.unique(
            (speakers * most + labels[0]) * most + labels[1], return_inverse=True, return_counts=True
        )
        self._order = kind.argsort(stable=True)
        self._kind, self._sizes, self._begins = kind, sizes, sizes.cumsum(0) - sizes

    def draw(self, frames: Tensor, generator: torch.Generator) -> Tensor:
        """One twin of each of `frames`, any shape; a frame without any is its own."""
        kind = self._kind[frames]
        place = (torch.rand(frames.shape, generator=generator) * self._sizes[kind]).long()
        twins: Tensor = self._order[self._begins[kind] + place.minimum(self._sizes[kind] - 1)]
        return twins


def slip(codes: Tensor, others: Tensor, count: int, slips: Slips, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Codes with slips in them, and which of them are heard.

    Args:
        codes: [B, books, T].
        others: the same of the frames' twins.
        count: codes of a codebook.
        slips: how often.
        generator: draws them.

    Returns:
        Codes [B, books, T] and a mask [B, books, T], false where a code adds nothing.
    """
    batch, books, frames = codes.shape
    place = torch.arange(books)[None, :, None]
    begin = torch.randint(0, books, (batch, 1, frames), generator=generator)
    kind = torch.rand(batch, 1, frames, generator=generator)
    kind[torch.rand(batch, generator=generator) >= slips.spoilt] = 1.0
    exchanged = (kind < slips.exchanged) & (place >= begin)
    upto = slips.exchanged + slips.random
    any_code = (kind >= slips.exchanged) & (kind < upto) & (place >= begin.clamp(min=1))
    dropped = (kind >= upto) & (kind < upto + slips.dropped) & (place >= begin)
    drawn = torch.randint(0, count, codes.shape, generator=generator)
    return torch.where(exchanged, others, torch.where(any_code, drawn, codes)), ~dropped
