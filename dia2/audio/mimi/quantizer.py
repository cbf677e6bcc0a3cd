"""Residual vector quantization: a vector as codes, each of which says what those before it have left over."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import reduce

import torch
from torch import Tensor, nn

from dia2.audio.mimi.config import MimiConfig

_LEAST_USAGE = 1e-5


class Codebook(nn.Module):
    """Vectors, stored as training keeps them: sums of what fell to each code, and how much that was."""

    def __init__(self, config: MimiConfig) -> None:
        super().__init__()
        self.initialized = nn.Parameter(torch.ones(1), requires_grad=False)  # read by training alone
        self.cluster_usage = nn.Parameter(torch.ones(config.codebook_size), requires_grad=False)
        self.embed_sum = nn.Parameter(torch.zeros(config.codebook_size, config.codebook_dim), requires_grad=False)

    def nearest(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Codes [T] of the vectors that are nearest to `x` [T, d], and these vectors [T, d]."""
        known = self.embed_sum / self.cluster_usage.clamp(min=_LEAST_USAGE)[:, None]
        codes = torch.cdist(x[None], known[None])[0].argmin(dim=-1)
        return codes, known[codes]


def vectors(books: Sequence[Codebook], codes: Sequence[Tensor]) -> Tensor:
    """Vectors [k, T, d] of `codes`, k times [T], each in a book of its own."""
    sums = torch.stack([book.embed_sum.index_select(0, row) for book, row in zip(books, codes, strict=True)])
    usage = torch.stack([book.cluster_usage.index_select(0, row) for book, row in zip(books, codes, strict=True)])
    return sums / usage.clamp(min=_LEAST_USAGE)[..., None]


class ResidualQuantizer(nn.Module):
    """Codebooks one after the other, in a space of their own."""

    def __init__(self, config: MimiConfig, count: int) -> None:
        super().__init__()
        self.codebooks = [Codebook(config) for _ in range(count)]
        self.layers = nn.ModuleList(nn.ModuleDict({"codebook": book}) for book in self.codebooks)  # the published names
        self.input_proj: nn.Module = nn.Identity()
        self.output_proj: nn.Module = nn.Identity()
        if config.codebook_dim != config.hidden_size:
            self.input_proj = nn.Conv1d(config.hidden_size, config.codebook_dim, 1, bias=False)
            self.output_proj = nn.Conv1d(config.codebook_dim, config.hidden_size, 1, bias=False)

    def encode(self, latents: Tensor, count: int) -> Tensor:
        """Codes [count, T] of `latents` [1, D, T] in the first codebooks."""
        rest = self.input_proj(latents)[0].T.contiguous()  # [T, d]
        found = []
        for book in self.codebooks[:count]:
            codes, vector = book.nearest(rest)
            rest = rest - vector
            found.append(codes)
        return torch.stack(found)

    def decode(self, codes: Tensor, heard: Sequence[bool]) -> Tensor:
        """Latents [1, D, T] of `codes` [k, T] in the first k codebooks; those that are not heard add nothing."""
        books = [book for book, use in zip(self.codebooks, heard, strict=False) if use]
        if books:
            parts = vectors(books, [row for row, use in zip(codes, heard, strict=True) if use])
            total = reduce(torch.add, parts.unbind())  # [T, d]; in this order, which `sum` does not promise
        else:
            total = self.codebooks[0].embed_sum.new_zeros(codes.shape[1], self.codebooks[0].embed_sum.shape[1])
        latents: Tensor = self.output_proj(total.T[None])
        return latents


class SplitQuantizer(nn.Module):
    """The first codebooks say what was said, the others how it sounded; each group begins with the whole latents."""

    def __init__(self, config: MimiConfig) -> None:
        super().__init__()
        self.split = config.num_semantic_quantizers
        self.semantic_residual_vector_quantizer = ResidualQuantizer(config, self.split)
        self.acoustic_residual_vector_quantizer = ResidualQuantizer(config, config.num_quantizers - self.split)

    def encode(self, latents: Tensor, count: int) -> Tensor:
        """Codes [count, T] of `latents` [1, D, T], of at least the first group's codebooks."""
        codes = self.semantic_residual_vector_quantizer.encode(latents, self.split)
        if count == self.split:
            return codes
        return torch.cat((codes, self.acoustic_residual_vector_quantizer.encode(latents, count - self.split)))

    def decode(self, codes: Tensor, muted: Collection[int] = ()) -> Tensor:
        """Latents [1, D, T] of `codes` [k, T] in the first k codebooks; the `muted` ones add nothing."""
        heard = [book not in muted for book in range(len(codes))]
        split = self.split
        latents = self.semantic_residual_vector_quantizer.decode(codes[:split], heard[:split])
        if len(codes) > split:
            latents = latents + self.acoustic_residual_vector_quantizer.decode(codes[split:], heard[split:])
        return latents
