"""Speaking with CSM, so that who observes sees every call: `transformers` does the work, its own code unchanged."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import CsmForConditionalGeneration

from dia2.common.errors import UsageError
from dia2.common.hooks import PHASES, Observer, current_observer, phase
from dia2.inspect.record.declared import Calls, DrawLogits


@dataclass(frozen=True)
class Settings:
    """What decides a run, beside checkpoint and prompt."""

    seed: int = 0
    temperature: float = 0.9  # of codebook 0; 0: the best one is taken
    depth_temperature: float = 0.9  # of the others
    top_k: int = 50  # that may be drawn, of each
    most_frames: int = 125  # ten seconds


@dataclass(frozen=True)
class Speech:
    """What came out."""

    codes: Tensor  # [F, K] int64
    waveform: Tensor  # [N] float32
    sample_rate: int  # Hz


def speak(
    model: CsmForConditionalGeneration, input_ids: Tensor, settings: Settings | None = None, **prompt: Tensor
) -> Speech:
    """Speak one prompt.

    Args:
        model: in evaluation mode.
        input_ids: [1, T] as CSM's processor makes them.
        settings: `None`: those of `Settings`.
        prompt: what else the processor gives: `input_values`, `input_values_cutoffs`, `attention_mask`.

    Raises:
        UsageError: the prompt is not one, but a batch.
    """
    if input_ids.ndim != 2 or len(input_ids) != 1 or not input_ids.shape[1]:  # before a trace begins
        raise UsageError(f"CSM is recorded one prompt at a time: give ids [1, T], not {list(input_ids.shape)}.")
    settings = settings or Settings()
    ids = take_prompt(model, input_ids, settings)
    codes = draw_frames(model, ids, settings, prompt)
    return Speech(codes, decode(model, codes), model.codec_model.config.sampling_rate)


@phase("csm.prompt")
def take_prompt(model: CsmForConditionalGeneration, input_ids: Tensor, settings: Settings) -> Tensor:
    """Ids [1, T] of a prompt, where the model is."""
    return input_ids.to(model.device)


@phase("csm.frames")
def draw_frames(
    model: CsmForConditionalGeneration, prompt: Tensor, settings: Settings, more: dict[str, Tensor]
) -> Tensor:
    """Codes [F, K] of the frames up to the end, or `most_frames`."""
    observer = current_observer()
    capture = None if observer is None or observer.points <= PHASES else Capture(model, settings, observer)
    with torch.random.fork_rng(), torch.inference_mode(), looking(model, capture):  # the caller's generators stay
        torch.manual_seed(settings.seed)
        sequences = model.generate(input_ids=prompt, streamer=capture, **_sampling(settings), **more)
    codes: Tensor = sequences[0]
    ends = (codes == model.config.codebook_eos_token_id).all(dim=1).nonzero()
    return codes[: int(ends[0])] if len(ends) else codes


def _sampling(settings: Settings) -> dict[str, Any]:
    found: dict[str, Any] = {"max_new_tokens": settings.most_frames}
    for name, heat in (("", settings.temperature), ("depth_decoder_", settings.depth_temperature)):
        found |= {f"{name}do_sample": heat > 0, f"{name}top_k": settings.top_k if heat > 0 else None}
        found[f"{name}temperature"] = heat if heat > 0 else None
    return found


@phase("csm.decode")
def decode(model: CsmForConditionalGeneration, codes: Tensor) -> Tensor:
    """The sound [N] of codes [F, K]."""
    if not len(codes):
        return torch.zeros(0)
    codec = model.codec_model
    sounding = codes.masked_fill(codes >= codec.config.codebook_size, 0)  # special ids have no sound
    with torch.inference_mode():
        sound: Tensor = codec.decode(sounding.T[None]).audio_values[0, 0].float().cpu()
    return sound


class Capture:
    """A streamer of transformers that takes what both models give, and hands it on as soon as a frame is whole."""

    def __init__(self, model: CsmForConditionalGeneration, settings: Settings, observer: Observer) -> None:
        self._settings, self._observer = settings, observer
        self._books = model.config.num_codebooks
        self._wants_draws = any(point.startswith(("draw.", "logits.")) for point in observer.points)
        self._logits: list[Tensor] = []  # [V] of the codebooks of the frame that is under way
        self._slots = self._depth_slots = self._calls = 0
        self._prompt: Tensor | None = None  # [T] ids, until the first frame
        self._began = time.perf_counter()

    def backbone(self, _module: Any, _inputs: Any, output: Any) -> None:
        """After a forward pass of the backbone, which chooses codebook 0."""
        self._logits, self._slots = [output.logits[0, -1].float()], output.past_key_values.get_seq_length()

    def depth(self, _module: Any, _inputs: Any, output: Any) -> None:
        """After one of the depth decoder, which chooses the next codebook."""
        self._logits.append(output.logits[0, -1].float())
        self._depth_slots = output.past_key_values.get_seq_length()

    def put(self, value: Tensor) -> None:
        """The prompt [1, T] first, then frames [1, K]."""
        if self._prompt is None and not self._calls:
            self._prompt = value[0]
            return
        if self._prompt is not None:  # all of it but the last id was read without a draw
            self._given(self._prompt)
        text = -1 if self._prompt is None else int(self._prompt[-1])
        self._prompt, now = None, time.perf_counter()
        self._hand_on(True, text=[text], codes=value, seconds=[now - self._began])
        self._began = now

    def end(self) -> None:
        """The last frame has come."""

    def _given(self, prompt: Tensor) -> None:
        count = len(prompt) - 1
        if count:
            slots = range(1, count + 1)
            codes = torch.full((count, self._books), -1)
            nothing = {"depth_slots": [0] * count, "seconds": [float("nan")] * count}
            self._hand_on(False, text=prompt[:-1], codes=codes, backbone_slots=slots, **nothing)

    def _hand_on(self, drawn: bool, *, codes: Tensor, seconds: Any, **columns: Any) -> None:
        numbers = {"backbone_slots": [self._slots], "depth_slots": [self._depth_slots]} | columns
        found = {name: torch.as_tensor(list(values), dtype=torch.int32) for name, values in numbers.items()}
        found |= {"codes": codes.int().cpu(), "seconds": torch.as_tensor(seconds, dtype=torch.float32)}
        draws = {}
        if drawn and self._wants_draws:
            found["logits"] = torch.stack(self._logits).cpu()[None]  # [1, K, V]
            heats = [self._settings.temperature] + [self._settings.depth_temperature] * (self._books - 1)
            names = ["backbone.0", *(f"depth.{k}" for k in range(1, self._books))]
            rows = zip(names, found["logits"][0], heats, strict=True)
            draws = {name: DrawLogits.of(row[None], heat, self._settings.top_k) for name, row, heat in rows}
        calls = Calls(self._calls, drawn, found, draws)
        self._calls += len(calls)
        self._observer.frames(calls)


@contextmanager
def looking(model: CsmForConditionalGeneration, capture: Capture | None) -> Iterator[None]:
    """Let `capture` see the passes that are made in this block; without one nothing is hooked."""
    if capture is None:
        yield
        return
    handles = [
        model.register_forward_hook(capture.backbone),
        model.depth_decoder.register_forward_hook(capture.depth),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
