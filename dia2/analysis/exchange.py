"""A run that reads another word: what patching compares a run with."""

from __future__ import annotations

from typing import Literal

import numpy as np

from dia2.adapter.machine import labels
from dia2.adapter.trace import Dia2Trace
from dia2.common.checks import counted_from_0, short
from dia2.common.errors import UsageError
from dia2.engine import Dia2

Streams = Literal["both", "main", "second"]


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
