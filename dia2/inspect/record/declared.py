"""Recording a family whose declaration says all that there is to know of its calls."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from dia2.common.hooks import MAX_CODEBOOKS, Span
from dia2.inspect.record.draws import DrawTable, arrays, best_candidates, draw_columns, padded
from dia2.inspect.record.recording import LEFT, Recording
from dia2.inspect.record.sink import TraceSink
from dia2.inspect.schema.adapter import Adapter
from dia2.inspect.schema.draw import chosen
from dia2.inspect.schema.saying import Sayings
from dia2.inspect.store.declared import DeclaredRun
from dia2.inspect.store.layout import AUDIO_FILE

_WIDEST_SMALL = 2**15  # ids below it fit 16 bits


class DrawLogits(NamedTuple):
    """What one draw of n calls chose among, [n, V] float32 each."""

    cond: Tensor  # conditional logits
    guided: Tensor  # after guidance; `cond` where there is none
    scores: Tensor  # of which softmax makes the chances; −∞ where a token could not be drawn

    @staticmethod
    def of(logits: Tensor, temperature: float, top_k: int = 0) -> DrawLogits:
        """Those of sampling without guidance.

        Args:
            logits: [n, V].
            temperature: 0: the best one is taken.
            top_k: that stay; 0: all.
        """
        logits = logits.float()
        keep = 1 if temperature == 0 else top_k or logits.shape[-1]
        least = logits.topk(min(keep, logits.shape[-1])).values[:, -1:]
        scores = logits.masked_fill(logits < least, -torch.inf)
        return DrawLogits(logits, logits, scores / (temperature or 1.0))


@dataclass(frozen=True)
class Calls:
    """Finished calls in a row of a run that speaks one script, as its engine hands them to `Observer.frames`."""

    first: int  # number of the first one
    drawn: bool  # they draw; else what they read was given
    columns: Mapping[str, Tensor]  # [n, …] by name, `call` and `phase` aside; those of level `full` where they are kept
    draws: Mapping[str, DrawLogits] = field(default_factory=dict)  # by name; none where nobody asks for them

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    @property
    def numbered(self) -> dict[str, Tensor]:
        """All columns."""
        own = {
            "call": torch.arange(self.first, self.first + len(self), dtype=torch.int32),
            "phase": torch.full((len(self),), int(self.drawn), dtype=torch.uint8),
        }
        return own | dict(self.columns)


def _joined(parts: Sequence[Calls]) -> Calls:
    """Calls in a row as one."""
    columns = {name: torch.cat([part.columns[name] for part in parts]) for name in parts[0].columns}
    draws = {
        name: DrawLogits(*(torch.cat(rows) for rows in zip(*(part.draws[name] for part in parts), strict=True)))
        for name in parts[0].draws
    }
    return replace(parts[0], columns=columns, draws=draws)


def draw_table(adapter: Adapter, calls: Calls, names: Sequence[str]) -> DrawTable:
    """What the draws `names` of some calls chose among."""
    choice_of = adapter.draw_columns(MAX_CODEBOOKS)
    choices = torch.from_numpy(chosen(arrays(calls.columns), names, choice_of)).long()  # [n, D]
    tables = []
    for choice, (cond, guided, scores) in zip(choices.T, (calls.draws[name] for name in names), strict=True):
        ids = best_candidates(cond.cpu(), choice)
        own, after, left = (part.cpu().gather(1, ids) for part in (cond, guided, scores))
        chance = scores.cpu().softmax(1).gather(1, choice[:, None])[:, 0]
        tables.append(padded(DrawTable(ids, own, after, ~left.isneginf(), choice, chance)))
    return DrawTable(*(torch.stack(parts, dim=1) for parts in zip(*tables, strict=True)))


class DeclaredRecording(Recording, ABC):
    """See `Recording`. A family says what its phases tell, what decides a run, and what came out of it."""

    adapter: ClassVar[Adapter]
    say: ClassVar[Sayings]

    def __init__(self, sink: TraceSink) -> None:
        self.draws: list[str] = []
        self._sink = sink
        self._selected: frozenset[str] = frozenset()
        self._ended = False

    @abstractmethod
    def facts(self, span: Span) -> DeclaredRun:
        """What decides the run that begins with this span."""

    @abstractmethod
    def learn(self, span: Span) -> None:
        """Keep what a phase that ended well tells of the run: by `ended`, `sound` and the sink's `result`."""

    def ended(self) -> None:
        """Note that the run has made all of its calls."""
        self._ended = True

    def sound(self, waveform: Tensor, rate: int) -> None:
        """Keep the run's sound [N]."""
        if len(waveform) and self._sink.sound(waveform.detach().float().cpu().numpy(), rate):
            self._sink.manifest["audio"] = [AUDIO_FILE]

    # What a recorder asks

    def codebooks(self, span: Span) -> int:
        """See `Recording`."""
        return self.facts(span).sizes[self.adapter.axes[1] or ""]

    def begin_run(self, span: Span, selected: frozenset[str]) -> None:
        """See `Recording`."""
        run, layout = self.facts(span), self.adapter.layout
        self._selected = selected
        names = self.adapter.draw_columns(run.sizes[self.adapter.axes[1] or ""])
        self.draws = [name for name in names if f"draw.{name}" in selected]
        limits = [run.sizes[c.below] for c in layout.columns.values() if isinstance(c.below, str)]
        self._sink.writer.small = layout.small if max(limits, default=_WIDEST_SMALL) < _WIDEST_SMALL else frozenset()
        self._sink.manifest |= {"draws": self.draws, "run": asdict(run)}
        self._sink.begin()

    def first(self, calls: Calls) -> int:
        """See `Recording`."""
        return calls.first

    def count(self, calls: Calls) -> int:
        """See `Recording`."""
        return len(calls)

    def kind(self, calls: Calls) -> object:
        """See `Recording`: given or drawn, and what is told of it."""
        return calls.drawn, list(calls.columns), list(calls.draws)

    def copied(self, calls: Calls) -> Calls:
        """See `Recording`."""
        columns = {name: part.clone() for name, part in calls.columns.items()}
        draws = {name: DrawLogits(*(part.clone() for part in parts)) for name, parts in calls.draws.items()}
        return replace(calls, columns=columns, draws=draws)

    def held_bytes(self, calls: Calls) -> int:
        """See `Recording`: of all that a call tells."""
        tensors = [*calls.columns.values(), *(part for parts in calls.draws.values() for part in parts)]
        return sum(part.nbytes for part in tensors) // len(calls)

    def columns(self, parts: Sequence[Calls], *, draws: bool, logits: bool) -> dict[str, np.ndarray]:
        """See `Recording`."""
        calls, known = _joined(parts), self.adapter.layout.columns
        found = {
            name: part
            for name, part in calls.numbered.items()
            if known[name].level == "tokens" or (logits and any(point.startswith(name) for point in self._selected))
        }
        names = self.draws if draws and calls.draws else []
        if names:
            found |= draw_columns(draw_table(self.adapter, calls, names))
        told = {point for point in self._selected if any(_tells(name, point) for name in found)}
        self._sink.fired |= told | {f"draw.{name}" for name in names}
        return arrays(found)

    def cut_short(self) -> str | None:
        """See `Recording`."""
        return None if self._ended else LEFT


def _tells(column: str, point: str) -> bool:
    """A column has what a hook point carries: `codes`, or `logits` of `logits.cb0`."""
    return point == column or point.startswith(f"{column}.")


class DeclaredValues:
    """See `Values`: the columns of each call by their names, its draws, and what they chose among."""

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter

    def begin(self, span: Span) -> None:
        """See `Values`."""

    def end(self, span: Span) -> Mapping[str, object]:
        """See `Values`: nothing comes once a run."""
        return {}

    def frames(self, calls: Calls, wanted: Collection[str]) -> Iterator[Mapping[str, object]]:
        """See `Values`."""
        names = [name for name in calls.draws if f"draw.{name}" in wanted]
        table = draw_table(self._adapter, calls, names) if names else None
        for i in range(len(calls)):
            values: dict[str, object] = {name: part[i].clone() for name, part in calls.numbered.items()}
            values |= {f"logits.{name}": parts.cond[i].clone() for name, parts in calls.draws.items()}
            if table is not None:
                values |= {f"draw.{name}": table.draw(i, column, name) for column, name in enumerate(names)}
            yield values
