"""`phases.jsonl` line by line: what is written is what is read, and what is no event is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dia2.common.errors import TraceError
from dia2.inspect.schema.adapter import adapters
from dia2.inspect.store.layout import PHASES_FILE
from dia2.inspect.store.phases import PhaseRun, read_phases

assert adapters(), "they declare their phases when they are found"
BEGIN = {"event": "begin", "id": 1, "phase": "script.load", "parent": None, "at": 0.5, "trigger": "t", "before": "b"}
INNER = BEGIN | {"id": 2, "phase": "config.build", "parent": 1, "at": 1}
END = {"event": "end", "id": 2, "seconds": 2, "mutations": "m", "outputs": "o", "error": None}


def read(folder: Path, *events: object, end: str = "\n") -> list[PhaseRun]:
    text = "\n".join(event if isinstance(event, str) else json.dumps(event) for event in events) + end
    (folder / PHASES_FILE).write_text(text, encoding="utf-8")
    return read_phases(folder)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    outer, inner = read(tmp_path, BEGIN, INNER, END | {"unknown": []})
    assert outer == PhaseRun(1, "script.load", None, 0.5, "t", "b")
    assert inner == PhaseRun(2, "config.build", 1, 1.0, "t", "b", "m", "o", 2.0, None)
    assert isinstance(inner.at, float)
    assert (outer.ended_well, inner.ended_well) == (False, True)
    (bare,) = read(tmp_path, {k: v for k, v in BEGIN.items() if k != "parent"}, {"event": "end", "id": 1, "seconds": 0})
    assert (bare.parent, bare.mutations, bare.outputs, bare.error, bare.seconds) == (None, "", "", None, 0)
    assert read(tmp_path, BEGIN | {"id": 0})[0].id == 0
    assert read(tmp_path, BEGIN | {"id": 2**31 - 1}, '{"event": "begin", "i', end="")[0].id == 2**31 - 1


WRONG: dict[str, tuple[Any, ...]] = {
    "no JSON": ("{",),
    "a list": ([],),
    "a number that JSON does not have": (json.dumps(BEGIN | {"unknown": float("nan")}),),
    "too deep": ("[" * 100_000 + "]" * 100_000,),
    "neither begin nor end": (BEGIN | {"event": "middle"},),
    "an unknown phase": (BEGIN | {"phase": "tea"},),
    "a phase that is a list": (BEGIN | {"phase": []},),
    "an id below 0": (BEGIN | {"id": -1},),
    "an id beyond the most": (BEGIN | {"id": 2**31},),
    "an id that is a truth": (BEGIN | {"id": True},),
    "a time that is infinite": (json.dumps(BEGIN).replace("0.5", "1e999"),),
    "a time of text": (BEGIN | {"at": "0"},),
    "no trigger": ({k: v for k, v in BEGIN.items() if k != "trigger"},),
    "a state of numbers": (BEGIN | {"before": 1},),
    "a phase that begins twice": (BEGIN, BEGIN),
    "a parent that has not begun": (INNER, BEGIN),
    "a parent that is a truth": (BEGIN, INNER | {"parent": True}),
    "an end of nothing": (END,),
    "an end of a list": (BEGIN, INNER, END | {"id": []}),
    "an end of a truth": (BEGIN, END | {"id": True}),
    "an end after no time": (BEGIN, INNER, END | {"seconds": None}),
    "an end after a text": (BEGIN, INNER, END | {"seconds": "1"}),
    "an end that comes twice": (BEGIN, INNER, END, END),
    "outputs of numbers": (BEGIN, INNER, END | {"outputs": 1}),
    "an error of numbers": (BEGIN, INNER, END | {"error": 1}),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_no_event_is_refused(tmp_path: Path, what: str) -> None:
    events = WRONG[what]
    line = 1 if what == "a parent that has not begun" else len(events)
    with pytest.raises(TraceError, match=rf"phases\.jsonl is damaged in line {line}\.$"):
        read(tmp_path, *events)
