"""`dia2 trace frames`: one line per call."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from dia2.adapter.machine import Labels, labels
from dia2.adapter.trace import Dia2Trace
from dia2.common.errors import TraceError, UsageError
from dia2.common.wording import counted
from dia2.inspect.trace.trace import Trace
from dia2.inspect.views.console.grid import choose_span
from dia2.inspect.views.console.page import DIM, HEAD, LABEL, MARK, Column, Facts, Page, finite, join, plain
from dia2.inspect.views.console.words import action_facts, action_text, token_facts, token_text

SHORT = 24  # calls shown where nothing was asked for
_BEFORE_WORD = 4  # of them, those before the call that took a word


def choose_calls(
    trace: Dia2Trace, first: int | None = None, last: int | None = None, word: str | None = None
) -> tuple[int, int]:
    """The calls to show, first and last one.

    Args:
        trace: with at least one call.
        first: `None`: the start, or a little before `word`.
        last: included; `None`: 24 calls in all.
        word: the first call that took this word, instead of `first`.

    Raises:
        UsageError: no such calls, or no such word.
        TraceError: the trace has no calls at all.
    """
    if word is not None:
        if first is not None:
            raise UsageError("Give a word or a first call, not both.")
        found = trace.find(word=word)
        if not found:
            raise UsageError(f"No call of {trace.path} took the word {word[:60]!r}.")
        first = max(0, found[0] - _BEFORE_WORD)
    return span_of_calls(trace, first, last)


def span_of_calls(trace: Trace[Any], first: int | None, last: int | None) -> tuple[int, int]:
    """The calls to show, first and last one, of a run of either family; see `choose_calls`.

    Raises:
        UsageError: no such calls.
        TraceError: the trace has no calls at all.
    """
    if not len(trace):
        raise TraceError(f"{trace.path} holds no calls ({trace.state}).")
    return choose_span(first, last, fits=SHORT, count=len(trace), what="call", of=str(trace.path))


def frames_facts(trace: Dia2Trace, first: int, last: int, *, script: int = 0, times: bool = True) -> Facts:
    """Calls `first` … `last`, both included, see `choose_calls`.

    `twice` says that the call's step is also that of the call before or after: the last frame of a prefix.
    """
    run, twice, kv = trace.run, decoded_twice(trace) or (), trace.kv_lengths
    calls = []
    for call, parts in enumerate(labels(trace, last + 1)):
        if call >= first:
            facts = _call_facts(trace, call, parts, kv[call].tolist(), times)
            calls.append(facts | {"twice": call in twice})
    edits = [{"call": edit.call, "edit": str(edit)} for edit in run.edits if first <= edit.call <= last]
    return {"path": str(trace.path), "calls_in_trace": len(trace), "edits": edits, "calls": calls}


def decoded_twice(trace: Dia2Trace) -> tuple[int, int] | None:
    """The two calls of a prefix's last frame: the last of the warm-up, the first of the main loop."""
    warmup = trace.warmup_calls
    if 0 < warmup < len(trace) and trace.steps[warmup - 1] == trace.steps[warmup]:
        return warmup - 1, warmup
    return None


def _call_facts(trace: Dia2Trace, call: int, parts: Labels, kv: list[int], times: bool) -> Facts:
    row, warmup = trace.machine_at(call), trace.column("phase")[call] == 0
    return {
        "call": call,
        "phase": "warmup" if warmup else "main",
        "step": row.step,
        "action": action_facts(trace, call, parts.taken),
        "main": token_facts(trace, row.main, parts.main),
        "second": token_facts(trace, row.second, parts.second),
        "padding_budget": row.padding_budget,
        "forced_padding": row.forced_padding,
        "entries_left": row.entries_left,
        "pending": len(row.pending),
        "kv": {"transformer": kv[0], "depformer": kv[1]},
        "codes": None if warmup else trace.codes[call].tolist(),
        "seconds": None if warmup or not times else finite(float(trace.times[call, 3])),
    }


def print_frames(
    trace: Dia2Trace, console: Console, first: int, last: int, *, script: int = 0, times: bool = True
) -> None:
    """Print calls `first` … `last`, both included; as many codebooks as the width has room for."""
    facts, page = frames_facts(trace, first, last, times=times), Page(console)
    calls = facts["calls"]
    digits = max(3, len(str(last + 1)))  # of a call, and of the slots filled after it
    code = max(3, len(str(trace.model.audio_vocabulary - 1)))
    fixed = digits + 2 + 5 + 5 + 10 + 4 + 3 * 5 + digits + 1 + (6 if times else 0)
    words = max(9, min(14, (page.width - fixed - (code + 1)) // 2 - 1))
    room = page.width - fixed - 2 * (words + 1)
    shown = max(1, min(trace.model.codebooks, room // (code + 1)))
    words = min(22, words + max(0, room - shown * (code + 1)) // 2)
    right, left = "right", "left"
    heads: list[tuple[str, int, str]] = [
        ("call", digits + 1, right),
        ("in", 4, left),
        ("step", 4, right),
        ("action", 9, left),
        ("main", words, left),
        ("second", words, left),
        ("bud", 3, right),
        ("fpad", 4, right),
        ("left", 4, right),
        ("pend", 4, right),
        ("kv", digits, right),
        *((f"cb{k}", code, right) for k in range(shown)),
        *([("ms", 5, right)] if times else []),
    ]
    columns = [Column(width, "right" if align == right else "left") for _, width, align in heads]
    page.row([plain(name, HEAD) for name, _, _ in heads], columns, gap=1)
    for call in calls:
        page.row(_cells(call, digits, words, shown, times), columns, gap=1)
    _notes(facts, first, last, shown, trace, page)


def _cells(call: Facts, digits: int, words: int, shown: int, times: bool) -> list[Text]:
    action, codes, kv = call["action"], call["codes"], call["kv"]
    style = MARK if action["overruled"] else HEAD if action["outcome"] in ("new_word", "break", "end") else DIM
    warmup = call["phase"] == "warmup"
    cells = [
        join(("=" if call["twice"] else "", MARK), (f"{call['call']:>{digits}}", LABEL)),
        plain("warm" if warmup else "main", DIM if warmup else ""),
        plain(call["step"], MARK if call["twice"] else ""),
        plain(action_text(action), style),
        token_text(call["main"], words),
        token_text(call["second"], words),
        *(plain(call[name]) for name in ("padding_budget", "forced_padding", "entries_left", "pending")),
        plain(kv["transformer"]),
        *(plain("" if codes is None else codes[k]) for k in range(shown)),
    ]
    if times:
        cells.append(plain("" if call["seconds"] is None else milliseconds(call["seconds"])))
    return cells


def milliseconds(seconds: float) -> str:
    """In 5 characters: a first frame that compiles can take a minute."""
    return f"{seconds * 1e3:.1f}" if seconds < 1 else f"{min(seconds * 1e3, 99_999):.0f}"


def _notes(facts: Facts, first: int, last: int, shown: int, trace: Dia2Trace, page: Page) -> None:
    calls = facts["calls"]
    page.line()
    page.paragraph(
        plain(
            "main, second: the text tokens that the call emitted. After it: bud padding budget, fpad forced padding, "
            "left entries in the queue, pend pending tokens, kv filled slots of the transformer's cache.",
            DIM,
        )
    )
    if any(call["phase"] == "warmup" for call in calls):
        page.paragraph(plain("warm: the prefix, in one pass; actions are given and no codes are drawn.", DIM))
    twice = decoded_twice(trace)
    if twice is not None and any(call["twice"] for call in calls):
        step = int(trace.steps[twice[0]])
        text = f"step {step} is decoded twice: by call {twice[0]}, the last of warm-up, and by call {twice[1]}, the "
        text += "first of the main loop, in a KV slot of its own."
        page.row([plain("=", MARK), plain(text)], [Column(1), Column(page.width - 2)], gap=1)
    reasons: dict[str, list[int]] = {}
    for call in calls:
        if call["action"]["overruled"]:
            reasons.setdefault(call["action"]["overruled"], []).append(call["call"])
    for why, where in reasons.items():
        numbers = ", ".join(map(str, where[:8])) + (", …" if len(where) > 8 else "")
        text = f"the machine overruled the action, because {why}: call{'s' * (len(where) > 1)} {numbers}."
        page.row([plain("!", MARK), plain(text)], [Column(1), Column(page.width - 2)], gap=1)
    for sign, outcome, told in (
        ("~", "break", "the machine took a break."),
        ("∅", "end", "the machine asked for a word when none was left."),
    ):
        if any(call["action"]["outcome"] == outcome for call in calls):
            page.row([plain(sign, MARK), plain(told)], [Column(1), Column(page.width - 2)], gap=1)
    for edit in facts["edits"]:
        page.paragraph(join(("edit  ", MARK), edit["edit"]))
    more = f"; --from {last + 1} shows more" if last + 1 < len(trace) else ""
    hidden = (
        f"; {shown} of {counted(trace.model.codebooks, 'codebook')} fit{'s' * (shown == 1)}"
        if shown < trace.model.codebooks
        else ""
    )
    page.paragraph(plain(f"calls {first} … {last} of 0 … {len(trace) - 1}{more}{hidden}", DIM))
