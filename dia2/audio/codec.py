"""Mimi, the codec that turns audio into the codes Dia2 speaks in and back, whole or piece by piece."""

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dia2.audio.finite import require_numbers, within_one
from dia2.audio.pretrained import pretrained
from dia2.checks import read_small, short
from dia2.core.ambient import isolated
from dia2.errors import CheckpointError, UsageError
from dia2.marks import Mark, mark
from dia2.messages import warn

_GIVE = "give a folder or a Hugging Face repo with a Mimi checkpoint, such as kyutai/mimi."

_COUNTS = ("num_hidden_layers", "num_residual_layers", "num_quantizers", "dilation_growth_rate")
_PAD_MODES = ("constant", "reflect", "replicate", "circular")  # that torch knows
_MOST = 256  # of each: what is built one by one must not be built a million times


class Codec:
    """Mimi: 24 kHz mono audio <-> codes of K codebooks at 12.5 frames a second.

    `sample_rate` is in Hz, `frame_rate` in frames a second; a frame is K = `num_codebooks` codes, each one of
    0..`codebook_size` - 1, and stands for `samples_per_frame` samples. Inputs may be on any device; results are on
    `device`.
    """

    def __init__(self, model: Any, *, num_codebooks: int, name: str) -> None:
        """Wrap a loaded `transformers.MimiModel`; `name` is what errors call it. `Codec.load` is the usual way."""
        config = model.config
        _check(model, num_codebooks, name)
        self.name = name
        self.device: torch.device = model.device
        self.num_codebooks = num_codebooks
        self.codebook_size: int = config.codebook_size
        self.sample_rate: int = config.sampling_rate
        self.frame_rate = float(config.frame_rate)
        self.samples_per_frame = _samples_per_frame(model)
        self._model = model
        _encoder_end(model).register_forward_hook(partial(_require_latents, name))
        self._fingerprint: tuple[Mark, str] | None = None  # of the weights as they were

    @classmethod
    def load(cls, folder: str | Path, *, num_codebooks: int, device: torch.device) -> "Codec":
        """Load a Mimi checkpoint (config.json and model.safetensors) in float32, to use its first K codebooks.

        Args:
            folder: where the two files are.
            num_codebooks: K.
            device: where to encode and decode.

        Raises:
            CheckpointError: it is missing, damaged or incomplete, is not Mimi, or has fewer than K codebooks.
        """
        model = _load_model(Path(folder), str(folder)).to(device)
        if not model.config.use_causal_conv:  # transformers computes some of their sizes where there is no memory yet
            raise CheckpointError(f"The convolutions of Mimi codec {folder} are not causal: {_GIVE}")
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
        encoded = self._model.encode(waveform[None, None], num_quantizers=self.num_codebooks, use_streaming=False)
        require_numbers(self._model.quantizer.decode(encoded.audio_codes), self.name)  # its codebooks
        codes: Tensor = encoded.audio_codes[0]  # [K, T]
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
        if frames.shape[-1] == 0:  # Mimi itself cannot decode nothing
            return torch.zeros(0, dtype=torch.float32, device=self.device)
        waveform: Tensor = self._model.decode(frames).audio_values[0, 0]  # [T * samples_per_frame]
        return require_numbers(waveform, self.name).clamp(-1.0, 1.0)

    def stream(self, books: Iterable[int] | None = None) -> "StreamingDecoder":
        """Begin to decode a stream of frames; streams do not share state.

        Args:
            books: codebooks to hear; the others add nothing, as if their vectors were zero. None: all.

        Raises:
            UsageError: there is no such codebook.
            CheckpointError: this checkpoint's decoder looks ahead, or is not built as Mimi's is.
        """
        everything = range(self.num_codebooks)
        wanted = list(everything if books is None else books)
        if not all(book in everything for book in wanted):
            last = self.num_codebooks - 1
            raise UsageError(f"The codebooks to hear must be some of 0 … {last}, not {short(wanted)}.")
        return StreamingDecoder(self, self._model, muted=[book for book in everything if book not in wanted])

    def fingerprint(self) -> str:
        """SHA-256 (hex) of what codes mean: every codebook and projection of the quantizer, and the two rates.

        It does not depend on K, the device, the decoder's weights or where the checkpoint lies. The codebooks are tens
        of megabytes, so they are read once, and again only if they were changed.
        """
        weights = sorted(self._model.quantizer.state_dict().items())
        now = mark(tensor for _, tensor in weights)
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
        """Codes [K, T] as Mimi takes them: [1, K, T], int64, on the codec's device, every code one that exists."""
        if codes.ndim != 2 or codes.shape[0] != self.num_codebooks or codes.is_floating_point() or codes.is_complex():
            raise UsageError(
                f"Codes of shape {list(codes.shape)} and type {codes.dtype} cannot be decoded: "
                f"give integers of shape [{self.num_codebooks}, T]."
            )
        frames = codes.to(self.device, torch.int64)
        return frames.masked_fill((frames < 0) | (frames >= self.codebook_size), 0)[None]  # [1, K, T]


class StreamingDecoder:
    """Decodes a stream of frames piece by piece; the pieces, joined, are what `Codec.decode` makes of all frames.

    Mimi's decoder is causal and its past is bounded, so that is all the state there is, however long the stream: for
    each convolution the last inputs its kernel still reaches, and for each layer of the transformer the keys and
    values within its sliding window. Make one with `Codec.stream`.
    """

    def __init__(self, codec: Codec, model: Any, muted: Sequence[int] = ()) -> None:
        from transformers import DynamicCache

        upsample, transformer, layers = _decoder_parts(model)
        self._codec = codec
        self._quantizer = model.quantizer
        self._muted = muted
        self._upsample = _streaming(upsample, codec.name)
        self._transformer = transformer
        self._layers = [_streaming(layer, codec.name) for layer in layers]
        self._cache = DynamicCache(config=transformer.config)  # counts positions on and drops what left the window
        _check_transformer(transformer.config, self._cache, codec.name)

    @isolated()
    def push(self, codes: Tensor) -> Tensor:
        """Decode the next n >= 0 frames, codes [K, n], to samples [n * samples_per_frame], float32 within ±1.

        Codes out of range are as in `Codec.decode`. No sample is held back, so a stream needs no end. A sample that is
        no number stays NaN: the device is not waited for, so who reads the samples says so (`require_numbers`).

        Raises:
            UsageError: the codes are not integers in K rows; the stream stays as it was.
        """
        frames = self._codec._frames(codes)  # [1, K, n]
        if frames.shape[-1] == 0:
            return torch.zeros(0, dtype=torch.float32, device=self._codec.device)
        hidden = self._upsample(self._latents(frames))  # [1, D, positions]
        hidden = self._transformer(hidden.transpose(1, 2), past_key_values=self._cache, use_cache=True)[0]
        hidden = hidden.transpose(1, 2)
        for layer in self._layers:
            hidden = layer(hidden)  # at last [1, 1, n * samples_per_frame]
        return within_one(hidden[0, 0])

    def _latents(self, frames: Tensor) -> Tensor:  # [1, K, n] -> [1, D, n]
        latents: Tensor = self._quantizer.decode(frames)
        semantic = self._quantizer.num_semantic_quantizers
        for book in self._muted:  # the quantizer adds up its codebooks, so one can be taken away again
            if book < semantic:
                group, layer = self._quantizer.semantic_residual_vector_quantizer, book
            else:
                group, layer = self._quantizer.acoustic_residual_vector_quantizer, book - semantic
            part = group.layers[layer].decode(frames[:, book])
            latents = latents - (part if group.output_proj is None else group.output_proj(part))
        return latents


_Layer = Callable[[Tensor], Tensor]  # [1, C, n] -> [1, C', n * stride]


class _StreamingConv:
    """A causal convolution, plain or transposed, that remembers the `past` last inputs its next outputs depend on."""

    def __init__(self, conv: nn.Conv1d | nn.ConvTranspose1d) -> None:
        kernel, stride = conv.kernel_size[0], conv.stride[0]
        if isinstance(conv, nn.ConvTranspose1d):
            past = math.ceil(kernel / stride) - 1
            self._skip = past * stride  # outputs that belong to the remembered inputs: earlier pieces gave them
        else:
            past = (kernel - 1) * conv.dilation[0]
            self._skip = 0
        self._conv = conv
        self._stride = stride
        self._past = conv.weight.new_zeros(1, conv.in_channels, past)  # Mimi pads with zeros too

    def __call__(self, x: Tensor) -> Tensor:  # [1, C, n] -> [1, C', n * stride]
        n = x.shape[-1]
        x = torch.cat([self._past, x], dim=-1)
        self._past = x[..., n:].clone()  # a view would keep the whole piece alive
        y: Tensor = self._conv(x)
        # What a transposed convolution puts out beyond n * stride is incomplete until later inputs are added.
        return y[..., self._skip : self._skip + n * self._stride]


class _StreamingResidual:
    """Mimi's residual block: x -> shortcut(x) + block(x)."""

    def __init__(self, block: list[_Layer], shortcut: _Layer) -> None:
        self._block = block
        self._shortcut = shortcut

    def __call__(self, x: Tensor) -> Tensor:
        y = x
        for layer in self._block:
            y = layer(y)
        return self._shortcut(x) + y


def _streaming(layer: nn.Module, name: str) -> _Layer:
    """Give the streaming form of one layer of Mimi's decoder, with no past yet."""
    from transformers.models.mimi.modeling_mimi import MimiConv1d, MimiConvTranspose1d, MimiResnetBlock

    if isinstance(layer, (nn.ELU, nn.Identity)):  # element by element: no past
        return layer
    if isinstance(layer, MimiResnetBlock):
        return _StreamingResidual([_streaming(part, name) for part in layer.block], _streaming(layer.shortcut, name))
    if isinstance(layer, MimiConv1d):
        if not layer.causal or layer.pad_mode != "constant" or layer.conv.stride != (1,):
            raise _not_streamable(name, "a convolution is strided, not causal, or not padded with zeros")
        return _StreamingConv(layer.conv)
    if isinstance(layer, MimiConvTranspose1d):
        if not layer.causal or layer.padding_left != 0:
            raise _not_streamable(name, "a transposed convolution is not causal or not trimmed on its right alone")
        return _StreamingConv(layer.conv)
    raise _not_streamable(name, f"it has a layer of the unknown type {type(layer).__name__}")


def _check_transformer(config: Any, cache: Any, name: str) -> None:
    # transformers' cache takes a window of 1 for no window at all.
    if config.sliding_window < 2 or not all(layer.is_sliding for layer in cache.layers):
        raise _not_streamable(name, "its attention has no sliding window of at least 2 positions")
    # The other kinds of rotary position may change their frequencies with the length seen so far.
    if config.rope_parameters["rope_type"] != "default":
        raise _not_streamable(
            name, f"its rotary positions are of the type {short(config.rope_parameters['rope_type'])}"
        )


def _not_streamable(name: str, why: str) -> CheckpointError:
    return CheckpointError(
        f"Mimi codec {name} cannot decode piece by piece ({why}): decode whole, or use a codec such as kyutai/mimi."
    )


def _decoder_parts(model: Any) -> tuple[Any, Any, nn.ModuleList]:
    """Mimi's decoder as `(upsample, transformer, layers)`, in the order that data passes them."""
    decoder = model.decoder
    if hasattr(decoder, "decoder_seanet"):
        return decoder.upsample, decoder.decoder_transformer, decoder.decoder_seanet.layers
    return model.upsample, model.decoder_transformer, decoder.layers  # transformers before 5.21


def _encoder_end(model: Any) -> nn.Module:
    """The last module of Mimi's encoder, which makes the latents that are quantized."""
    end = model.encoder.downsample if hasattr(model.encoder, "downsample") else model.downsample
    assert isinstance(end, nn.Module), "which upsampling has a counterpart for"
    return end


def _require_latents(name: str, _: nn.Module, __: Any, latents: Tensor) -> None:
    """Codes say nothing of it: NaN is nearest to some code, too."""
    require_numbers(latents, name)


def _samples_per_frame(model: Any) -> int:
    upsample, _, _ = _decoder_parts(model)
    strides: list[int] = [upsample.conv.stride[0], *model.config.upsampling_ratios]
    return math.prod(strides)


def _check(model: Any, num_codebooks: int, name: str) -> None:
    """Raise `CheckpointError` unless the model is a whole mono Mimi that fits K codebooks."""
    config = model.config
    if model.encoder is None or model.decoder is None or _decoder_parts(model)[0] is None:
        raise CheckpointError(f"Mimi codec {name} lacks its encoder, its decoder or its upsampling: {_GIVE}")
    if config.pad_mode not in _PAD_MODES:
        raise CheckpointError(f"Mimi codec {name} pads its convolutions by an unknown mode: {_GIVE}")
    if config.audio_channels != 1:
        raise CheckpointError(
            f"Mimi codec {name} has {short(config.audio_channels)} audio channels instead of 1: {_GIVE}"
        )
    if not config.num_semantic_quantizers <= num_codebooks <= config.num_quantizers:
        raise CheckpointError(
            f"Mimi codec {name} can use {config.num_semantic_quantizers} to {config.num_quantizers} codebooks "
            f"but {num_codebooks} are needed: use the codec that the model was trained with."
        )
    if round(config.sampling_rate / config.frame_rate) != _samples_per_frame(model):
        raise CheckpointError(
            f"The config.json of Mimi codec {name} contradicts itself ({config.sampling_rate} samples and "
            f"{config.frame_rate} frames a second, but {_samples_per_frame(model)} samples a frame): correct it."
        )


def _load_model(folder: Path, name: str) -> Any:
    """Load a `MimiModel` in float32 on the CPU, every one of its tensors from the checkpoint."""
    from transformers import MimiConfig, MimiModel

    try:
        # transformers would fill a Mimi from another model's config with no more than a log line.
        raw = json.loads(read_small(folder / "config.json"))
        model_type = raw["model_type"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise CheckpointError(
            f"The config.json of Mimi codec {name} cannot be read ({_reason(error)}): {_GIVE}"
        ) from error
    if model_type != "mimi":
        raise CheckpointError(f"Checkpoint {name} holds a model of type {short(model_type)}, not a Mimi codec: {_GIVE}")
    if most := next((key for key in _COUNTS if isinstance(raw.get(key), int) and raw[key] > _MOST), None):
        raise CheckpointError(f"The config.json of Mimi codec {name} asks for more than {_MOST} {most}: {_GIVE}")
    try:
        # A config must not choose the code of attention, which might be fetched.
        model, unfit, unknown = pretrained(MimiModel, MimiConfig, folder, attn_implementation="sdpa")
    except Exception as error:  # transformers, safetensors and torch each have their own kinds for a bad file
        raise CheckpointError(
            f"Mimi codec {name} cannot be loaded ({_reason(error)}): fetch its config.json and model.safetensors again."
        ) from error
    if unfit:
        raise CheckpointError(
            f"Tensors of Mimi codec {name} are missing or do not have the shape its config.json says "
            f"({_listed(unfit)}): fetch its config.json and model.safetensors again."
        )
    if unknown:
        warn(f"Mimi codec {name} holds tensors that are not Mimi's: {_listed(unknown)}", stacklevel=3)
    return model


def _reason(error: Exception) -> str:
    """Give the kind and the first sentence of an error that another library wrote over several lines."""
    first = " ".join(str(error).split()).partition(". ")[0].rstrip(".")
    return f"{type(error).__name__}: {first[:200]}"


def _listed(names: list[str]) -> str:
    return ", ".join(name[:100] for name in names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
