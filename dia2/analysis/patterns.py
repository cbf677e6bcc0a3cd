"""Where heads look, slot by slot, with the words that stand there; and which heads look at the word being spoken."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from dia2.adapter.activations import streamed
from dia2.adapter.looking import Looker
from dia2.adapter.pictures import placed_words, spoken_slots
from dia2.adapter.replay import check_given, chosen_points
from dia2.adapter.trace import Dia2Trace
from dia2.analysis.gather import check_traces
from dia2.analysis.intervals import by_runs
from dia2.analysis.labels import SpokenWord, labels_of
from dia2.analysis.readout import drawing_calls
from dia2.common.brief import brief_repr
from dia2.common.checks import counted_from_0
from dia2.common.errors import UsageError
from dia2.engine import Dia2


@dataclass(frozen=True)
class AttentionPattern:
    """Attention of one layer's heads in n calls, of the conditional branch."""

    __repr__ = brief_repr

    layer: int
    calls: list[int]
    weights: np.ndarray  # [n, heads, slots] float32: rows sum to 1, 0 at slots that come later
    slot_words: list[str]  # [slots] the word whose token went in there; empty where there is none
    slot_speakers: list[int]  # [slots] who says that word; 0 likewise
    call_words: list[str]  # [n] the word whose sound the call draws codebook 0 for; likewise
    call_speakers: list[int]  # [n]
    words: list[SpokenWord]  # those of `call_words`


@dataclass(frozen=True)
class HeadTable:
    """How much each head looks at the tokens of the word being spoken, over n calls of some runs."""

    __repr__ = brief_repr

    on_word: np.ndarray  # [layers, heads] float64: mean attention to the slots with its tokens
    by_distance: (
        np.ndarray
    )  # likewise, of a head that looks as far back as this one does in the mean, whatever is there
    low: np.ndarray  # [layers, heads]: a 95 % interval of the difference of both, runs drawn with replacement
    high: np.ndarray
    calls: int  # n
    runs: int

    @property
    def excess(self) -> np.ndarray:
        """[layers, heads]: what distance alone does not explain."""
        found: np.ndarray = self.on_word - self.by_distance
        return found

    def best(self, count: int = 5) -> list[tuple[int, int]]:
        """(layer, head) of those with the largest excess, first."""
        order = np.argsort(-self.excess, axis=None, kind="stable")[:count]
        return [
            (int(layer), int(head)) for layer, head in zip(*np.unravel_index(order, self.excess.shape), strict=True)
        ]


def attention_pattern(
    trace: Dia2Trace, tts: Dia2, layer: int, calls: Sequence[int] | slice | None = None
) -> AttentionPattern:
    """Where the heads of a layer look.

    Args:
        trace: of any level.
        tts: the checkpoint that made it.
        layer: of the transformer, from 0.
        calls: of the main loop; `None`: all of it.

    Raises:
        UsageError: another checkpoint, no such layer, a call of the warm-up, or more calls than memory should hold.
        TraceError: there is no such call, or the trace was redacted.
    """
    wanted, layer = drawing_calls(trace, calls), counted_from_0(layer, "layer")
    point = f"act.{layer}.pattern"
    weights = trace.replay(tts, wanted, points=point).acts[point][:, 0].numpy()
    found = labels_of(trace)
    slots, speakers = [""] * weights.shape[-1], [0] * weights.shape[-1]
    for word in placed_words(trace, max(wanted) + 1):
        for slot in word.slots:
            if slot < len(slots):
                slots[slot], speakers[slot] = word.text, word.speaker
    numbers = [int(found.word[call]) for call in wanted]
    said = [found.words[number].text if number >= 0 else "" for number in numbers]
    words = [found.words[number] for number in sorted(set(numbers) - {-1})]
    told = [int(found.speaker[call]) for call in wanted]
    return AttentionPattern(layer, wanted, weights, slots, speakers, said, told, words)


def head_table(
    traces: Sequence[Dia2Trace] | Dia2Trace,
    tts: Dia2,
    *,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> HeadTable:
    """Which heads look at the word being spoken, beside what looking that far back would give by itself.

    Args:
        traces: runs of one checkpoint.
        tts: that checkpoint.
        seed: of the interval's draws.
        progress: called with (traces done, traces to do).

    Raises:
        UsageError: another checkpoint, or none of the runs speaks a word.
        TraceError: a trace was redacted.
    """
    listed = check_traces(traces, "head_table")
    longest, config = max(map(len, listed)), tts.runtime.config.model.decoder
    shape = (config.n_layer, config.gqa_query_heads)
    on_word = np.zeros((len(listed), *shape))  # sums over calls
    reach = np.zeros((*shape, longest))  # attention by distance, summed over calls
    seen = np.zeros(longest)  # calls that could look so far back
    at = np.zeros((len(listed), longest))  # by run and distance: slots of the word being spoken
    counts = np.zeros(len(listed))
    for number, trace in enumerate(listed):
        spoken = spoken_slots(trace, placed_words(trace, len(trace)))
        wanted = check_given(trace, tts, [call for call, slots in enumerate(spoken) if slots] or [len(trace) - 1])
        points = chosen_points(trace, tts.runtime, "act.*.pattern", max(wanted) + 1)
        with tts.runtime.computing():
            for some, acts in streamed(tts.runtime, trace, wanted, Looker(points)):
                weights = np.stack([acts[point.name][:, 0].numpy() for point in points])  # [layers, n, heads, slots]
                for row, call in enumerate(some):
                    if not spoken[call]:
                        continue
                    reach[:, :, : call + 1] += weights[:, row, :, call::-1] if call else weights[:, row, :, :1]
                    seen[: call + 1] += 1
                    on_word[number] += weights[:, row][:, :, spoken[call]].sum(axis=-1)
                    np.add.at(at[number], call - np.array(spoken[call]), 1)
                    counts[number] += 1
        if progress is not None:
            progress(number + 1, len(listed))
    if not counts.sum():
        raise UsageError("None of these runs speaks a word that it looks at: record one that speaks.")
    mean_reach = reach / np.maximum(seen, 1)  # [layers, heads, distance]
    by_distance = np.einsum("rd,lhd->rlh", at, mean_reach)  # sums over calls
    difference = on_word - by_distance
    low, high = by_runs(difference, counts, seed)
    total = counts.sum()
    return HeadTable(on_word.sum(axis=0) / total, by_distance.sum(axis=0) / total, low, high, int(total), len(listed))
