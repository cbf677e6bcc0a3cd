"""DAC, the codec that turns 44.1 kHz audio into the codes Dia speaks in and back."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from dia.pretrained import pretrained
from dia2.audio.finite import require_numbers
from dia2.common.checks import read_small, short
from dia2.common.errors import CheckpointError, one_line
from dia2.common.hooks import phase
from dia2.core.ambient import isolated
from dia2.runtime.assets import codec_folder

DEFAULT_DAC = "descript/dac_44khz"
_GIVE = f"give a folder or a hub repo with a DAC checkpoint, such as {DEFAULT_DAC}."
_MOST = 256  # layers or codebooks; what is built one by one must not be built a million times


class DacCodec:
    """Mono audio <-> codes [T, C], through transformers' `DacModel`."""

    def __init__(self, model: Any, channels: int, name: str) -> None:
        """Wrap a loaded model, to use its first `channels` codebooks; `load` is the usual way.

        Raises:
            CheckpointError: it has fewer.
        """
        config = model.config
        if config.n_codebooks < channels:
            raise CheckpointError(
                f"DAC codec {name} has {config.n_codebooks} codebooks, and the model speaks in {channels}: {_GIVE}"
            )
        frame = math.prod(config.downsampling_ratios)
        if config.sampling_rate < 1 or frame < 1 or math.prod(config.upsampling_ratios) != frame:
            raise CheckpointError(
                f"DAC codec {name} has {config.sampling_rate} samples a second, and takes {frame} for a frame of "
                f"{math.prod(config.upsampling_ratios)}: {_GIVE}"
            )
        self.name, self.channels = name, channels
        self.sample_rate: int = config.sampling_rate  # Hz
        self.codebook_size: int = config.codebook_size
        self.samples_per_frame: int = frame
        self._model = model

    @classmethod
    def load(cls, source: str | Path, *, channels: int, device: torch.device) -> DacCodec:
        """Load a checkpoint (config.json and model.safetensors) in float32 from a folder or a hub repo.

        Raises:
            CheckpointError: it is missing, damaged, is not DAC, or has too few codebooks.
            Dia2Error: there is no network and the files are not cached.
        """
        folder = codec_folder(str(source))
        return cls(_load_model(folder).to(device), channels, str(source))

    @property
    def frame_rate(self) -> float:
        """Frames a second."""
        return self.sample_rate / self.samples_per_frame

    @isolated()
    def encode(self, samples: Tensor) -> Tensor:
        """Codes [T, C] int64 of mono samples [N] at the codec's rate, padded with zeros to whole frames.

        Raises:
            CheckpointError: the codec computes no numbers.
        """
        padded = F.pad(samples.to(self._model.device), (0, -len(samples) % self.samples_per_frame))
        encoded = self._model.encode(padded[None, None], n_quantizers=self.channels)
        for latents in (encoded.projected_latents, encoded.quantized_representation):
            require_numbers(latents, self.name)  # codes say nothing of it: NaN is nearest to some code, too
        codes: Tensor = encoded.audio_codes[0]  # [C, T]
        return codes.T.contiguous()

    @isolated()
    def decode(self, codes: Tensor) -> Tensor:
        """Samples [N] float32 of codes [T, C]; nothing of nothing.

        Raises:
            CheckpointError: the codec computes no numbers.
        """
        if not len(codes):
            return torch.zeros(0, dtype=torch.float32, device="cpu")
        waveform: Tensor = self._model.decode(audio_codes=codes.T[None].to(self._model.device)).audio_values
        return require_numbers(waveform.flatten().float(), self.name).clamp(-1.0, 1.0).cpu()


@phase("dia.decode")
def decode_audio(codec: DacCodec, codes: Tensor) -> Tensor:
    """Waveform [N] float32 on the CPU, of codes [T, C]."""
    return codec.decode(codes)


def _load_model(folder: Path) -> Any:
    """Load a `DacModel` in float32 on the CPU, every one of its tensors from the checkpoint."""
    try:
        raw = json.loads(read_small(folder / "config.json"))
        kind, counts = raw["model_type"], [raw.get("n_codebooks", 9)]
        counts += [len(raw.get(name, ())) for name in ("downsampling_ratios", "upsampling_ratios")]
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise CheckpointError(
            f"The config.json of DAC codec {folder} cannot be read ({one_line(error)}): {_GIVE}"
        ) from error
    if kind != "dac":
        raise CheckpointError(f"Checkpoint {folder} holds a model of type {short(kind)}, not a DAC codec: {_GIVE}")
    if not all(isinstance(count, int) and 0 <= count <= _MOST for count in counts):
        raise CheckpointError(f"The config.json of DAC codec {folder} asks for more than {_MOST} layers: {_GIVE}")
    try:
        model, unfit = pretrained(folder)
    except Exception as error:  # transformers, safetensors and torch each have their own kinds for a bad file
        raise CheckpointError(
            f"DAC codec {folder} cannot be loaded ({type(error).__name__}: {one_line(error)}): fetch its config.json "
            "and model.safetensors again."
        ) from error
    if unfit:
        raise CheckpointError(
            f"DAC codec {folder} lacks tensors, or they have another shape than its config.json says "
            f"({', '.join(name[:100] for name in unfit[:3])}): fetch its config.json and model.safetensors again."
        )
    return model.eval()
