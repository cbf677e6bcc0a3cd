"""Dia's part in recording a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dia.adapter.describe import SAY
from dia.adapter.draws import draw_table
from dia.adapter.facts import fingerprint as dia_fingerprint
from dia.adapter.facts import model_facts
from dia.adapter.layout import CHANNEL, ENCODER_FILE, LAYOUT, MAX_ENCODER, MAX_SCRIPTS, draw_channel
from dia.capture import Steps
from dia.generation import NOT_BEGUN, GenerationConfig
from dia.loop import GenerationState, finished_lengths, stop_reasons
from dia.model import Dia
from dia2.common.errors import UsageError
from dia2.common.hooks import Span
from dia2.inspect.record.draws import arrays, draw_columns
from dia2.inspect.record.recording import LEFT, STOPPED, Recording
from dia2.inspect.record.sink import TraceSink
from dia2.inspect.store.layout import MAX_CELLS, audio_name


class DiaRecording(Recording):
    """See `Recording`."""

    say = SAY

    def __init__(self, sink: TraceSink) -> None:
        self.draws: list[str] = []
        self._sink = sink
        self._selected: frozenset[str] = frozenset()
        self._dia: Dia | None = None
        self._texts: list[str] = []
        self._bytes: list[bytes] = []
        self._ended: bool | None = None  # whether Ctrl-C ended the loop; `None`: nothing has

    # Phases

    def codebooks(self, span: Span) -> int:
        """See `Recording`: channels."""
        return _dia(span).config.data.channels

    def begin_run(self, span: Span, selected: frozenset[str]) -> None:
        """See `Recording`."""
        dia, config, sink = _dia(span), span.inputs["config"], self._sink
        steps, rows = span.inputs["prefill_steps"], span.inputs["rows"]
        assert isinstance(config, GenerationConfig), "of the run"
        assert isinstance(steps, list), "rows that each script is given"
        assert isinstance(rows, int), "that the run may fill"
        channels = dia.config.data.channels
        if len(steps) > MAX_SCRIPTS or len(steps) * rows * channels > MAX_CELLS:
            raise UsageError(
                f"A trace holds {MAX_SCRIPTS} scripts and {MAX_CELLS:,} codes, and {len(steps)} scripts of {rows:,} "
                "rows are more: record fewer at a time."
            )
        self._dia, self._selected = dia, selected
        names = [f"{CHANNEL}{c}" for c in range(channels)]
        self.draws = [name for name in names if f"draw.{name}" in selected]
        sink.writer.small = frozenset() if dia.config.model.decoder.vocab_size > 2**15 else LAYOUT.small
        sink.fired |= {"encoder.tokens", "kv.cross.length"}
        settings = asdict(config)
        settings.pop("seed")  # the run's stands beside it
        sink.manifest["draws"] = self.draws
        sink.manifest["run"] = {
            "hashes": dia_fingerprint(dia.source, codec=dia.codec is not None),
            "model": model_facts(dia),
            "config": settings,
            "seed": span.inputs["seed"],
            "scripts": self._texts,
            "text_bytes": [text.hex() for text in self._bytes],
            "prefill_steps": steps,
            "rows": rows,
        }
        sink.begin()

    def learn(self, span: Span) -> None:
        """See `Recording`."""
        result: Any = span.result
        begun = self._sink.manifest["run"] is not None
        if span.name == "dia.text" and not begun:  # else of a second run, which is refused when it gets to its state
            texts: Any = span.inputs["texts"]
            tokens, mask = result
            self._texts = list(texts)
            self._bytes = [bytes(row[own].tolist()) for row, own in zip(tokens, mask, strict=True)]
        elif span.name == "dia.encoder" and begun:
            self._keep_encoded(result[0])
        elif span.name == "dia.loop" and begun:
            self._keep_end(span)
        elif span.name == "dia.decode" and begun:
            self._keep_audio(result)

    def _keep_encoded(self, output: Tensor) -> None:
        """The encoder's output [2B, S, width], if it is asked for and there is room."""
        sink = self._sink
        room = min(MAX_ENCODER, sink.manifest["budget"]["bytes"])
        if "encoder.output" in self._selected and 4 * output.numel() <= room:
            sink.attempt(sink.writer.tensors, ENCODER_FILE, {"output": output.float().cpu().numpy()})
            sink.fired.add("encoder.output")

    def _keep_end(self, span: Span) -> None:
        state, result = span.inputs["state"], span.result
        assert isinstance(result, tuple), "what run_loop gives"
        steps, interrupted = result
        assert isinstance(state, GenerationState), "its first parameter"
        assert self._dia is not None, "a loop has a beginning"
        self._ended = interrupted
        written = min(state.output.prefill_steps) + steps
        self._sink.result(
            steps=steps,
            lengths=finished_lengths(state, written, self._dia.config.data),
            stop_reasons=stop_reasons(state, interrupted),
            ended_at=[None if row == NOT_BEGUN else row for row in state.ended_at.tolist()],
        )

    def _keep_audio(self, waveform: Tensor) -> None:
        """The sound of the next script."""
        sink, scripts = self._sink, len(self._texts)
        rate = sink.manifest["run"]["model"]["sample_rate"]
        samples: list[int] = (sink.manifest["result"] or {}).get("samples", [])
        name = audio_name(len(samples), scripts)
        if len(waveform) and sink.sound(waveform.numpy(), rate, name):
            names = sink.manifest["audio"] or [None] * scripts
            names[len(samples)] = name
            sink.manifest["audio"] = names
        sink.result(samples=[*samples, len(waveform)])

    # Steps

    def first(self, frames: Steps) -> int:
        """See `Recording`."""
        return frames.first

    def count(self, frames: Steps) -> int:
        """See `Recording`."""
        return len(frames.tokens)

    def kind(self, frames: Steps) -> object:
        """See `Recording`: prefill or loop."""
        return frames.written is None

    def copied(self, frames: Steps) -> Steps:
        """See `Recording`."""

        def own(tensor: Tensor | None) -> Any:
            return None if tensor is None else tensor.clone()

        return Steps(
            config=frames.config,
            first=frames.first,
            tokens=frames.tokens.clone(),
            written=own(frames.written),
            drawn=own(frames.drawn),
            countdown=own(frames.countdown),
            seconds=list(frames.seconds),
            logits=own(frames.logits),
        )

    def held_bytes(self, frames: Steps) -> int:
        """See `Recording`."""
        return 0 if frames.logits is None else frames.logits[0].nbytes

    def columns(self, parts: Sequence[Steps], *, draws: bool, logits: bool) -> dict[str, np.ndarray]:
        """See `Recording`."""
        fired, kept = self._sink.fired, self._selected
        fired |= {"call", "step_tokens", "kv.self.length"}
        found = step_columns(parts)
        if parts[0].logits is None or parts[0].drawn is None:
            if parts[0].drawn is not None:
                fired |= _LOOP_POINTS
            return arrays(found)
        fired |= _LOOP_POINTS
        raw = torch.cat([part.logits for part in parts if part.logits is not None])  # [n, 2B, C, V]
        if draws and self.draws:
            assert self._dia is not None, "steps come after the beginning"
            drawn = torch.cat([part.drawn for part in parts if part.drawn is not None])
            eos = self._dia.config.data.audio_eos_value
            channels = [draw_channel(name) for name in self.draws]
            found |= draw_columns(draw_table(raw, drawn, channels, parts[0].config, eos))
            fired |= {f"draw.{name}" for name in self.draws}
        wanted = {name for name in kept if name.startswith(f"logits.{CHANNEL}")}
        if logits and wanted:
            found["logits"] = raw
            fired |= wanted
        return arrays(found)

    # The end

    def cut_short(self) -> str | None:
        """See `Recording`."""
        return LEFT if self._ended is None else STOPPED if self._ended else None


def step_columns(parts: Sequence[Steps]) -> dict[str, Tensor]:
    """The `tokens` columns of rows read in a row, all in prefill or all in the loop."""
    tokens = torch.cat([part.tokens for part in parts]).int()  # [n, B, C]
    count, scripts, _ = tokens.shape
    first = parts[0].first
    loop = parts[0].written is not None
    unknown = torch.full_like(tokens, -1)

    def joined(name: str, missing: Tensor) -> Tensor:
        return torch.cat([getattr(part, name) for part in parts]).int() if loop else missing

    return {
        "call": torch.arange(first, first + count, dtype=torch.int32),
        "phase": torch.full((count,), int(loop), dtype=torch.uint8),
        "tokens": tokens,
        "written": joined("written", unknown),
        "drawn": joined("drawn", unknown.clone()),
        "countdown": joined("countdown", torch.full((count, scripts), NOT_BEGUN, dtype=torch.int32)),
        "seconds": torch.tensor([second for part in parts for second in part.seconds], dtype=torch.float32)
        if loop
        else torch.full((count,), torch.nan, dtype=torch.float32),
    }


def _dia(span: Span) -> Dia:
    dia = span.inputs["self"]
    assert isinstance(dia, Dia), "whose run it is"
    return dia


_LOOP_POINTS = frozenset({"audio_buf.column", "eos.countdown", "time.frame"})
