"""A run that reads another word: what patching compares a run with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from dia2.adapter.machine import labels
from dia2.adapter.trace import Dia2Trace
from dia2.analysis.gather import check_traces
from dia2.analysis.labels import Labels, labels_of
from dia2.common.brief import brief_repr
from dia2.common.checks import counted_from_0, short
from dia2.common.errors import UsageError
from dia2.engine import Dia2
from dia2.inspect.schema.word import TraceWord
from dia2.runtime.sounding import LAG

Streams = Literal["both", "main", "second"]
_ONSET = 3  # calls of a word in which an exchange is judged: what follows them is known from the sound before


@dataclass(frozen=True)
class Exchange:
    """A word of a run, and another one in its place."""

    __repr__ = brief_repr

    run: int  # number of the trace
    word: int  # number among its words
    text: str  # what stands there instead
    tokens: np.ndarray  # [calls, 2 + K] as `activation_patching` takes them
    slots: list[int]  # calls that read another token, up to the last of `drawn`
    drawn: list[int]  # the first calls that draw the word's sound


def exchanges(
    traces: Sequence[Dia2Trace] | Dia2Trace, tts: Dia2, count: int, *, streams: Streams = "both", seed: int = 0
) -> list[Exchange]:
    """Exchange words for others that these runs speak, of as many tokens.

    Args:
        traces: runs of one checkpoint.
        tts: that checkpoint.
        count: how many there are to be; fewer, where the runs have fewer words.
        streams: in which text streams.
        seed: of which words, and by which.

    Raises:
        UsageError: another checkpoint, or no traces.
        TraceError: a trace was redacted.
    """
    listed, rng = check_traces(traces, "exchanges"), np.random.default_rng(seed)
    encoded = {word.text: tts.runtime.encode(word.text) for trace in listed for word in trace.words}
    places = [(run, word.index) for run, trace in enumerate(listed) for word in trace.words if word.call is not None]
    found: list[Exchange] = []
    for run, number in (places[i] for i in rng.permutation(len(places))):
        if len(found) == count:
            break
        trace = listed[run]
        word, said = trace.words[number], labels_of(trace)
        own = encoded[word.text]
        others = sorted(text for text, tokens in encoded.items() if tokens != own and len(tokens) == len(own))
        drawn = _first_calls(trace, said, word)
        if not others or not drawn:
            continue
        text = others[rng.integers(len(others))]
        tokens = exchange_word(trace, tts, number, text, streams=streams)
        other = (tokens != trace.step_tokens[:, 0]).any(axis=1)
        slots = np.flatnonzero(other[: drawn[-1] + 1]).tolist()
        if slots:
            found.append(Exchange(run, number, text, tokens, slots, drawn))
    return found


def _first_calls(trace: Dia2Trace, said: Labels, word: TraceWord) -> list[int]:
    """The first calls that draw a word's sound; none of a word of the warm-up, or one that does not sound."""
    if word.step is None:
        return []
    frames = trace.steps + 1 - trace.model.delays[0]
    starts = np.flatnonzero((said.position == 0) & (frames == word.step - LAG))
    return np.flatnonzero(said.word == said.word[starts[0]])[:_ONSET].tolist() if len(starts) else []


def exchange_word(trace: Dia2Trace, tts: Dia2, word: int, text: str, *, streams: Streams = "both") -> np.ndarray:
    """What a run would have read with another word in one's place, and the sound that it drew all the same.

    Args:
        trace: of the run.
        tts: its checkpoint, whose tokenizer is asked.
        word: its number among `trace.words`.
        text: what stands there instead; as many tokens as the word has.
        streams: in which text streams.

    Returns:
        Tokens of the conditional branch, [calls, 2 + K] int64, as `activation_patching` takes them.

    Raises:
        UsageError: there is no such word, or the other one has another number of tokens.
        TraceError: the trace was redacted.
    """
    number = counted_from_0(word, "word")
    if not 0 <= number < len(trace.words):
        raise UsageError(f"There is no word {number}: {trace.path} has words 0 … {len(trace.words) - 1}.")
    if streams not in ("both", "main", "second"):
        raise UsageError(f"The streams are both, main or second, not {short(streams)}.")
    entries = [i for i, entry in enumerate(trace.run.entries) if entry.tokens]
    old, own = trace.words[number].tokens, tts.runtime.encode(trace.words[number].text)
    tags = max(0, len(old) - len(own)) if old[-len(own) :] == own else 0  # tokens of a speaker tag go before the word
    new = [*old[:tags], *tts.runtime.encode(text)]
    if len(new) != len(old):
        raise UsageError(
            f"{short(text)} has {len(new) - tags} tokens and {short(trace.words[number].text)} has {len(old) - tags}: "
            "exchange words of equal length, so that every slot keeps its place."
        )
    tokens = trace.step_tokens[:, 0].astype(np.int64)
    for call, label in enumerate(labels(trace, len(trace) - 1)):  # what a call emits is read by the next one
        for column, name, part in ((0, "main", label.main), (1, "second", label.second)):
            if part is not None and part.entry == entries[number] and streams in ("both", name):
                tokens[call + 1, column] = new[part.number - 1]
    return tokens
