"""A small Mimi for the corpus's two voices: trained in two stages, without a discriminator.

1. Continuous: encoder, projections and decoder learn together, with a little noise instead of quantisation.
2. The codebooks are fitted once, by residual k-means on the encoder's latents; encoder and codebooks then stay as they
   are (codes may be made from here on), and the decoder learns to speak from what is left.

Codebooks that move while the encoder does are the trap: moving averages stalled one trial and cost another a third of
its intelligibility (docs/log.md).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from pystoi import stoi
from torch import Tensor, nn
from transformers import MimiConfig, MimiModel

from training.corpus import FRAME_RATE, Recording
from training.espeak import SAMPLE_RATE
from training.locking import FRAME
from training.loop import Losses, Schedule, fit

_SCALES = ((256, 16), (512, 40), (1024, 64), (2048, 80))  # transform sizes and mel bands of the loss
_NOISE = 0.05  # of the latents' standard deviation, in the first stage
_MEL, _MAGNITUDE, _WAVE, _PHONEME = 2.0, 3.0, 10.0, 0.1  # weights of the losses


@dataclass(frozen=True)
class CodecSize:
    """How large the codec is, and how long it learns."""

    filters: int = 16
    hidden: int = 128
    layers: int = 2
    codebooks: int = 8
    codes: int = 256
    latent: int = 32  # width of what is quantised
    batch: int = 3
    crop: int = 12  # frames
    decoder_batch: int = 1  # in the second stage, whose crops fill the decoder's window of attention
    decoder_crop: int = 48  # frames
    continuous: Schedule = field(default_factory=lambda: Schedule(steps=3000, peak=1e-3))
    quantised: Schedule = field(default_factory=lambda: Schedule(steps=3000, peak=6e-4))


def build(size: CodecSize) -> MimiModel:
    """An untrained codec: 24 kHz, 12.5 frames a second, one semantic codebook."""
    model = MimiModel(
        MimiConfig(
            num_filters=size.filters,
            hidden_size=size.hidden,
            intermediate_size=4 * size.hidden,
            num_hidden_layers=size.layers,
            num_attention_heads=4,
            num_key_value_heads=4,
            head_dim=size.hidden // 4,
            num_quantizers=size.codebooks,
            codebook_size=size.codes,
            codebook_dim=size.latent,
            vector_quantization_hidden_dimension=size.latent,
            upsample_groups=size.hidden,
            upsampling_ratios=[8, 6, 5, 4],
            sliding_window=50,
            layer_scale_initial_scale=0.1,
        )
    )
    last = model.decoder.decoder_seanet.layers[-1].conv
    with torch.no_grad():  # begin near silence
        last.weight.mul_(0.05)
        last.bias.zero_()
    return model


class Sounds:
    """Recordings end to end, from which training takes crops that begin with a frame."""

    def __init__(self, recordings: Sequence[Recording], phonemes: Sequence[str]) -> None:
        self.samples = torch.from_numpy(np.concatenate([r.samples for r in recordings]))
        numbers = {name: i for i, name in enumerate(phonemes)}
        labels: list[Any] = []
        for recording in recordings:
            starts = np.array([start for _, start in recording.phonemes])
            names = np.array([numbers.get(name, 0) for name, _ in recording.phonemes])
            middles = (np.arange(len(recording.samples) // FRAME) + 0.5) / FRAME_RATE
            at = np.searchsorted(starts, middles, side="right") - 1
            labels.append(np.where(at >= 0, names[np.maximum(at, 0)], 0))
        self.labels = torch.from_numpy(np.concatenate(labels))  # [frames] the phoneme in the middle of each

    def crops(self, count: int, frames: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Samples [count, frames · FRAME] and phonemes [count, frames]."""
        starts = torch.randint(0, len(self.labels) - frames, (count,), generator=generator).tolist()
        samples = torch.stack([self.samples[s * FRAME : (s + frames) * FRAME] for s in starts])
        return samples, torch.stack([self.labels[s : s + frames] for s in starts])


def phoneme_names(recordings: Sequence[Recording]) -> list[str]:
    """All phonemes of the recordings, after the one that stands for silence and for unknown ones."""
    return ["_", *sorted({name for r in recordings for name, _ in r.phonemes} - {"_"})]


class SpectralLoss(nn.Module):
    """Mel and magnitude spectra at several resolutions, compared in absolute difference."""

    def __init__(self) -> None:
        super().__init__()
        for size, bands in _SCALES:
            self.register_buffer(f"mel{size}", mel_filters(size, bands))
            self.register_buffer(f"window{size}", torch.hann_window(size))

    def forward(self, made: Tensor, wanted: Tensor) -> Tensor:
        """Distance of samples [B, N]."""
        both = torch.cat([made, wanted])
        total = made.new_zeros(())
        for size, _ in _SCALES:
            window, mel = getattr(self, f"window{size}"), getattr(self, f"mel{size}")
            spectrum = torch.stft(both, size, size // 4, window=window, return_complex=True) / math.sqrt(size)
            magnitude = (torch.view_as_real(spectrum).square().sum(-1) + 1e-9).sqrt()  # [2B, bins, T]
            first, second = magnitude.chunk(2)
            mel_first, mel_second = torch.log10(mel @ magnitude + 1e-4).chunk(2)
            total = total + _MEL * (mel_first - mel_second).abs().mean() + _MAGNITUDE * (first - second).abs().mean()
        return total / len(_SCALES)


def mel_filters(size: int, bands: int, low: float = 0.0, high: float = SAMPLE_RATE / 2) -> Tensor:
    """Triangles [bands, size / 2 + 1] that sum to one, evenly spaced in mel."""
    edges_mel = np.linspace(2595 * np.log10(1 + low / 700), 2595 * np.log10(1 + high / 700), bands + 2)
    edges = 700 * (10 ** (edges_mel / 2595) - 1)
    bins = np.linspace(0, SAMPLE_RATE / 2, size // 2 + 1)
    up = (bins[None] - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    down = (edges[2:, None] - bins[None]) / (edges[2:] - edges[1:-1])[:, None]
    filters = np.maximum(0, np.minimum(up, down))
    return torch.tensor(filters / np.maximum(filters.sum(1, keepdims=True), 1e-3), dtype=torch.float32)


class CodecTraining(nn.Module):
    """The codec, and a head that asks its semantic part for the phoneme."""

    def __init__(self, model: Any, phonemes: int) -> None:
        super().__init__()
        self.model = model
        self.head = nn.Linear(model.config.codebook_dim, phonemes)
        self.spectral = SpectralLoss()

    @property
    def semantic(self) -> Any:
        """The quantizer of codebook 0."""
        return self.model.quantizer.semantic_residual_vector_quantizer

    @property
    def acoustic(self) -> Any:
        """The quantizer of the other codebooks."""
        return self.model.quantizer.acoustic_residual_vector_quantizer

    def latents(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        """What the two quantizers quantise, each [B, latent, T]; samples [B, N]."""
        hidden = self.model.encoder(samples[:, None]).latents
        return self.semantic.input_proj(hidden), self.acoustic.input_proj(hidden)

    def decoded(self, semantic: Tensor, acoustic: Tensor) -> Tensor:
        """Samples [B, N] from what the quantizers give."""
        hidden = self.semantic.output_proj(semantic) + self.acoustic.output_proj(acoustic)
        out: Tensor = self.model.decoder(hidden).audio_values[:, 0]
        return out

    def continuous(self, samples: Tensor, phonemes: Tensor, generator: torch.Generator) -> Losses:
        """Losses of the first stage."""
        semantic, acoustic = self.latents(samples)
        guess = self.head(semantic.transpose(1, 2))  # [B, T, phonemes]
        made = self.decoded(_noisy(semantic, generator), _noisy(acoustic, generator))
        losses = self._sound_losses(made, samples)
        losses["phoneme"] = F.cross_entropy(guess.flatten(0, 1), phonemes.flatten())
        losses["loss"] = losses["loss"] + _PHONEME * losses["phoneme"]
        return losses

    def quantised(self, samples: Tensor) -> Losses:
        """Losses of the second stage."""
        with torch.no_grad():
            semantic, acoustic = self.latents(samples)
            semantic, acoustic = quantise(self.semantic, semantic), quantise(self.acoustic, acoustic)
        return self._sound_losses(self.decoded(semantic, acoustic), samples)

    def _sound_losses(self, made: Tensor, wanted: Tensor) -> dict[str, Tensor]:
        spectral, wave = self.spectral(made, wanted), (made - wanted).abs().mean()
        return {"loss": spectral + _WAVE * wave, "spectral": spectral, "wave": wave}

    def freeze(self) -> None:
        """Leave only what speaks to be trained: the output projections and the decoder."""
        for part in (self.model.encoder, self.semantic.input_proj, self.acoustic.input_proj, self.head):
            part.requires_grad_(False)


def _noisy(x: Tensor, generator: torch.Generator) -> Tensor:
    return x + _NOISE * x.detach().std() * torch.randn(x.shape, generator=generator)


def quantise(quantizer: Any, latent: Tensor) -> Tensor:
    """The sum of the nearest codes of every codebook in turn; latent [B, latent, T]."""
    rest = latent.transpose(1, 2)  # [B, T, latent]
    total = torch.zeros_like(rest)
    for layer in quantizer.layers:
        book = layer.codebook.embed
        nearest = book[torch.cdist(rest.flatten(0, 1), book).argmin(-1)].view_as(rest)
        total, rest = total + nearest, rest - nearest
    return total.transpose(1, 2)


@torch.no_grad()
def fit_codebooks(training: CodecTraining, sounds: Sounds, frames: int, seed: int = 0) -> dict[str, float]:
    """Fit all codebooks to the latents of about `frames` frames; returns the share of variance that is left."""
    training.eval()
    generator = torch.Generator().manual_seed(seed)
    length = min(50, len(sounds.labels) - 1)
    semantic: list[Tensor] = []
    acoustic: list[Tensor] = []
    for _ in range(max(1, frames // length)):
        crop, _ = sounds.crops(1, length, generator)
        for kept, latent in zip((semantic, acoustic), training.latents(crop), strict=True):
            kept.append(latent[0].T)
    left = {}
    for name, quantizer, kept in (("semantic", training.semantic, semantic), ("acoustic", training.acoustic, acoustic)):
        rest = torch.cat(kept)
        variance = rest.var(0).sum()
        for layer in quantizer.layers:
            book = layer.codebook
            centres = k_means(rest, book.codebook_size, generator)
            set_codes(book, centres)
            rest = rest - centres[torch.cdist(rest, centres).argmin(1)]
        left[name] = float(rest.var(0).sum() / variance)
    return left


def k_means(points: Tensor, count: int, generator: torch.Generator, rounds: int = 25) -> Tensor:
    """Centres [count, D] of points [N, D]; a centre without points moves to one of them."""
    centres = points[torch.randint(0, len(points), (count,), generator=generator)].clone()
    for _ in range(rounds):
        nearest = torch.cdist(points, centres).argmin(1)
        sizes = torch.bincount(nearest, minlength=count)
        sums = torch.zeros_like(centres).index_add_(0, nearest, points)
        other = points[torch.randint(0, len(points), (count,), generator=generator)]
        centres = torch.where(sizes[:, None] > 0, sums / sizes.clamp(min=1)[:, None], other)
    return centres


def set_codes(book: Any, codes: Tensor) -> None:
    """Make `codes` [codes, D] the codebook; Mimi keeps it as sums and counts, and a copy of their quotient."""
    book.embed_sum.copy_(codes)
    book.cluster_usage.fill_(1.0)
    book._embed = None


def mean_stoi(model: Any, recordings: Sequence[Recording]) -> float:
    """Mean intelligibility (STOI) of recordings that went through the codec, pauses at the end left out."""

    def through(samples: Tensor) -> Tensor:
        decoded: Tensor = model.decode(model.encode(samples[None]).audio_codes).audio_values[0]
        return decoded

    return mean_stoi_through(through, recordings)


@torch.no_grad()
def mean_stoi_through(through: Callable[[Tensor], Tensor], recordings: Sequence[Recording]) -> float:
    """Mean STOI of what `through` makes of samples [1, N]."""
    scores = []
    for recording in recordings:
        made = through(torch.from_numpy(recording.samples)[None])[0].numpy()
        count = int(recording.end * SAMPLE_RATE)
        scores.append(stoi(recording.samples[:count], made[:count], SAMPLE_RATE))
    return float(np.mean(scores))


def train_codec(
    folder: Path,
    size: CodecSize,
    recordings: Sequence[Recording],
    validation: Sequence[Recording],
    *,
    stages: Sequence[int] = (1, 2),
    seed: int = 0,
) -> Mapping[str, float]:
    """Train a codec in `folder`, from where a run that was stopped left it.

    `folder/encoder` appears after the first stage: encoder and codebooks are final there, its decoder is not.
    `folder/mimi` is the result.

    Args:
        folder: of the run.
        size: of the codec and its schedules.
        recordings: to learn from.
        validation: for the figures.
        stages: which of the two to run.
        seed: of weights and crops.
    """
    torch.manual_seed(seed)
    phonemes = phoneme_names(recordings)
    sounds = Sounds(recordings, phonemes)
    training = CodecTraining(build(size), len(phonemes))
    figures: dict[str, float] = {}
    encoder = folder / "encoder"
    if 1 in stages and not encoder.exists():
        figures = fit(
            folder / "continuous",
            training,
            lambda g: training.continuous(*sounds.crops(size.batch, size.crop, g), g),
            size.continuous,
            evaluate=lambda _: {
                "stoi": mean_stoi_through(lambda samples: training.decoded(*training.latents(samples)), validation)
            },
            evaluate_every=500,
            betas=(0.8, 0.99),
            seed=seed,
            title="codec, continuous",
        )
        left = fit_codebooks(training, sounds, frames=min(60_000, len(sounds.labels)))
        figures |= {f"variance left, {name}": value for name, value in left.items()}
        figures["stoi, quantised"] = mean_stoi(training.model, validation)
        training.model.save_pretrained(encoder)
    if 2 in stages:
        training.model.load_state_dict(MimiModel.from_pretrained(encoder).state_dict())
        for quantizer in (training.semantic, training.acoustic):
            for layer in quantizer.layers:
                set_codes(layer.codebook, layer.codebook.embed_sum.clone())
        training.freeze()
        figures = fit(
            folder / "quantised",
            training,
            lambda g: training.quantised(sounds.crops(size.decoder_batch, size.decoder_crop, g)[0]),
            size.quantised,
            evaluate=lambda _: {"stoi": mean_stoi(training.model, validation)},
            evaluate_every=500,
            betas=(0.8, 0.99),
            seed=seed + 1,
            title="codec, quantised",
        )
        training.model.half().save_pretrained(folder / "mimi")
    return figures
