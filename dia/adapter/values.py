"""What hook points carry in a run of Dia, for `dia2.inspect.record.watch`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from dia.adapter.draws import draw_table
from dia.adapter.layout import CHANNEL, draw_channel
from dia.capture import Steps
from dia.model import Dia
from dia2.common.hooks import CallInfo, Span


class DiaValues:
    """See `Values`."""

    def __init__(self) -> None:
        self._dia: Dia | None = None

    def begin(self, span: Span) -> None:
        """See `Values`."""
        if span.name == "dia.state":
            dia = span.inputs["self"]
            assert isinstance(dia, Dia), "whose run it is"
            self._dia = dia

    def end(self, span: Span) -> Mapping[str, object]:
        """See `Values`."""
        if span.error is not None or not isinstance(span.result, tuple):
            return {}
        first = span.result[0]
        if span.name == "dia.text":
            return {"encoder.tokens": first.clone(), "kv.cross.length": int(first.shape[1])}
        return {"encoder.output": first.float().cpu().clone()} if span.name == "dia.encoder" else {}

    def frames(self, steps: Steps, wanted: Collection[str]) -> Iterator[Mapping[str, object]]:
        """See `Values`."""
        assert self._dia is not None, "steps come after dia.state"
        data = self._dia.config.data
        channels = data.channels
        names = [f"{CHANNEL}{c}" for c in range(channels) if f"draw.{CHANNEL}{c}" in wanted]
        table = None
        if names and steps.logits is not None and steps.drawn is not None:
            chosen = [draw_channel(name) for name in names]
            table = draw_table(steps.logits, steps.drawn, chosen, steps.config, data.audio_eos_value)
        for i, tokens in enumerate(steps.tokens):
            call = steps.first + i
            loop = steps.written is not None
            values: dict[str, object] = {
                "call": CallInfo(call, "main" if loop else "warmup", call, call, call),
                "step_tokens": tokens.clone(),
            }
            if steps.written is not None and steps.countdown is not None:
                values |= {"audio_buf.column": steps.written[i].clone(), "eos.countdown": steps.countdown[i].clone()}
            values["kv.self.length"] = call + 1
            if steps.logits is not None:
                values |= {f"logits.{CHANNEL}{c}": steps.logits[i, :, c].clone() for c in range(channels)}
            if table is not None:
                for column, name in enumerate(names):
                    scripts = range(tokens.shape[0])
                    values[f"draw.{name}"] = [table.draw(i, b * len(names) + column, name) for b in scripts]
            if steps.seconds:
                values["time.frame"] = steps.seconds[i]
            yield values
