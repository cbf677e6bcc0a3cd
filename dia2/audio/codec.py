"""Mimi, the codec that turns audio into the codes Dia2 speaks in and back, whole or piece by piece."""

import hashlib
from collections.abc import Collection, Iterable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from dia2.audio.finite import require_numbers, within_one
from dia2.audio.mimi.network import Mimi, load_mimi
from dia2.audio.mimi.past import Past
from dia2.common.checks import short
from dia2.common.errors import CheckpointError, UsageError
from dia2.core.ambient import isolated
from dia2.core.versions import Version, version_of


class Codec:
    """Mimi: 24 kHz mono audio <-> codes of K codebooks at 12.5 frames a second.

    `sample_rate` is in Hz, `frame_rate` in frames a second; a frame is K = `num_codebooks` codes, each one of
    0..`codebook_size` - 1, and stands for `samples_per_frame` samples. Inputs may be on any device; results are on
    `device`.
    """

    def __init__(self, model: Mimi, *, num_codebooks: int, name: str) -> None:
        """Wrap a loaded network; `name` is what errors call it. `Codec.load` is the usual way.

        Raises:
            CheckpointError: it has fewer than K codebooks.
        """
        config = model.config
        if not config.num_semantic_quantizers <= num_codebooks <= config.num_quantizers:
            raise CheckpointError(
                f"Mimi codec {name} can use {config.num_semantic_quantizers} to {config.num_quantizers} codebooks "
                f"but {num_codebooks} are needed: use the codec that the model was trained with."
            )
        self.name = name
        self.device = model.device
        self.num_codebooks = num_codebooks
        self.codebook_size = config.codebook_size
        self.sample_rate = config.sampling_rate
        self.frame_rate = config.frame_rate
        self.samples_per_frame = config.samples_per_frame
        self._model = model
        self._fingerprint: tuple[Version, str] | None = None  # of the weights as they were

    @classmethod
    @isolated()
    def load(cls, folder: str | Path, *, num_codebooks: int, device: torch.device) -> "Codec":
        """Load a Mimi checkpoint (config.json and model.safetensors) in float32, to use its first K codebooks.

        Args:
            folder: where the two files are.
            num_codebooks: K.
            device: where to encode and decode.

        Raises:
            CheckpointError: it is missing, damaged or incomplete, is not Mimi, or has fewer than K codebooks.
        """
        model = load_mimi(Path(folder), str(folder), device)
        return cls(model, num_codebooks=num_codebooks, name=str(folder))

    @isolated()
    def encode(self, samples: Tensor) -> Tensor:
        """Encode samples [N] at `sample_rate` as codes [K, T], int64; the last frame is padded with zeros if partial.

        T = ceil(N / samples_per_frame).

        Raises:
            UsageError: the samples are not one channel of floating-point numbers.
            CheckpointError: the codec computes no numbers.
        """
        if samples.ndim != 1 or not samples.is_floating_point():
            raise UsageError(
                f"Audio of shape {list(samples.shape)} and type {samples.dtype} cannot be encoded: "
                "give one channel of floating-point samples, of shape [N]."
            )
        if len(samples) == 0:
            return torch.zeros(self.num_codebooks, 0, dtype=torch.int64, device=self.device)
        waveform = samples.to(self.device, torch.float32)
        waveform = F.pad(waveform, (0, -len(waveform) % self.samples_per_frame))  # [T * samples_per_frame]
        latents = require_numbers(self._model.latents(waveform[None, None], Past()), self.name)  # codes say nothing
        codes = self._model.quantizer.encode(latents, self.num_codebooks)  # of it: NaN is nearest to some code, too
        require_numbers(self._model.quantizer.decode(codes), self.name)  # its codebooks
        return codes

    @isolated()
    def decode(self, codes: Tensor) -> Tensor:
        """Decode codes [K, T] to samples [T * samples_per_frame], float32 within ±1, in one pass.

        A code outside 0..codebook_size - 1 (padding where nothing was generated) decodes as code 0.

        Raises:
            UsageError: the codes are not integers in K rows.
            CheckpointError: the codec computes no numbers.
        """
        frames = self._frames(codes)
        if frames.shape[1] == 0:
            return torch.zeros(0, dtype=torch.float32, device=self.device)
        waveform = self._model.waveform(self._model.quantizer.decode(frames), Past())
        return require_numbers(waveform[0, 0], self.name).clamp(-1.0, 1.0)

    def stream(self, books: Iterable[int] | None = None) -> "StreamingDecoder":
        """Begin to decode a stream of frames; streams do not share state.

        Args:
            books: codebooks to hear; the others add nothing, as if their vectors were zero. None: all.

        Raises:
            UsageError: there is no such codebook.
        """
        everything = range(self.num_codebooks)
        wanted = list(everything if books is None else books)
        if not all(book in everything for book in wanted):
            last = self.num_codebooks - 1
            raise UsageError(f"The codebooks to hear must be some of 0 … {last}, not {short(wanted)}.")
        return StreamingDecoder(self, muted=[book for book in everything if book not in wanted])

    def fingerprint(self) -> str:
        """SHA-256 (hex) of what codes mean: every codebook and projection of the quantizer, and the two rates.

        It does not depend on K, the device, the decoder's weights or where the checkpoint lies. The codebooks are tens
        of megabytes, so they are read once, and again only if they were changed.
        """
        weights = sorted(self._model.quantizer.state_dict().items())
        now = version_of(tensor for _, tensor in weights)
        if self._fingerprint is not None and self._fingerprint[0] == now:
            return self._fingerprint[1]
        digest = hashlib.sha256(f"mimi {self.sample_rate} {self.frame_rate}\n".encode())
        for name, tensor in weights:
            values = tensor.detach().to("cpu", torch.float32).contiguous()
            digest.update(f"{name} {list(values.shape)}\n".encode())
            digest.update(values.numpy().astype("<f4").tobytes())
        self._fingerprint = now, digest.hexdigest()
        return self._fingerprint[1]

    def _frames(self, codes: Tensor) -> Tensor:
        """Codes [K, T] as Mimi takes them: int64, on the codec's device, every code one that exists."""
        if codes.ndim != 2 or codes.shape[0] != self.num_codebooks or codes.is_floating_point() or codes.is_complex():
            raise UsageError(
                f"Codes of shape {list(codes.shape)} and type {codes.dtype} cannot be decoded: "
                f"give integers of shape [{self.num_codebooks}, T]."
            )
        frames = codes.to(self.device, torch.int64)
        return frames.masked_fill((frames < 0) | (frames >= self.codebook_size), 0)


class StreamingDecoder:
    """Decodes a stream of frames piece by piece; the pieces, joined, are what `Codec.decode` makes of all frames.

    Mimi's decoder is causal and its past is bounded, so that is all the state there is, however long the stream: for
    each convolution the last inputs its kernel still reaches, and for each layer of the transformer the keys and
    values within its sliding window. Make one with `Codec.stream`.
    """

    def __init__(self, codec: Codec, muted: Collection[int] = ()) -> None:
        self._codec = codec
        self._muted = muted
        self._past = Past()

    @isolated()
    def push(self, codes: Tensor) -> Tensor:
        """Decode the next n >= 0 frames, codes [K, n], to samples [n * samples_per_frame], float32 within ±1.

        Codes out of range are as in `Codec.decode`. No sample is held back, so a stream needs no end. A sample that is
        no number stays NaN: the device is not waited for, so who reads the samples says so (`require_numbers`).

        Raises:
            UsageError: the codes are not integers in K rows; the stream stays as it was.
        """
        codec = self._codec
        frames = codec._frames(codes)
        if frames.shape[1] == 0:
            return torch.zeros(0, dtype=torch.float32, device=codec.device)
        latents = codec._model.quantizer.decode(frames, self._muted)
        return within_one(codec._model.waveform(latents, self._past)[0, 0])
