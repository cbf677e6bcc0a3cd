"""Calls as the front end gets them, a stretch at a time: from the shards of a trace, or from a run that goes on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dia2.adapter.machine import Before, Part, Queues, judge
from dia2.adapter.manifest import ModelFacts
from dia2.inspect.schema.view import Columns
from dia2.runtime.state_machine import Entry

_QUEUED = 12  # tokens of a queue that are shown; the rest is counted
_OUTCOMES = ("pad", "new_word", "break", "end")
_AS_THEY_ARE = ("step", "position", "slot", "padding_budget", "forced_padding", "entries_left", "end_step")


class Calls:
    """Turns columns of a trace into columns of a view; has to see all calls in their order."""

    def __init__(
        self,
        model: ModelFacts,
        entries: Sequence[Entry],
        initial_padding: int,
    ) -> None:
        """Begin before the first call.

        Args:
            model: facts about the checkpoint.
            entries: of the run; may grow while calls are added.
            initial_padding: of the run's config.
        """
        self._model = model
        self.reasons: list[str | None] = [None]  # for which actions were overruled so far, as `overruled` numbers them
        self._queues = Queues(entries, model.second_stream_ahead)
        self._before = Before(False, initial_padding, initial_padding)
        self._taken = 0  # entries, by the calls so far

    def add(self, columns: Columns) -> Columns:
        """The next calls.

        Args:
            columns: as `layout.COLUMNS` has them, [n, …] each; draws and logits may be missing.
        """
        main = columns["phase"] == 1
        # The queue is counted from the front: streamed text adds to its end while calls go on.
        taken = self._taken + np.cumsum(columns["consumed"], dtype=np.int32)
        self._taken += int(columns["consumed"].sum())
        made = {name: columns[name].astype(np.int32) for name in _AS_THEY_ARE}
        made |= {
            "taken": taken,
            "forced": columns["forced"].astype(np.uint8),
            "main": columns["emitted"][:, 0].astype(np.int32),
            "second": columns["emitted"][:, 1].astype(np.int32),
            "kv_transformer": (columns["slot"] + 1).astype(np.int32),
            "kv_depformer": np.where(main, self._model.codebooks - 1, 0).astype(np.int32),
        }
        return made | self._machine(columns)

    def _machine(self, columns: Columns) -> Columns:
        """What each call drew and took, and the word that every text token is a part of; −1: of none."""
        n = len(columns["call"])
        drawn, outcome, overruled = (np.zeros(n, np.uint8) for _ in range(3))
        parts = {name: np.full((n, 3), -1, np.int32) for name in ("main_part", "second_part")}  # entry, number, of
        queues: dict[str, list[tuple[int, int, int]]] = {"pending": [], "lookahead": []}
        counts = {name: np.zeros((n, 2), np.int32) for name in queues}  # shown, all
        ids = self._model.tokens
        for call in range(n):
            emitted = int(columns["emitted"][call, 0]), int(columns["emitted"][call, 1])
            label = self._queues.step(bool(columns["consumed"][call]), bool(columns["end_step"][call] >= 0), emitted)
            forced = bool(columns["forced"][call])
            found = judge(ids, int(columns["action"][call]), forced, self._before, label.taken)
            drawn[call] = found.drawn == "new_word"
            outcome[call] = _OUTCOMES.index(found.outcome)
            overruled[call] = self._reason(found.overruled)
            for name, part in (("main_part", label.main), ("second_part", label.second)):
                if part is not None:
                    parts[name][call] = _numbers(part)
            for name, queue in (("pending", label.pending), ("lookahead", label.lookahead)):
                queues[name] += [_numbers(part) for part in queue[:_QUEUED]]
                counts[name][call] = min(_QUEUED, len(queue)), len(queue)
            budget, forced_padding = int(columns["padding_budget"][call]), int(columns["forced_padding"][call])
            self._before = Before(self._waiting(columns, call), forced_padding, budget)
        return (
            {"drawn": drawn, "outcome": outcome, "overruled": overruled}
            | parts
            | {name: np.array(queue, np.int32).reshape(-1, 3) for name, queue in queues.items()}
            | {f"{name}_counts": count for name, count in counts.items()}
        )

    @staticmethod
    def _waiting(columns: Columns, call: int) -> bool:
        """Tokens are pending after a call, as the machine itself said."""
        ends = columns["pending_end"]
        return bool(ends[call] > (ends[call - 1] if call else 0))

    def _reason(self, reason: str | None) -> int:
        if reason not in self.reasons:
            self.reasons.append(reason)
        return self.reasons.index(reason)


def _numbers(part: Part) -> tuple[int, int, int]:
    return part.entry, part.number, part.of
