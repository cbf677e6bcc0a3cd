"""What hook points carry in a run of Dia2, for `dia2.inspect.record.watch`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from dia2.adapter.draws import draw_table
from dia2.adapter.layout import draw_names
from dia2.adapter.machine import before_first
from dia2.common.hooks import Span
from dia2.runtime.context import RuntimeContext
from dia2.runtime.guidance import special_codes
from dia2.runtime.observed import Frames, MachineRow
from dia2.runtime.state_machine import State


class Dia2Values:
    """See `Values`."""

    def __init__(self) -> None:
        self._runtime: RuntimeContext | None = None
        self._before: MachineRow | None = None

    def begin(self, span: Span) -> None:
        """See `Values`."""
        if span.name == "state.build":
            runtime = span.inputs["runtime"]
            assert isinstance(runtime, RuntimeContext), "its first parameter"
            self._runtime = runtime

    def end(self, span: Span) -> Mapping[str, object]:
        """See `Values`: nothing comes once a run."""
        if span.name == "machine.new_state" and isinstance(span.result, State):
            machine = span.inputs["self"]
            state = span.result
            self._before = before_first(machine.ids, state.padding_budget, len(state.entries))  # type: ignore[attr-defined]  # the machine
        return {}

    def frames(self, frames: Frames, wanted: Collection[str]) -> Iterator[Mapping[str, object]]:
        """See `Values`."""
        assert self._runtime is not None, "frames come after state.build"
        data, ids = self._runtime.config.data, self._runtime.constants
        main = frames.codes is not None
        names = [name for name in draw_names(data.num_codebooks) if main and f"draw.{name}" in wanted]
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
            yield values
