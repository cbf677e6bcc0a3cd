"""What of the script was cut off, or is not read as its author meant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, cast

from dia2.common.wording import counted
from dia2.inspect.schema.finding import Finding, FindingKind
from dia2.inspect.trace.findings import SCRIPT_CUT, Case, Detector
from dia2.runtime.lookalikes import lookalikes

if TYPE_CHECKING:
    from dia2.adapter.trace import Dia2Trace
    from dia2.runtime.state_machine import Entry

_MOST = 20  # near misses, or words, that are told one by one

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
    "A word has characters that the tokenizer spells byte by byte, or drops: each byte of them is a token of its own.",
    "A character that a vocabulary knows costs one token or less; of one that it does not know nothing was learnt.",
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
    at = run.prefix_words
    for miss in lookalikes(script)[:_MOST]:
        if miss.kind == "pause" and miss.spelling.lower().startswith("<break"):
            continue
        pieces = [piece for piece in miss.spelling.replace("’", "'").replace(":", " ").split() if piece != "[S1]"]
        found = next((i for i in range(at, len(run.entries)) if pieces and pieces[0] in run.entries[i].text), None)
        number = at if found is None else found
        at = number
        end = min(len(run.entries) - 1, number + max(0, len(pieces) - 1))
        what = {"tag": "is no speaker tag", "marked": "is a tag with something around it that is read"}
        told = what.get(miss.kind, "is a cue, of which Dia2 knows none")
        yield TAG.found(
            f"{miss.spelling} in the script {told}: it is spoken as words.",
            _place(trace, number),
            _place(trace, end),
            speaker=run.entries[number].speaker or None,
        )


def _bytewise(entry: Entry) -> int:
    """Bytes of the characters of a word that are spelt byte by byte; 0: none can be."""
    strange = "".join(char for char in entry.text if not char.isascii())
    plain = len(entry.text) - len(strange)
    spelt = len(strange.encode())
    return spelt if spelt and len(entry.tokens) >= spelt + bool(plain) else 0


def _unknown(trace: Dia2Trace) -> Iterator[Finding]:
    run = trace.run
    strange = [i for i in range(run.prefix_words, len(run.entries)) if _bytewise(run.entries[i])]
    for stretch in _in_a_row(strange)[:_MOST]:
        entries = [run.entries[i] for i in stretch]
        words = " ".join(entry.text for entry in entries[:3]) + (" …" if len(entries) > 3 else "")
        size = sum(map(_bytewise, entries))
        text = f"The checkpoint has no piece for what is in “{words}”: it reads {size} single bytes."
        calls = _place(trace, stretch[0]), _place(trace, stretch[-1])
        yield UNKNOWN.found(text, *calls, speaker=entries[0].speaker or None)


def _in_a_row(numbers: Sequence[int]) -> list[list[int]]:
    stretches: list[list[int]] = []
    for number in numbers:
        if stretches and number == stretches[-1][-1] + 1:
            stretches[-1].append(number)
        else:
            stretches.append([number])
    return stretches


def _look(case: Case) -> Iterator[Finding]:
    trace = cast("Dia2Trace", case.trace)
    if not len(trace) or "text" in trace.redacted:
        return
    yield from _near_misses(trace)
    yield from _unknown(trace)
    yield from _cut_off(trace)


DETECTORS = (Detector((TAG, UNKNOWN, SCRIPT_CUT), _look),)
