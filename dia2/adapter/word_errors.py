"""How much of a run's script Whisper hears otherwise: the word error rate. It takes a Whisper, so it is no measure."""

from __future__ import annotations

from collections.abc import Sequence

from dia2.adapter.findings.hearing import heard_words
from dia2.adapter.trace import Dia2Trace
from dia2.inspect.trace.find import bare


def word_errors(trace: Dia2Trace, whisper: str = "base") -> float | None:
    """Words that Whisper hears otherwise, misses or adds, for each word of the script.

    Words are compared without punctuation and case. Those of a prefix are neither heard nor asked for; words that the
    run never came to are errors.

    Args:
        trace: may be partial.
        whisper: the one to listen with.

    Returns:
        0 if all words are heard, 1 and more if none are; `None` if there is no sound, no script, or no word in it.

    Raises:
        TraceError: the trace is damaged.
        UsageError: Whisper is not installed, or there is none of that name.
        Dia2Error: its checkpoint cannot be downloaded or read.
    """
    if not trace.begun or "text" in trace.redacted or trace.audio is None:
        return None
    asked = [text for word in trace.words if not word.prefix and (text := bare(word.text))]
    if not asked:
        return None
    samples, rate = trace.audio
    own = samples[trace.given_samples() :]
    heard = heard_words(own, rate, whisper) if own.any() else []
    return edits(asked, [bare(word.text) for word in heard]) / len(asked)


def edits(wanted: Sequence[str], heard: Sequence[str]) -> int:
    """Words to insert, remove or replace (Levenshtein)."""
    row = list(range(len(heard) + 1))
    for i, word in enumerate(wanted, 1):
        above, row = row, [i]
        for j, other in enumerate(heard, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (word != other)))
    return row[-1]
