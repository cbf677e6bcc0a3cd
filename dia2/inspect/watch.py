"""The simplest observer: one function that is called with every point and its value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

from dia2.hooks import PHASES, Frames, MachineRow, PointFilter, Span, select
from dia2.inspect.draws import draw_names, draw_table
from dia2.runtime.context import RuntimeContext
from dia2.runtime.guidance import special_codes
from dia2.runtime.state_machine import State, TokenIds

if TYPE_CHECKING:
    from dia.model import Dia


def before_first(ids: TokenIds, initial_padding: int, entries_left: int) -> MachineRow:
    """The state machine before step 0, in the form in which later states come."""
    return MachineRow(
        step=-1,
        action=-1,
        forced=False,
        main=ids.bos,
        second=ids.pad,
        consumed=False,
        padding_budget=initial_padding,
        forced_padding=initial_padding,
        entries_left=entries_left,
        pending=[],
        lookahead=[],
        end_step=None,
    )


class Watch:
    """Calls a function with what it asked for: `generate(..., observer=Watch(print, "machine.*"))`.

    A phase comes twice, as a `Span`, at its begin and (`span.ended`) at its end. Values come call by call, in the
    order of `dia2 trace hooks`; while frames are made at most 0.2 s late, on a GPU 0.4 s.
    Tensors are the function's own.
    """

    def __init__(self, function: Callable[[str, object], None], points: PointFilter = "*") -> None:
        """Note what is wanted.

        Args:
            function: called with the name of a point and its value.
            points: see `dia2.hooks.select`.

        Raises:
            UsageError: `points` matches nothing.
        """
        self._function, self._wanted = function, select(points)
        self.points = self._wanted | {"state.build", "machine.new_state", "dia.state", "dia.text", "dia.encoder"}
        self._dia: Dia | None = None
        self._runtime: RuntimeContext | None = None
        self._before: MachineRow | None = None

    def begin(self, span: Span, /) -> None:
        """See `Observer`."""
        if span.name == "state.build":
            runtime = span.inputs["runtime"]
            assert isinstance(runtime, RuntimeContext), "its first parameter"
            self._runtime = runtime
        if span.name == "dia.state":
            self._dia = cast("Dia", span.inputs["self"])
        if span.name in self._wanted:
            self._function(span.name, span)

    def end(self, span: Span, /) -> None:
        """See `Observer`."""
        if span.name == "machine.new_state" and isinstance(span.result, State):
            machine = span.inputs["self"]
            state = span.result
            self._before = before_first(machine.ids, state.padding_budget, len(state.entries))  # type: ignore[attr-defined]  # the machine
        if span.name in self._wanted:
            self._function(span.name, span)
        if span.name.startswith("dia."):
            from dia2.inspect.dia.values import run_values  # brings the package dia

            self._tell(run_values(span))

    def _tell(self, values: Mapping[str, object]) -> None:
        for name, value in values.items():
            if name in self._wanted:
                self._function(name, value)

    def frames(self, frames: Any, /) -> None:
        """See `Observer`."""
        if self._wanted <= PHASES:
            return
        if isinstance(frames, Frames):
            self._tell_frames(frames)
            return
        from dia2.inspect.dia.values import step_values  # as above

        assert self._dia is not None, "steps come after dia.state"
        for values in step_values(frames, self._dia, self._wanted):
            self._tell(values)

    def _tell_frames(self, frames: Frames) -> None:
        """Finished calls of Dia2."""
        assert self._runtime is not None, "frames come after state.build"
        data, ids = self._runtime.config.data, self._runtime.constants
        main = frames.codes is not None
        names = [name for name in draw_names(data.num_codebooks) if main and f"draw.{name}" in self._wanted]
        specials = special_codes(ids, data.audio_vocab_size)
        table = draw_table(frames, names, specials) if names else None
        for i, call in enumerate(frames.calls):
            values: dict[str, object] = {
                "call": call,
                "machine.before": self._before,
                "machine.after": frames.machine[i],
                "step_tokens": frames.step_tokens[i].clone(),
                "kv.transformer.length": call.slot + 1,
                "kv.depformer.length": data.num_codebooks - 1 if main else 0,
            }
            if frames.codes is not None:
                values["audio_buf.column"] = frames.codes[i].clone()
            for group, logits in frames.logits.items():
                if group == "dep":
                    values |= {f"logits.dep.{k + 1}": part.clone() for k, part in enumerate(logits[i])}
                else:
                    values[f"logits.{group}"] = logits[i].clone()
            if table is not None:
                values |= {f"draw.{name}": table.draw(i, column, name) for column, name in enumerate(names)}
            if frames.times:
                values |= {f"time.{part}": getattr(frames.times[i], part) for part in ("first", "machine", "second")}
                values["time.frame"] = frames.times[i].frame
            self._before = frames.machine[i]
            self._tell(values)
