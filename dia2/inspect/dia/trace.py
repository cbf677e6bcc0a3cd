"""`DiaTrace`: a recorded run of Dia, as data."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError, safe_open

from dia.loop import NOT_BEGUN, frames_between
from dia2.checks import check_header, counted_from_0, is_file, short
from dia2.errors import TraceError, one_line
from dia2.inspect.dia.draws import draw_channel
from dia2.inspect.dia.layout import LAYOUT, MAX_CELLS, MAX_ENCODER, MAX_SECONDS
from dia2.inspect.dia.manifest import DiaManifest, DiaModelFacts, DiaResultFacts, DiaRunFacts, parse_dia_manifest
from dia2.inspect.draws import Draw, stored_draws
from dia2.inspect.extras import notebook_extra
from dia2.inspect.layout import ENCODER_FILE, MAX_CALLS, MAX_HEADER
from dia2.inspect.manifest import read_raw_manifest
from dia2.inspect.phases import read_phases
from dia2.inspect.search import changes_or_hits
from dia2.inspect.shards import Arrays, check_bounds, joined_tokens, open_shards
from dia2.inspect.sound import read_audio
from dia2.inspect.stored import Stored
from dia2.rust import RustPanicError, calling_rust

if TYPE_CHECKING:
    from dia.model import Dia
    from dia2.inspect.dia.replay import DiaReplay
    from dia2.inspect.diff import Diff
    from dia2.inspect.explorer.widget import Explorer
    from dia2.inspect.pipeline import FilledRow


class DiaTrace(Stored):
    """A recorded run of Dia; made by `dia2.inspect.load`.

    A call is one row read by the decoder: call, row, position and cache slot are the same number. Prefill rows come
    first; they are read in one pass and draw nothing. Columns have one value per call, for B scripts and C channels.
    """

    family = "dia"
    layout = LAYOUT

    def __init__(self, path: Path, raw: dict[str, Any] | None = None) -> None:
        """See `dia2.inspect.load`; `raw` is the manifest, if it has been read."""
        super().__init__(path)
        self.manifest: DiaManifest = parse_dia_manifest(read_raw_manifest(path) if raw is None else raw, path)
        self.phases = read_phases(path)
        if self.manifest.run is not None:
            run, model = self.run, self.model
            sizes = {"B": run.batch, "2B": 2 * run.batch, "C": model.channels, "V": model.vocabulary}
            sizes["D"] = run.batch * len(self.manifest.draws)
            self._shards = open_shards(path, LAYOUT, sizes)
            if sum(shard.calls for shard in self._shards) * run.batch * model.channels > MAX_CELLS:
                raise TraceError(f"{path} has more than {MAX_CELLS:,} codes, which no run writes: it is damaged.")
            self._columns = joined_tokens(self._shards, LAYOUT, sizes, path)
            _check_values(self._columns, run, path)

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
        return self._given_calls

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
        """[calls, B, C] what was drawn, before prompt and countdown had their way; −1 in prefill."""
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
        """Row of a script's end, drawn or forced; none: it has not come."""
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

    def check_script(self, script: int) -> int:
        """A script of this trace, as a plain number.

        Raises:
            UsageError: it is no whole number.
            TraceError: it is not there; says which there are.
        """
        number = counted_from_0(script, "script")
        if not 0 <= number < self.run.batch:
            raise TraceError(f"There is no script {short(number)}: {self.path} has scripts 0 … {self.run.batch - 1}.")
        return number

    # Single calls

    def draws(self, call: int, script: int = 0) -> list[Draw]:
        """What the draws of a call chose among, by channel; empty in prefill, and where the trace kept none.

        A cell that the prompt gives, or the countdown forces, has its draw all the same.
        """
        script = self.check_script(script)
        columns, names = self._row(call), self.manifest.draws
        own = slice(script * len(names), (script + 1) * len(names))
        mine = {name: array[own] for name, array in columns.items() if name.startswith("draw.")}
        return stored_draws(mine, names, [int(columns["drawn"][script, draw_channel(name)]) for name in names])

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
        """(waveform [N] float32, sample rate) of a script; none if there is none.

        Raises:
            TraceError: the file is damaged.
        """
        script = self.check_script(script)
        name = self.manifest.audio[script]
        return None if name is None else read_audio(self.path, name)

    def find(
        self,
        field: str,
        value: int | Callable[[int], bool] | None = None,
        *,
        script: int = 0,
        after: int | None = None,
        before: int | None = None,
    ) -> list[int]:
        """Calls at which something happened to one script, in order.

            trace.find("drawn.0", trace.model.eos)  # where channel 0 drew the end
            trace.find("countdown", lambda steps: steps >= 0)

        Args:
            field: `tokens.c`, `written.c` or `drawn.c` for channel c; `countdown`, `phase` or `call`.
            value: an equal value, or a predicate; none: where the field differs from the call before.
            script: whose, from 0.
            after: only calls after this one.
            before: only calls before this one.

        Raises:
            TraceError: there is no such field or script.
        """
        calls = changes_or_hits(self._field(field, script), value)
        return [call for call in calls if (after is None or call > after) and (before is None or call < before)]

    def _field(self, name: str, script: int) -> np.ndarray:
        script = self.check_script(script)
        part, _, channel = name.partition(".")
        if part in ("tokens", "written", "drawn") and channel in map(str, range(self.model.channels)):
            return self.column(part)[:, script, int(channel)]
        if name == "countdown":
            return self.countdown[:, script]
        if name in ("phase", "call"):
            return self.column(name)
        raise TraceError(
            f"A trace of Dia has no field {name!r}; it has tokens.c, written.c and drawn.c of channel c, countdown, "
            "phase and call."
        )

    # What other rooms of dia2.inspect do with a trace

    def rows(self) -> list[FilledRow]:
        """The thirteen rows; see `dia2.inspect.dia.pipeline.fill_rows`."""
        from dia2.inspect.dia.pipeline import fill_rows

        return fill_rows(self)

    def replay(
        self,
        dia: Dia,
        calls: Sequence[int] | slice | None = None,
        *,
        scripts: Sequence[int] | None = None,
        attention: bool = False,
    ) -> DiaReplay:
        """Compute tensors again that were not recorded; see `dia2.inspect.dia.replay.replay`."""
        from dia2.inspect.dia.replay import replay

        return replay(self, dia, calls, scripts=scripts, attention=attention)

    def diff(self, other: DiaTrace, ignore: Collection[str] = ()) -> Diff:
        """Where this run and another part; see `dia2.inspect.dia.diff.diff`."""
        from dia2.inspect.dia.diff import diff

        return diff(self, other, ignore)

    def to_parquet(self, path: str | Path) -> list[Path]:
        """Write `calls.parquet` and `draws.parquet` into the folder `path`; see `dia2.inspect.dia.tables`."""
        from dia2.inspect.dia.tables import to_parquet

        return to_parquet(self, path)

    def explore(self, script: int = 0, *, other: DiaTrace | None = None, call: int = 0) -> Explorer:
        """Look at one script of the run in a notebook: play it, scrub, click; see docs/explorer.md.

        Args:
            script: which, from 0.
            other: a second trace, whose script of that number is shown beside it with what differs marked.
            call: where to begin.

        Raises:
            TraceError: there is no such script or call, or the trace is damaged.
            UsageError: anywidget is not installed.
        """
        with notebook_extra("The explorer", ", or write a file by to_html()"):
            from dia2.inspect.explorer.widget import Explorer
        return Explorer(self, script=script, other=other, call=call)

    def to_html(self, path: str | Path, script: int = 0, **options: Any) -> Path:
        """Write the explorer of one script as one file for any browser; see `dia2.inspect.explorer.to_html`."""
        from dia2.inspect.explorer import to_html

        return to_html(self, path, script=script, **options)


def _check_values(columns: Arrays, run: DiaRunFacts, path: Path) -> None:
    """Refuse values that the checkpoint does not know, and calls that no run makes.

    Raises:
        TraceError: says which.
    """
    tokens = (-1, run.model.vocabulary - 1)
    bounds = {
        "phase": (0, 1),
        "tokens": (0, tokens[1]),
        "written": tokens,
        "drawn": tokens,
        "countdown": (-1, MAX_CALLS),
    }
    check_bounds(columns, bounds, path)
    seconds = columns["seconds"]
    if not (np.isnan(seconds) | ((seconds >= 0) & (seconds <= MAX_SECONDS))).all():
        raise TraceError(f"{path} is damaged: a value in column seconds is no time.")
    count = len(columns["call"])
    loop = columns["phase"] == 1
    first = int(np.argmax(loop)) if loop.any() else count
    given = min(run.prefill_steps) - 1
    in_order = (
        (columns["call"] == np.arange(count)).all()
        and loop[first:].all()
        and (first == given if loop.any() else first <= given)
        and count < run.rows
    )
    if not in_order:
        raise TraceError(f"{path} is damaged: its calls are not in order.")
