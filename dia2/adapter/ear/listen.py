"""The model's own ear: how likely a checkpoint finds a prefix's codes under each hypothesis about its words.

A warm-up whose result is thrown away: the machine is forced through the prefix, the transformer reads it, and its
logits of codebook 0 say how likely the code is that the recording has next. No run is touched: caches are its own,
nothing is drawn, nobody observes it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy

import numpy as np
import torch
from torch import Tensor

from dia2.adapter.ear.hypotheses import Hypothesis
from dia2.audio.grid import delay_frames
from dia2.common.hooks import unobserved
from dia2.core.cache import Span, causal_mask
from dia2.runtime.context import RuntimeContext
from dia2.runtime.generator import WARMUP_CHUNK

MOST_BYTES = 256 << 20  # of caches and logits at a time; a single hypothesis may need more


class Ear:
    """Listens to one prefix."""

    def __init__(self, runtime: RuntimeContext, codes: Tensor) -> None:
        """Note what is heard.

        Args:
            runtime: the checkpoint.
            codes: [K, frames] int64 aligned codes of the prefix, both recordings joined.
        """
        self._runtime = runtime
        self.frames = int(codes.shape[1])
        ids, data = runtime.constants, runtime.config.data
        delayed = delay_frames(codes.to(runtime.device), runtime.audio_delays, ids.audio_pad)  # [K, columns]
        columns = torch.arange(self.frames, device=runtime.device)
        missing = columns < runtime.audio_delay_tensor[:, None]
        self._audio = delayed[:, : self.frames].masked_fill(missing, ids.audio_bos)  # [K, frames] as it is read
        following = torch.nn.functional.pad(delayed[0], (0, 1), value=ids.audio_pad)[1 : self.frames + 1]
        self._codes = following  # [frames]: what each step is to draw
        specials = min(data.audio_pad_token_id, data.audio_bos_token_id)
        self._known = (columns + 1 >= runtime.audio_delays[0]) & (following < specials)

    def passes_at_once(self) -> int:
        """Hypotheses that are read side by side."""
        model, data = self._runtime.config.model.decoder, self._runtime.config.data
        size = self._runtime.model.dtype.itemsize
        cache = 2 * model.n_layer * model.kv_heads * model.gqa_head_dim * size * self.frames
        chunk = min(self.frames, WARMUP_CHUNK)
        passing = chunk * (12 * data.audio_vocab_size + 8 * size * (model.n_embd + model.n_hidden))
        return max(1, MOST_BYTES // (cache + passing))

    def listen(
        self, hypotheses: Sequence[Hypothesis], progress: Callable[[int, int], None] | None = None
    ) -> np.ndarray:
        """Compute −log p of each step's code, in nats.

        Args:
            hypotheses: about the words.
            progress: called with (hypotheses heard, hypotheses in all).

        Returns:
            [hypotheses, frames] float32; NaN at steps that draw no code of the prefix. What step s draws sounds in
            frame s + 1 − delay of codebook 0.
        """
        at_once, heard = self.passes_at_once(), []
        with unobserved(), self._runtime.computing():
            for first in range(0, len(hypotheses), at_once):
                part = hypotheses[first : first + at_once]
                heard.append(self._read(part))
                if progress is not None:
                    progress(first + len(part), len(hypotheses))
        return np.concatenate(heard) if heard else np.zeros((0, self.frames), np.float32)

    def sounding(self, nats: np.ndarray) -> np.ndarray:
        """What `listen` gives, by the frame in which the code sounds: the last frames are NaN."""
        ahead = self._runtime.audio_delays[0] - 1
        moved = np.full_like(nats, np.nan)
        moved[:, max(0, -ahead) : self.frames - max(0, ahead)] = nats[:, max(0, ahead) : self.frames - max(0, -ahead)]
        return moved

    def _read(self, hypotheses: Sequence[Hypothesis]) -> np.ndarray:
        """As `warmup_with_prefix` does it, branch by branch another text."""
        runtime, device, frames = self._runtime, self._runtime.device, self.frames
        count, tokens = len(hypotheses), self.tokens(hypotheses)
        state = runtime.model.new_decode_state(branches=count, slots=frames, positions=frames, device=device)
        cos, sin = state.rotation
        found = torch.full((count, frames), torch.nan, dtype=torch.float32)
        for first in range(0, frames, WARMUP_CHUNK):
            part = slice(first, min(first + WARMUP_CHUNK, frames))
            slots = torch.arange(part.start, part.stop, device=device)
            span = Span(state.transformer, slots, part.stop, causal_mask(first, part.stop - first, device))
            out = runtime.model.transformer(tokens[:, :, part], (cos[part], sin[part]), span)
            logits = out.cb0_logits.transpose(1, 2)  # [B, V, T]
            codes = self._codes[part].clamp(max=logits.shape[1] - 1).expand(count, -1)
            nats = torch.nn.functional.cross_entropy(logits, codes, reduction="none")
            found[:, part] = nats.masked_fill(~self._known[part], torch.nan).cpu()
        return found.numpy()

    def tokens(self, hypotheses: Sequence[Hypothesis]) -> Tensor:
        """[hypotheses, 2 + K, frames] int64: what the transformer reads."""
        with unobserved():
            streams = [self._text(one) for one in hypotheses]
        text = torch.tensor(streams, device=self._runtime.device)  # [B, frames, 2]
        return torch.cat((text.transpose(1, 2), self._audio.expand(len(hypotheses), -1, -1)), dim=1)

    def _text(self, hypothesis: Hypothesis) -> list[tuple[int, int]]:
        """Main and second token of each frame as the transformer reads them."""
        ids = self._runtime.constants
        machine = copy(self._runtime.machine)
        state, begins = machine.new_state(list(hypothesis.entries)), set(hypothesis.new_word_steps)
        text = [(ids.bos, ids.pad)]  # of the step before
        for step in range(self.frames - 1):
            emitted = machine.step(step, state, ids.new_word if step in begins else ids.pad, forced=True)
            text.append((emitted.main, emitted.second))
        return text
