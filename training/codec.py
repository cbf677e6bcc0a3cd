"""A small Mimi for the corpus's two voices, whose first two codebooks say the phoneme of each half frame.

1. Continuous: encoder, phonemes and decoder learn together. What is not phonetic goes through noise that lets as much
   through as the later codebooks will.
2. Quantised: residual k-means gives the codebooks a place to begin, and from there they learn with the codec.
   Encoder and codebooks are final after it: codes may be made.
3. Decoder: it alone learns on, from codes in which some are wrong, so that the words hang on the phonemes.

The phonetic half of the latents is two orthogonal halves of its own, one for each codebook: what the first codebook
leaves over still has the second's part untouched, and the nearest code is the likeliest phoneme.
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
from training.codebooks import Slips, Twins, fit_residual, quantise, set_codes, slip, vectors_of
from training.codec_network import NEAR, CodecShape, build, write_mimi
from training.corpus import Recording
from training.espeak import SAMPLE_RATE
from training.locking import FRAME
from training.loop import Losses, Schedule, fit
from training.phonetic import HALVES, Inventory, accuracy, speakers
from training.sound_loss import SpectralLoss

_NOISE = 0.2  # of the acoustic latents' size: about what six codebooks of 256 leave over of sounds they don't know
_WAVE, _PHONEME, _COMMITMENT = 10.0, 0.3, 0.25  # weights of the losses, beside the spectral one
_HEARD = 0.15  # of the crops, that the decoder speaks from the phonemes the encoder heard instead of the true ones
_FEWER = 0.3  # of the crops, in the second stage, that are spoken from the first codebooks alone
_EVALUATIONS = 8  # of each stage
_FITTED = 60_000  # frames that k-means looks at
_TINY = 1e-6
_FAR = 30.0  # where codes lie that no phoneme has, along a direction that nothing else uses


@dataclass(frozen=True)
class CodecSize:
    """How large the codec is, and how long it learns."""

    shape: CodecShape = field(default_factory=CodecShape)
    batch: int = 4
    crop: int = 24  # frames
    decoder_batch: int = 2  # in the last stage, whose crops are longer than the decoder's window of attention
    decoder_crop: int = 48  # frames
    slips: Slips = field(default_factory=Slips)
    continuous: Schedule = field(default_factory=lambda: Schedule(steps=6000, peak=1.5e-3))
    quantised: Schedule = field(default_factory=lambda: Schedule(steps=3000, peak=8e-4))
    decoder: Schedule = field(default_factory=lambda: Schedule(steps=6000, peak=8e-4))


class Crops(NamedTuple):
    """What a step looks at."""

    samples: Tensor  # [B, N] float32
    labels: Tensor  # [B, 2, T] phonemes
    frames: Tensor  # [B, T] where these frames are among all


class Sounds:
    """Recordings end to end, from which training takes crops that begin with a frame."""

    def __init__(self, recordings: Iterable[Recording], inventory: Inventory) -> None:
        samples, labels, who = [], [], []
        for recording in recordings:
            samples.append(torch.from_numpy(np.round(recording.samples * 32767).astype(np.int16)))
            labels.append(inventory.labels(recording))
            who.append(speakers(recording))
        self.samples = torch.cat(samples)  # [frames · FRAME] int16: hours of sound
        self.labels = torch.cat(labels, dim=1)  # [2, frames]
        self.speakers = torch.cat(who)  # [frames]

    def __len__(self) -> int:
        return self.labels.shape[1]

    def crops(self, count: int, frames: int, generator: torch.Generator) -> Crops:
        """`count` crops of so many frames, anywhere."""
        starts = torch.randint(0, len(self) - frames + 1, (count,), generator=generator)
        return self.at(starts, frames)

    def at(self, starts: Tensor, frames: int) -> Crops:
        """Crops that begin with the frames `starts` [B]."""
        at = starts[:, None] + torch.arange(frames)  # [B, T]
        samples = torch.stack([self.samples[s * FRAME : (s + frames) * FRAME] for s in starts.tolist()])
        return Crops(samples.float() / 32767, self.labels[:, at].transpose(0, 1), at)


class Latents(NamedTuple):
    """What the encoder makes of a sound, before it is quantised."""

    semantic: Tensor  # [B, D, T]
    acoustic: Tensor  # [B, D, T]


class CodecTraining(nn.Module):
    """The codec, and where each phoneme lies in its phonetic latents."""

    def __init__(self, model: Mimi, phonemes: int) -> None:
        super().__init__()
        codes, width = model.config.codebook_size, model.config.codebook_dim // HALVES
        assert phonemes <= codes, f"{phonemes} phonemes are more than the {codes} codes of a codebook"
        self.model = model
        # The last dimension of each half is spare, as `build` left it.
        self.places = nn.Parameter(NEAR * torch.randn(HALVES, phonemes, width - 1))
        self.spectral = SpectralLoss()

    @property
    def semantic(self) -> ResidualQuantizer:
        """The quantizer of the phonemes."""
        return self.model.quantizer.semantic_residual_vector_quantizer

    @property
    def acoustic(self) -> ResidualQuantizer:
        """The quantizer of the rest."""
        return self.model.quantizer.acoustic_residual_vector_quantizer

    def latents(self, samples: Tensor) -> Latents:
        """Of samples [B, N], N a multiple of FRAME."""
        hidden = self.model.latents(samples[:, None], Past())
        return Latents(self.semantic.input_proj(hidden), self.acoustic.input_proj(hidden))

    def decoded(self, semantic: Tensor, acoustic: Tensor) -> Tensor:
        """Samples [B, N] from what the quantizers give, each [B, D, T]."""
        hidden = self.semantic.output_proj(semantic) + self.acoustic.output_proj(acoustic)
        return self.model.waveform(hidden, Past())[:, 0]

    def phoneme_logits(self, semantic: Tensor) -> Tensor:
        """[B, 2, T, phonemes]: minus the squared distance of each half of the latents from each phoneme."""
        halves = torch.stack(semantic.chunk(HALVES, 1), 1)[:, :, :-1].transpose(2, 3)  # [B, 2, T, D / 2 - 1]
        square = halves.square().sum(-1, keepdim=True) + self.places.square().sum(-1)[:, None]
        logits: Tensor = 2 * halves @ self.places.transpose(1, 2) - square
        return logits

    def phonetic(self, labels: Tensor) -> Tensor:
        """The phonetic latents [B, D, T] of phonemes [B, 2, T]."""
        halves = [F.pad(F.embedding(labels[:, k], self.places[k]), (0, 1)) for k in range(HALVES)]
        return torch.cat(halves, dim=-1).transpose(1, 2)

    def continuous(self, crops: Crops, generator: torch.Generator) -> Losses:
        """Losses of the first stage."""
        latents, losses, semantic = self._hear(crops, generator)
        size = latents.acoustic.detach().square().mean().sqrt()
        noise = torch.randn(latents.acoustic.shape, generator=generator).to(size.device)
        return self._spoken(semantic, latents.acoustic + _NOISE * size * noise, crops, losses)

    def quantised(self, crops: Crops, generator: torch.Generator) -> Losses:
        """Losses of the second stage; its codebooks move."""
        latents, losses, semantic = self._hear(crops, generator)
        found = quantise(self.acoustic, latents.acoustic, generator)
        whole = found.vectors.sum(0)
        size = latents.acoustic.detach().square().mean() + _TINY  # silence may be nothing at all
        losses["commitment"] = (latents.acoustic - whole).square().mean() / size
        books = len(found.vectors)
        count = torch.randint(1, books + 1, (len(whole),), generator=generator)
        count[torch.rand(len(whole), generator=generator) >= _FEWER] = books
        used = (torch.arange(books)[:, None] < count).to(whole.device)  # [books, B]
        kept = (found.vectors * used[..., None, None]).sum(0)
        acoustic = latents.acoustic + (kept - latents.acoustic).detach()  # gradients go straight through
        losses = self._spoken(semantic, acoustic, crops, losses)
        return losses | {"loss": losses["loss"] + _COMMITMENT * losses["commitment"]}

    def decoder(self, crops: Crops, coded: Coded, slips: Slips, generator: torch.Generator) -> Losses:
        """Losses of the last stage."""
        codes, mask = coded.with_slips(crops, slips, self.model.config.codebook_size, generator)
        heard = torch.rand(len(codes), generator=generator) < _HEARD
        labels = torch.where(heard[:, None, None], codes[:, :HALVES], crops.labels)
        device = self.places.device
        found = vectors_of(self.acoustic, codes[:, HALVES:].to(device))
        acoustic = (found * mask.transpose(0, 1)[:, :, None].to(device)).sum(0)
        return self._spoken(self.phonetic(labels.to(device)), acoustic, crops, {})

    def _hear(self, crops: Crops, generator: torch.Generator) -> tuple[Latents, dict[str, Tensor], Tensor]:
        """Latents, the loss of the phonemes, and the phonetic latents to speak from [B, D, T]."""
        labels = crops.labels.to(self.places.device)
        latents = self.latents(crops.samples.to(self.places.device))
        logits = self.phoneme_logits(latents.semantic)
        losses = {"phoneme": F.cross_entropy(logits.flatten(0, 2), labels.flatten())}
        heard = (torch.rand(len(labels), generator=generator) < _HEARD).to(labels.device)
        said = torch.where(heard[:, None, None], logits.argmax(-1), labels)
        return latents, losses, self.phonetic(said)

    def _spoken(self, semantic: Tensor, acoustic: Tensor, crops: Crops, losses: dict[str, Tensor]) -> dict[str, Tensor]:
        found = self.sound_losses(self.decoded(semantic, acoustic), crops.samples.to(semantic.device)) | losses
        if "phoneme" in losses:
            found["loss"] = found["loss"] + _PHONEME * losses["phoneme"]
        return found

    def sound_losses(self, made: Tensor, wanted: Tensor) -> dict[str, Tensor]:
        """How far samples [B, N] are from what they should be."""
        spectral, wave = self.spectral(made, wanted), (made - wanted).abs().mean()
        return {"loss": spectral + _WAVE * wave, "spectral": spectral, "wave": wave}

    @torch.no_grad()
    def encode(self, samples: Tensor) -> Tensor:
        """Codes [K, T] of samples [N], N a multiple of FRAME."""
        latents = self.latents(samples[None].to(self.places.device))
        heard = self.phoneme_logits(latents.semantic).argmax(-1)  # [1, 2, T]
        acoustic = quantise(self.acoustic, latents.acoustic).codes
        return torch.cat((heard, acoustic), dim=1)[0].cpu()

    @torch.no_grad()
    def decode(self, codes: Tensor) -> Tensor:
        """Samples [N] of codes [K, T]."""
        codes = codes[None].to(self.places.device)
        acoustic = vectors_of(self.acoustic, codes[:, HALVES:]).sum(0)
        return self.decoded(self.phonetic(codes[:, :HALVES]), acoustic)[0].cpu()

    @torch.no_grad()
    def settle(self) -> None:
        """Write the phonemes' places into the first codebooks, as the runtime finds them."""
        width = self.model.config.codebook_dim // HALVES
        for k, book in enumerate(self.semantic.codebooks):
            codes = torch.zeros_like(book.embed_sum)
            begin, count = k * width, self.places.shape[1]
            codes[:count, begin : begin + width - 1] = self.places[k]
            codes[count:, begin : begin + width - 1] = self.places[k, 0]  # sounds as silence, and is never nearest
            codes[count:, begin + width - 1] = _FAR
            set_codes(book, codes)

    @torch.no_grad()
    def take_places(self) -> None:
        """The other way round: the phonemes' places as a codec on disk has them."""
        width, count = self.places.shape[2] + 1, self.places.shape[1]
        for k, book in enumerate(self.semantic.codebooks):
            self.places[k] = book.embed_sum[:count, k * width : k * width + width - 1]

    def hold_encoder(self) -> None:
        """Leave only what speaks to be trained: the output projections and the decoder."""
        model = self.model
        encoder = (model.encoder, model.encoder_transformer, model.downsample)
        for part in (*encoder, self.semantic.input_proj, self.acoustic.input_proj):
            part.requires_grad_(False)
        self.places.requires_grad_(False)


class Coded:
    """The codes of all sounds, and which frames are like which."""

    def __init__(self, training: CodecTraining, sounds: Sounds, piece: int = 250) -> None:
        """Encode everything, `piece` frames at a time."""
        starts = range(0, len(sounds), piece)
        pieces = [sounds.at(torch.tensor([s]), min(piece, len(sounds) - s)).samples[0] for s in starts]
        self.codes = torch.cat([training.encode(samples) for samples in pieces], dim=1).to(torch.int16)  # [K, frames]
        self._twins = Twins(sounds.labels, sounds.speakers)

    def with_slips(self, crops: Crops, slips: Slips, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Codes [B, K, T] of the crops, acoustic ones with slips, and a mask [B, K - 2, T] of those that are heard."""
        codes = self.codes[:, crops.frames].transpose(0, 1).long()
        others = self.codes[HALVES:, self._twins.draw(crops.frames, generator)].transpose(0, 1).long()
        acoustic, mask = slip(codes[:, HALVES:], others, count, slips, generator)
        return torch.cat((codes[:, :HALVES], acoustic), dim=1), mask


@torch.no_grad()
def fit_codebooks(training: CodecTraining, sounds: Sounds, frames: int, step_frames: int, seed: int = 0) -> float:
    """Fit the acoustic codebooks to the latents of about `frames` frames; returns the share of variance that is left.

    `step_frames`: how many frames a step of training will see, which is what the moving averages begin with.
    """
    generator = torch.Generator().manual_seed(seed)
    length = min(100, len(sounds))
    device = training.places.device
    kept = []
    for _ in range(max(1, frames // length)):
        crops = sounds.crops(1, length, generator)
        kept.append(training.latents(crops.samples.to(device)).acoustic[0].T)
    usage = step_frames / training.model.config.codebook_size
    return fit_residual(training.acoustic, torch.cat(kept), generator, usage)


def mean_stoi_through(through: Callable[[Tensor], Tensor], recordings: Sequence[Recording]) -> float:
    """Mean intelligibility (STOI) of what `through` makes of samples [1, N], pauses at the end left out."""
    scores = []
    with torch.no_grad():
        for recording in recordings:
            made = through(torch.from_numpy(recording.samples)[None])[0].cpu().numpy()
            count = int(recording.end * SAMPLE_RATE)
            scores.append(stoi(recording.samples[:count], made[:count], SAMPLE_RATE))
    return float(np.mean(scores))


def figures(
    training: CodecTraining, inventory: Inventory, recordings: Sequence[Recording], stage: str
) -> dict[str, float]:
    """How much of unseen recordings is understood after they went through the codec.

    Args:
        training: the codec.
        inventory: its phonemes.
        recordings: unseen.
        stage: `continuous` leaves the acoustic latents as they are.
    """
    labels = [inventory.labels(r) for r in recordings]
    codes = [training.encode(torch.from_numpy(r.samples)) for r in recordings]
    losses: list[float] = []

    def through(samples: Tensor) -> Tensor:
        wanted = samples.to(training.places.device)
        if stage == "continuous":
            latents = training.latents(wanted)
            heard = training.phoneme_logits(latents.semantic).argmax(-1)
            made = training.decoded(training.phonetic(heard), latents.acoustic)
        else:
            made = training.decode(training.encode(samples[0]))[None].to(wanted.device)
        losses.append(float(training.sound_losses(made, wanted)["loss"]))
        return made

    stoi = mean_stoi_through(through, recordings)
    return {
        "loss": float(np.mean(losses)),
        "stoi": stoi,
        "phonemes": accuracy([c[:HALVES] for c in codes], labels),
    }


@dataclass(frozen=True)
class CodecData:
    """What a codec learns from, and is judged by."""

    sounds: Sounds
    inventory: Inventory
    validation: Sequence[Recording]


def train_encoder(
    folder: Path, size: CodecSize, data: CodecData, *, device: torch.device, seed: int = 0
) -> Mapping[str, float]:
    """The first two stages, from where a run that was stopped left them; nothing where they are done.

    `folder/encoder` is the result: encoder and codebooks are final there, its decoder is not.

    Args:
        folder: of the run.
        size: of the codec and its schedules.
        data: to learn from.
        device: where to train.
        seed: of weights and crops.

    Returns:
        What was reached; empty where it was there.
    """
    if (folder / "encoder" / "model.safetensors").exists():
        return {}
    training = _training(size, data, device, seed)
    sounds = data.sounds
    found = _fit(
        folder / "continuous",
        training,
        lambda g: training.continuous(sounds.crops(size.batch, size.crop, g), g),
        size.continuous,
        data,
        seed,
        "codec, continuous",
    )
    left: dict[str, float] = {}
    if not (folder / "quantised" / "state.pt").exists():
        frames = min(_FITTED, len(sounds))
        share = fit_codebooks(training.eval(), sounds, frames, size.batch * size.crop, seed)
        left["variance left by k-means"] = share
        print(f"codec: k-means leaves {share:.1%} of the variance", flush=True)
    found = _fit(
        folder / "quantised",
        training,
        lambda g: training.quantised(sounds.crops(size.batch, size.crop, g), g),
        size.quantised,
        data,
        seed + 1,
        "codec, quantised",
    )
    training.settle()
    data.inventory.write(folder / "phonemes.json")
    write_mimi(folder / "encoder", training.model, torch.float32)
    return {**found, **left}


def train_decoder(
    folder: Path, size: CodecSize, data: CodecData, *, device: torch.device, seed: int = 0
) -> Mapping[str, float]:
    """The last stage, of what `train_encoder` left in `folder`; `folder/mimi` is the result.

    Args:
        folder: of the run.
        size: of the codec and its schedules.
        data: to learn from.
        device: where to train.
        seed: of crops and slips.

    Returns:
        What was reached; empty where it was there.

    Raises:
        CheckpointError: there is no encoder yet.
        Dia2Error: its phonemes are not there.
    """
    if (folder / "mimi" / "model.safetensors").exists():
        return {}
    training = _training(size, data, device, seed)
    trained = load_mimi(folder / "encoder", str(folder / "encoder"), device)
    training.model.load_state_dict(trained.state_dict())
    training.take_places()
    training.hold_encoder()
    sounds = data.sounds
    coded = Coded(training.eval(), sounds)
    found = _fit(
        folder / "decoder",
        training,
        lambda g: training.decoder(sounds.crops(size.decoder_batch, size.decoder_crop, g), coded, size.slips, g),
        size.decoder,
        data,
        seed + 2,
        "codec, decoder",
    )
    training.settle()
    write_mimi(folder / "mimi", training.model, torch.float16)
    return found


def _training(size: CodecSize, data: CodecData, device: torch.device, seed: int) -> CodecTraining:
    return CodecTraining(build(size.shape, seed), len(data.inventory.names)).to(device)


def _fit(
    folder: Path,
    training: CodecTraining,
    loss: Callable[[torch.Generator], Losses],
    schedule: Schedule,
    data: CodecData,
    seed: int,
    title: str,
) -> dict[str, float]:
    """Train one stage; its folder's name is the stage's."""
    return fit(
        folder,
        training,
        loss,
        schedule,
        evaluate=lambda _: figures(training, data.inventory, data.validation, folder.name),
        evaluate_every=max(1, schedule.steps // _EVALUATIONS),
        betas=(0.8, 0.99),
        seed=seed,
        title=title,
    )
