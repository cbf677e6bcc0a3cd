"""`DiaTrace`: a recorded run of Dia, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from functools import cached_property
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from dia.adapter import ADAPTER
from dia.adapter.layout import ENCODER_FILE, MAX_ENCODER
from dia.adapter.manifest import DiaManifest, DiaModelFacts, DiaResultFacts, DiaRunFacts, parse_dia_manifest
from dia.adapter.rows import fill_row
from dia.generation import NOT_BEGUN, frames_between
from dia2.common.checks import check_header, is_file
from dia2.common.errors import TraceError, one_line
from dia2.common.hooks import HookPoint
from dia2.common.rust import RustPanicError, calling_rust
from dia2.common.wording import counted
from dia2.inspect.schema.caches import Caches, Curve, Panel
from dia2.inspect.schema.row import FilledRow, Row
from dia2.inspect.store.layout import MAX_HEADER
from dia2.inspect.store.shards import out_of_order
from dia2.inspect.trace.trace import Trace


class DiaTrace(Trace[DiaManifest]):
    """A recorded run of Dia; made by `dia2.inspect.load`.

    A call is one row read by the decoder: call, row, position and cache slot are the same number. Prefill rows come
    first; they are read in one pass and draw nothing. Columns have one value per call, for B scripts and C channels.
    """

    adapter = ADAPTER
    nothing_drawn = "a row of the prefill is given; nothing is drawn."

    def _parse(self, raw: Mapping[str, Any]) -> DiaManifest:
        return parse_dia_manifest(raw, self.path)

    def _sizes(self) -> dict[str, int] | None:
        if self.manifest.run is None:
            return None
        run, model = self.run, self.model
        sizes = {"B": run.batch, "2B": 2 * run.batch, "C": model.channels, "V": model.vocabulary}
        return sizes | {"D": run.batch * len(self.manifest.draws)}

    def _check(self) -> None:
        run, count, loop = self.run, len(self), bool(self.phase.any())
        first, given = self.prefill_calls, min(run.prefill_steps) - 1
        if (first != given if loop else first > given) or count >= run.rows:
            raise out_of_order(self.path)

    def _fill(self, row: Row) -> FilledRow:
        return fill_row(row, self)

    def recorded(self, point: HookPoint) -> bool:
        """See `Trace`."""
        if point.name == "encoder.output":
            return self.begun and self.encoder_output is not None
        return super().recorded(point)

    def _audio_name(self, script: int) -> str | None:
        return self.manifest.audio[script]

    @property
    def run(self) -> DiaRunFacts:
        """What decided the run.

        Raises:
            TraceError: the run ended before it began.
        """
        return self._begun(self.manifest.run)

    @property
    def model(self) -> DiaModelFacts:
        """Facts about the checkpoint."""
        return self.run.model

    @property
    def result(self) -> DiaResultFacts:
        """What came out."""
        return self.manifest.result

    # Columns

    @property
    def rows_read(self) -> np.ndarray:
        """[calls] row that each call reads, which is its own number."""
        return self.column("call")

    @property
    def phase(self) -> np.ndarray:
        """[calls] 0 prefill, 1 loop."""
        return self.column("phase")

    @property
    def prefill_calls(self) -> int:
        """Calls of the prefill, which come first."""
        return self.given_calls

    @property
    def tokens(self) -> np.ndarray:
        """[calls, B, C] the rows as the decoder read them."""
        return self.column("tokens")

    @property
    def written(self) -> np.ndarray:
        """[calls, B, C] the rows after them; −1 in prefill."""
        return self.column("written")

    @property
    def drawn(self) -> np.ndarray:
        """[calls, B, C] what was drawn, before prompt and countdown overruled it; −1 in prefill."""
        return self.column("drawn")

    @property
    def countdown(self) -> np.ndarray:
        """[calls, B] after the step: steps since the script's end began; −1 before."""
        return self.column("countdown")

    @property
    def seconds(self) -> np.ndarray:
        """[calls] wall time; NaN in prefill."""
        return self.column("seconds")

    @property
    def kv_lengths(self) -> np.ndarray:
        """[calls, 2] filled slots after each call: of self-attention, and text positions of cross-attention."""
        return np.stack((self.rows_read + 1, np.full(len(self), self.run.text_length)), axis=1)

    def ended_at(self, script: int = 0) -> int | None:
        """Row of a script's end, drawn or forced; `None`: it has not come."""
        script = self.check_script(script)
        begun = np.flatnonzero(self.countdown[:, script] >= 0)
        return int(begun[0]) + 1 if len(begun) else None

    def grid(self, script: int = 0) -> np.ndarray:
        """[rows, C] the delayed table as far as it is known, row 0 (BOS) included."""
        script = self.check_script(script)
        rows = self.tokens[:, script]
        return np.concatenate((rows, self.written[-1:, script])) if self.prefill_calls < len(self) else rows

    def codes(self, script: int = 0) -> np.ndarray:
        """[T, C] the finished codes: channels aligned, without the prompt, 0 where there is no code.

        Of a script that was kept from its end, the frames that are whole.
        """
        grid, model = self.grid(script), self.model
        first, end = self.run.prefill_steps[script], self.ended_at(script)
        length = frames_between(first, NOT_BEGUN if end is None else end, len(grid), model.max_delay)
        rows = first + np.arange(length)[:, None] + np.array(model.delays)  # [T, C]
        there = grid[np.minimum(rows, len(grid) - 1), np.arange(model.channels)] if length else rows
        codes: np.ndarray = np.where((rows < len(grid)) & (there >= 0) & (there < model.eos), there, 0)
        return codes.astype(np.int32)

    # Single calls

    def logits(self, call: int) -> np.ndarray | None:
        """[2B, C, V] recorded logits, level `full`, for each script unconditional first; else none."""
        found: np.ndarray | None = self._row(call).get("logits")
        return found

    @cached_property
    def encoder_output(self) -> np.ndarray | None:
        """[2B, S, width] what the encoder made of the text, level `full`, for each script unconditional first.

        Raises:
            TraceError: the file is damaged.
        """
        file = self.path / ENCODER_FILE
        if file.is_symlink() or not is_file(file):
            return None
        run = self.run
        wanted = [2 * run.batch, run.text_length, run.model.encoder_width]
        try:
            if file.stat().st_size > MAX_ENCODER + MAX_HEADER:
                raise TraceError(f"{file} is far too large: the trace is damaged.")
            check_header(file)
            with calling_rust(), safe_open(file, framework="np") as tensors:
                part = tensors.get_slice("output")
                if part.get_dtype() != "F32" or list(part.get_shape()) != wanted:
                    raise TraceError(f"{file} is damaged: output is {part.get_dtype()} {part.get_shape()}.")
                found: np.ndarray = tensors.get_tensor("output")
        except (OSError, SafetensorError, RustPanicError, ValueError, KeyError) as error:
            raise TraceError(f"{file} cannot be read ({one_line(error)}): the trace is damaged.") from error
        return found

    def audio(self, script: int = 0) -> tuple[np.ndarray, int] | None:
        """(waveform [N] float32, sample rate) of a script; `None` if there is none.

        Raises:
            TraceError: the file is damaged.
        """
        return self.sound(script)

    def token_names(self, draw: str) -> Mapping[int, str]:
        """See `Trace`."""
        return {self.model.eos: "eos", self.model.pad: "pad", self.model.bos: "bos"}

    def sampling(self, call: int, draw: str) -> tuple[str, str]:
        """See `Trace`."""
        config = self.run.config
        drawn = f"T {config.temperature:g}, top-p {config.top_p:g}" if config.temperature > 0 else "argmax"
        return drawn, f"cfg {config.cfg_scale:g}, best {config.cfg_filter_top_k}"

    def caches(self) -> Caches:
        """See `Trace`."""
        own, text = self.kv_lengths.T
        panels = (
            Panel("self-attention", (Curve("self-attention", own, "filled", "filled slots after the call"),)),
            Panel("text", (Curve("cross-attention", text, "small", "positions of the text, filled once"),)),
        )
        told = f"{counted(int(own[-1]), 'slot')} after {counted(len(self), 'call')}"
        return Caches(panels, f"{told} · {counted(int(text[-1]), 'position')} of text", "prefill")

    # What differs between two runs

    def settings(self, scripts: int) -> dict[str, object]:
        """See `Trace`."""
        run = self.run
        whose = [f"script {i + 1} " if scripts > 1 else "" for i in range(run.batch)]
        found: dict[str, object] = {
            name.strip() or "script": text for name, text in zip(whose, run.scripts, strict=True)
        }
        found |= {f"{name}prompt's rows": rows for name, rows in zip(whose, run.prefill_steps, strict=True)}
        found |= {"seed": run.seed} | {name: value for name, value in asdict(run.config).items() if name != "seed"}
        found |= {"rows": run.rows} | {f"checkpoint's {name}": value for name, value in sorted(run.hashes.items())}
        return found | {"device": run.model.device, "dtype": run.model.dtype}
