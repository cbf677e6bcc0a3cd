"""What of the script was cut off, or is not read as its author meant."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, cast

from dia2.common.errors import UsageError
from dia2.common.wording import counted
from dia2.inspect.schema.finding import Finding, FindingKind, Severity
from dia2.inspect.trace.findings import SCRIPT_CUT, Case, Detector
from dia2.inspect.trace.stretches import in_a_row
from dia2.runtime.lookalikes import lookalikes
from dia2.runtime.script_notes import ScriptNotes
from dia2.runtime.script_parser import words_of

if TYPE_CHECKING:
    from dia2.adapter.trace import Dia2Trace
    from dia2.runtime.state_machine import Entry

_MOST = 20  # near misses, or words, that are told one by one
_TAG = re.compile(r"\[S[12]\]")  # those that count

TAG = FindingKind(
    "tag-near-miss",
    "bad",
    "The script has what looks like a speaker tag, a cue or a pause and is read aloud.",
    "The list of spellings is that of the notes on a script, which errs on the side of silence.",
    "write [S1] or [S2] where a speaker is meant, and leave cues out",
)
UNKNOWN = FindingKind(
    "unknown-token",
    "bad",
    "A word has characters that the tokenizer seems to spell byte by byte, since it has as many tokens as they have "
    "bytes; a note where they are less than half of the word. Or the tokenizer left nothing of a word.",
    "A character that a vocabulary knows costs one token or less; of one that it does not know nothing was learnt. A "
    "word that is in the script and not in the queue has no token.",
    "write the word in letters that the checkpoint was trained on",
)


def _cut_off(trace: Dia2Trace) -> Iterator[Finding]:
    if trace.manifest.result.stop_reason != "context":
        return
    last = len(trace) - 1
    left = [entry.text for entry in trace.queue_at(last) if entry.tokens]
    steps = f"The run reached its limit of {trace.model.max_context_steps:,} steps"
    if left:
        words = " ".join(left[:3]) + (" …" if len(left) > 3 else "")
        yield SCRIPT_CUT.found(f"{steps} with {counted(len(left), 'word')} unsaid: “{words}”.", last)
    else:
        yield SCRIPT_CUT.found(f"{steps} before the sound of its last words was finished.", last)


def _place(trace: Dia2Trace, number: int) -> int:
    """The call that took an entry, or the last one."""
    taken = trace.find("consumed", 1)
    return taken[number] if number < len(taken) else max(0, len(trace) - 1)


def _near_misses(trace: Dia2Trace) -> Iterator[Finding]:
    script, run = trace.manifest.script, trace.run
    if script is None:
        return
    notes = ScriptNotes()
    at = run.prefix_words  # entries before it belong to what stands earlier in the script
    for miss in lookalikes(script)[:_MOST]:
        if miss.kind == "pause" and miss.spelling.lower().startswith("<break"):
            continue
        pieces = _TAG.sub(" ", miss.spelling).replace("’", "'").replace(":", " ").split()  # as the parser leaves words
        found = (i for i in range(at, len(run.entries)) if pieces and pieces[0] in run.entries[i].text)
        first = next(found, min(at, len(run.entries) - 1))
        last = min(first + max(1, len(pieces)), len(run.entries)) - 1
        at = last + 1
        speaker = run.entries[first].speaker or None
        wrong, _, instead = notes.said(miss).rpartition(": ")
        yield TAG.found(f"{wrong}.", _place(trace, first), _place(trace, last), speaker=speaker, fix=instead)


def _bytewise(entry: Entry) -> int:
    """Bytes of the characters of a word that are spelt byte by byte; 0: none can be."""
    strange = "".join(char for char in entry.text if not char.isascii())
    plain = len(entry.text) - len(strange)
    spelt = len(strange.encode("utf-8", "surrogatepass"))
    return spelt if spelt and len(entry.tokens) >= spelt + bool(plain) else 0


def _unknown(trace: Dia2Trace) -> Iterator[Finding]:
    run = trace.run
    strange = [i for i in range(run.prefix_words, len(run.entries)) if _bytewise(run.entries[i])]
    for stretch in in_a_row(strange, lambda one, other: other == one + 1)[:_MOST]:
        entries = [run.entries[i] for i in stretch]
        words = " ".join(entry.text for entry in entries[:3]) + (" …" if len(entries) > 3 else "")
        size = sum(map(_bytewise, entries))
        text = f"The checkpoint has no piece for what is in “{words}”: it reads {size} single bytes."
        calls = _place(trace, stretch[0]), _place(trace, stretch[-1])
        most = any(sum(not char.isascii() for char in entry.text) * 2 > len(entry.text) for entry in entries)
        severity: Severity = "bad" if most else "note"  # one accent in a word may be a piece among small ones
        yield UNKNOWN.found(text, *calls, speaker=entries[0].speaker or None, severity=severity)


def dropped(script: str, kept: Sequence[str]) -> list[tuple[str, int]]:
    """Words of a script that its tokenizer dropped, each with the number of those in the queue that stand before it.

    Args:
        script: the text.
        kept: words of the queue, in order.
    """
    try:
        words = words_of(script)
    except UsageError:  # no run can have had it: a trace's script is data, and this one was changed
        return []
    found, at = [], 0
    for word in words:
        if at < len(kept) and kept[at] == word:
            at += 1
        else:
            found.append((word, at))
    return found if at == len(kept) else []  # else the queue was made of something else


def _dropped(trace: Dia2Trace) -> Iterator[Finding]:
    script, run = trace.manifest.script, trace.run
    if script is None:
        return
    numbers = [i for i in range(run.prefix_words, len(run.entries)) if run.entries[i].tokens]
    missing = dropped(script, [run.entries[i].text for i in numbers])
    for stretch in in_a_row(missing, lambda one, other: one[1] == other[1])[:_MOST]:
        words, before = " ".join(word for word, _ in stretch[:3]) + (" …" if len(stretch) > 3 else ""), stretch[0][1]
        text = f"The tokenizer has no token for “{words}”: the model never sees it."
        after = numbers[before] if before < len(numbers) else len(run.entries)
        speaker = run.entries[numbers[max(0, before - 1)]].speaker
        yield UNKNOWN.found(text, _place(trace, after), speaker=speaker or None)


def _look(case: Case) -> Iterator[Finding]:
    trace = cast("Dia2Trace", case.trace)
    if not len(trace) or "text" in trace.redacted:
        return
    yield from _near_misses(trace)
    yield from _unknown(trace)
    yield from _dropped(trace)
    yield from _cut_off(trace)


DETECTORS = (Detector((TAG, UNKNOWN, SCRIPT_CUT), _look),)
