"""A small Mimi for the corpus's two voices, whose codes are those of `training.acoustics`.

What a codec has to find out by itself is known here beforehand: which codes a frame has. So its two halves learn one
after the other, each from what is true:

1. The decoder learns to speak from codes: first the waveform alone, which says where every pulse is; then spectra as
   well, and from codes some of which are wrong on purpose, so that the words hang on the phonemes.
2. The encoder learns to hear the codes in the sound.

The labelled latents are three orthogonal parts, one for each of codebooks 0 … 2: what a codebook leaves over still has
the others' parts untouched, and the nearest code is the likeliest phoneme or pitch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from pystoi import stoi
from torch import Tensor, nn

from dia2.audio.mimi.network import Mimi, load_mimi
from dia2.audio.mimi.past import Past
from dia2.audio.mimi.quantizer import ResidualQuantizer
from training.acoustics import LABELLED, Acoustics
from training.codebooks import Slips, Twins, quantise, set_codes, slip, vectors_of
from training.codec_network import NEAR, CodecShape, build, write_mimi
from training.corpus import Recording
from training.loop import Losses, Schedule, fit
from training.phonetic import HALVES, accuracy
from training.sound_loss import SpectralLoss
from training.vocoder import FRAME, SAMPLE_RATE

_WAVE, _PHASE = 10.0, 10.0  # weights of the differences of samples and of complex spectra, beside that of magnitudes
_REST = 0.5  # weight of what the encoder misses of the latents, beside the codes that it misses
_EVALUATIONS = 8  # of each stage
_FAR = 30.0  # where codes lie that mean nothing, along a direction that nothing else uses


@dataclass(frozen=True)
class CodecSize:
    """How large the codec is, and how long it learns."""

    shape: CodecShape = field(default_factory=CodecShape)
    batch: int = 4
    crop: int = 24  # frames
    slips: Slips = field(default_factory=Slips)
    waveform: Schedule = field(default_factory=lambda: Schedule(steps=3500, peak=1.5e-3))
    decoder: Schedule = field(default_factory=lambda: Schedule(steps=5000, peak=1e-3))
    encoder: Schedule = field(default_factory=lambda: Schedule(steps=3000, peak=1.5e-3))


class Crops(NamedTuple):
    """What a step looks at."""

    samples: Tensor  # [B, N] float32
    codes: Tensor  # [B, K, T]
    latents: Tensor  # [B, D, T] that codebooks 3 and on code
    frames: Tensor  # [B, T] where these frames are among all


class Sounds:
    """Recordings end to end, from which training takes crops that begin with a frame."""

    def __init__(self, recordings: Iterable[Recording], acoustics: Acoustics) -> None:
        samples, codes, latents = [], [], []
        for recording in recordings:
            samples.append(torch.from_numpy(np.round(recording.samples * 32767).astype(np.int16)))
            codes.append(acoustics.codes(recording).to(torch.int16))
            latents.append(acoustics.latents(recording, codes[-1][:LABELLED].long()).half())
        self.samples = torch.cat(samples)  # [frames · FRAME] int16: hours of sound
        self.codes = torch.cat(codes, dim=1)  # [K, frames]
        self.latents = torch.cat(latents)  # [frames, D]
        voices = torch.tensor(acoustics.pitches).sign() + 1
        self._twins = Twins(self.codes[:HALVES].long(), voices[self.codes[HALVES].long()])

    def __len__(self) -> int:
        return self.codes.shape[1]

    def crops(self, count: int, frames: int, generator: torch.Generator) -> Crops:
        """`count` crops of so many frames, anywhere."""
        starts = torch.randint(0, len(self) - frames + 1, (count,), generator=generator)
        return self.at(starts, frames)

    def at(self, starts: Tensor, frames: int) -> Crops:
        """Crops that begin with the frames `starts` [B]."""
        at = starts[:, None] + torch.arange(frames)  # [B, T]
        samples = torch.stack([self.samples[s * FRAME : (s + frames) * FRAME] for s in starts.tolist()])
        codes, latents = self.codes[:, at].transpose(0, 1).long(), self.latents[at].transpose(1, 2).float()
        return Crops(samples.float() / 32767, codes, latents, at)

    def with_slips(self, crops: Crops, slips: Slips, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """The later codes [B, K - 3, T] of the crops with slips in them, and a mask of those that are heard."""
        others = self.codes[LABELLED:, self._twins.draw(crops.frames, generator)].transpose(0, 1).long()
        return slip(crops.codes[:, LABELLED:], others, count, slips, generator)


class Latents(NamedTuple):
    """What the encoder makes of a sound, before it is quantised."""

    labelled: Tensor  # [B, D, T]
    rest: Tensor  # [B, D, T]


class CodecTraining(nn.Module):
    """The codec, and where each phoneme and each pitch lies in its labelled latents."""

    def __init__(self, model: Mimi, acoustics: Acoustics) -> None:
        super().__init__()
        codes, self.width = model.config.codebook_size, model.config.codebook_dim // LABELLED
        names = len(acoustics.inventory.names)
        self.counts = (names, names, len(acoustics.pitches))  # codes that mean something
        most = max(self.counts)
        assert most <= codes, f"{most} phonemes or pitches are more than the {codes} codes of a codebook"
        self.model = model
        # The last dimension of each part is spare, as `build` left it.
        self.places = nn.Parameter(NEAR * torch.randn(LABELLED, most, self.width - 1))
        known = torch.arange(most) < torch.tensor(self.counts)[:, None]
        self.unknown: Tensor
        self.register_buffer("unknown", ~known, persistent=False)  # [3, codes]
        self.spectral = SpectralLoss()
        for book, vectors in zip(self.rest.codebooks, acoustics.books, strict=True):
            set_codes(book, vectors)

    @property
    def labelled(self) -> ResidualQuantizer:
        """The quantizer of phonemes and pitch."""
        return self.model.quantizer.semantic_residual_vector_quantizer

    @property
    def rest(self) -> ResidualQuantizer:
        """The quantizer of the rest."""
        return self.model.quantizer.acoustic_residual_vector_quantizer

    def latents(self, samples: Tensor) -> Latents:
        """Of samples [B, N], N a multiple of FRAME."""
        hidden = self.model.latents(samples[:, None], Past())
        return Latents(self.labelled.input_proj(hidden), self.rest.input_proj(hidden))

    def decoded(self, labelled: Tensor, rest: Tensor) -> Tensor:
        """Samples [B, N] from what the quantizers give, each [B, D, T]."""
        hidden = self.labelled.output_proj(labelled) + self.rest.output_proj(rest)
        return self.model.waveform(hidden, Past())[:, 0]

    def logits(self, labelled: Tensor) -> Tensor:
        """[B, 3, T, codes]: minus the squared distance of each part of the latents from each code's place."""
        parts = torch.stack(labelled.chunk(LABELLED, 1), 1)[:, :, :-1].transpose(2, 3)  # [B, 3, T, width - 1]
        square = parts.square().sum(-1, keepdim=True) + self.places.square().sum(-1)[:, None]
        logits: Tensor = 2 * parts @ self.places.transpose(1, 2) - square
        return logits.masked_fill(self.unknown[:, None], -torch.inf)

    def placed(self, labels: Tensor) -> Tensor:
        """The labelled latents [B, D, T] of codes [B, 3, T]."""
        parts = [F.pad(F.embedding(labels[:, k], self.places[k]), (0, 1)) for k in range(LABELLED)]
        return torch.cat(parts, dim=-1).transpose(1, 2)

    def waveform(self, crops: Crops) -> Losses:
        """Losses of the waveform that is spoken from true codes.

        A loss of magnitudes is content with pulses anywhere, and then where they should be is never learnt.
        """
        rest = vectors_of(self.rest, crops.codes[:, LABELLED:].to(self.places.device)).sum(0)
        losses = self._spoken(crops, rest)
        return losses | {"loss": _WAVE * losses["wave"] + _PHASE * losses["phase"]}

    def decoder(self, sounds: Sounds, crops: Crops, slips: Slips, generator: torch.Generator) -> Losses:
        """All losses of what is spoken from codes with slips among the later ones."""
        device = self.places.device
        codes, mask = sounds.with_slips(crops, slips, self.model.config.codebook_size, generator)
        found = vectors_of(self.rest, codes.to(device))
        return self._spoken(crops, (found * mask.transpose(0, 1)[:, :, None].to(device)).sum(0))

    def _spoken(self, crops: Crops, rest: Tensor) -> dict[str, Tensor]:
        labelled = self.placed(crops.codes[:, :LABELLED].to(rest.device))
        return self.sound_losses(self.decoded(labelled, rest), crops.samples.to(rest.device))

    def encoder(self, crops: Crops) -> Losses:
        """Losses of what is heard."""
        device = self.places.device
        latents = self.latents(crops.samples.to(device))
        labels = crops.codes[:, :LABELLED].to(device)
        code = F.cross_entropy(self.logits(latents.labelled).flatten(0, 2), labels.flatten())
        rest = (latents.rest - crops.latents.to(device)).square().mean()
        return {"loss": code + _REST * rest, "code": code, "rest": rest}

    def sound_losses(self, made: Tensor, wanted: Tensor) -> dict[str, Tensor]:
        """How far samples [B, N] are from what they should be."""
        (heard, phase), wave = self.spectral(made, wanted), (made - wanted).abs().mean()
        return {"loss": heard + _WAVE * wave + _PHASE * phase, "heard": heard, "wave": wave, "phase": phase}

    @torch.no_grad()
    def encode(self, samples: Tensor) -> Tensor:
        """Codes [K, T] of samples [N], N a multiple of FRAME."""
        latents = self.latents(samples[None].to(self.places.device))
        heard = self.logits(latents.labelled).argmax(-1)  # [1, 3, T]
        return torch.cat((heard, quantise(self.rest, latents.rest).codes), dim=1)[0].cpu()

    @torch.no_grad()
    def decode(self, codes: Tensor) -> Tensor:
        """Samples [N] of codes [K, T]."""
        codes = codes[None].to(self.places.device)
        rest = vectors_of(self.rest, codes[:, LABELLED:]).sum(0)
        return self.decoded(self.placed(codes[:, :LABELLED]), rest)[0].cpu()

    @torch.no_grad()
    def settle(self) -> None:
        """Write the places into the first codebooks, as the runtime finds them."""
        for k, (book, count) in enumerate(zip(self.labelled.codebooks, self.counts, strict=True)):
            codes = torch.zeros_like(book.embed_sum)
            begin, end = k * self.width, (k + 1) * self.width - 1
            codes[:count, begin:end] = self.places[k, :count]
            codes[count:, begin:end] = self.places[k, 0]  # sounds as silence, and is never nearest
            codes[count:, end] = _FAR
            set_codes(book, codes)

    @torch.no_grad()
    def take(self, trained: Mimi) -> None:
        """Begin with a codec that was written."""
        self.model.load_state_dict(trained.state_dict())
        for k, (book, count) in enumerate(zip(self.labelled.codebooks, self.counts, strict=True)):
            self.places[k, :count] = book.embed_sum[:count, k * self.width : (k + 1) * self.width - 1]

    def hold(self, *, encoder: bool) -> None:
        """Leave only one half to be trained: what hears (`encoder` False), or what speaks."""
        model = self.model
        hears = (model.encoder, model.encoder_transformer, model.downsample)
        speaks = (model.decoder, model.decoder_transformer, model.upsample)
        quantizers = (self.labelled, self.rest)
        for part in (*hears, *(q.input_proj for q in quantizers)):
            part.requires_grad_(not encoder)
        for part in (*speaks, *(q.output_proj for q in quantizers)):
            part.requires_grad_(encoder)
        self.places.requires_grad_(encoder)


@dataclass(frozen=True)
class CodecData:
    """What a codec learns from, and is judged by."""

    sounds: Sounds
    acoustics: Acoustics
    validation: Sequence[Recording]


def mean_stoi(made: Sequence[Tensor], recordings: Sequence[Recording]) -> float:
    """Mean intelligibility (STOI) of samples [N] that were made of recordings, pauses at the end left out."""
    scores = []
    for samples, recording in zip(made, recordings, strict=True):
        count = int(recording.end * SAMPLE_RATE)
        scores.append(stoi(recording.samples[:count], samples.numpy()[:count], SAMPLE_RATE))
    return float(np.mean(scores))


def spoken_figures(training: CodecTraining, data: CodecData) -> dict[str, float]:
    """How well unseen recordings are spoken from their true codes."""
    made = [training.decode(data.acoustics.codes(r)) for r in data.validation]
    losses = [
        training.sound_losses(m[None], torch.from_numpy(r.samples)[None])
        for m, r in zip(made, data.validation, strict=True)
    ]
    means = {name: float(np.mean([float(loss[name]) for loss in losses])) for name in losses[0]}
    return means | {"stoi": mean_stoi(made, data.validation)}


def heard_figures(training: CodecTraining, data: CodecData) -> dict[str, float]:
    """How well unseen recordings are heard: labels, the share of the rest that is missed, and all of it spoken."""
    true = [data.acoustics.codes(r) for r in data.validation]
    heard = [training.encode(torch.from_numpy(r.samples)) for r in data.validation]
    missed, size = 0.0, 0.0
    with torch.no_grad():
        for recording, codes in zip(data.validation, true, strict=True):
            wanted = data.acoustics.latents(recording, codes[:LABELLED])
            rest = training.latents(torch.from_numpy(recording.samples)[None].to(training.places.device)).rest[0]
            missed += float((rest.T.cpu() - wanted).square().sum())
            size += float(wanted.square().sum())
    phonemes, pitches = slice(0, HALVES), slice(HALVES, LABELLED)
    figures = {
        "phonemes": accuracy([c[phonemes] for c in heard], [c[phonemes] for c in true]),
        "pitch": accuracy([c[pitches] for c in heard], [c[pitches] for c in true]),
        "rest missed": missed / size,
    }
    figures["loss"] = 2 - figures["phonemes"] - figures["pitch"] + figures["rest missed"]
    return figures | {"stoi": mean_stoi([training.decode(c) for c in heard], data.validation)}


def train_decoder(
    folder: Path, size: CodecSize, data: CodecData, *, device: torch.device, seed: int = 0
) -> Mapping[str, float]:
    """The half that speaks, from where a run that was stopped left it; nothing where it is done.

    `folder/speaks` is the result, a codec whose encoder has not learnt yet.

    Args:
        folder: of the run.
        size: of the codec and its schedules.
        data: to learn from.
        device: where to train.
        seed: of weights, crops and slips.

    Returns:
        What was reached; empty where it was there.
    """
    if (folder / "speaks" / "model.safetensors").exists():
        return {}
    training = _training(size, data, device, seed)
    training.hold(encoder=True)

    def waveform(generator: torch.Generator) -> Losses:
        return training.waveform(data.sounds.crops(size.batch, size.crop, generator))

    def decoder(generator: torch.Generator) -> Losses:
        crops = data.sounds.crops(size.batch, size.crop, generator)
        return training.decoder(data.sounds, crops, size.slips, generator)

    def figures() -> dict[str, float]:
        return spoken_figures(training, data)

    _fit(folder / "waveform", training, waveform, size.waveform, figures, seed, "codec, waveform")
    found = _fit(folder / "decoder", training, decoder, size.decoder, figures, seed + 1, "codec, decoder")
    training.settle()
    write_mimi(folder / "speaks", training.model, torch.float32)
    return found


def train_encoder(
    folder: Path, size: CodecSize, data: CodecData, *, device: torch.device, seed: int = 0
) -> Mapping[str, float]:
    """The half that hears, beside what `train_decoder` left in `folder`; `folder/mimi` is the result.

    Args:
        folder: of the run.
        size: of the codec and its schedules.
        data: to learn from.
        device: where to train.
        seed: of crops.

    Returns:
        What was reached; empty where it was there.

    Raises:
        CheckpointError: there is no decoder yet.
    """
    if (folder / "mimi" / "model.safetensors").exists():
        return {}
    training = _training(size, data, device, seed)
    training.take(load_mimi(folder / "speaks", str(folder / "speaks"), device))
    training.hold(encoder=False)

    def loss(generator: torch.Generator) -> Losses:
        return training.encoder(data.sounds.crops(size.batch, size.crop, generator))

    def figures() -> dict[str, float]:
        return heard_figures(training, data)

    found = _fit(folder / "encoder", training, loss, size.encoder, figures, seed + 2, "codec, encoder")
    training.settle()
    write_mimi(folder / "mimi", training.model, torch.float16)
    return found


def _training(size: CodecSize, data: CodecData, device: torch.device, seed: int) -> CodecTraining:
    return CodecTraining(build(size.shape, seed), data.acoustics).to(device)


def _fit(
    folder: Path,
    training: CodecTraining,
    loss: Callable[[torch.Generator], Losses],
    schedule: Schedule,
    figures: Callable[[], dict[str, float]],
    seed: int,
    title: str,
) -> dict[str, float]:
    return fit(
        folder,
        training,
        loss,
        schedule,
        evaluate=lambda _: figures(),
        evaluate_every=max(1, schedule.steps // _EVALUATIONS),
        betas=(0.8, 0.99),
        seed=seed,
        title=title,
    )
