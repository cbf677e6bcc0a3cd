"""`dia2 trace diff`, to the character."""

import json
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import pytest
from rich.console import Console

from dia2.cli import main
from dia2.inspect import Dia2Trace
from dia2.inspect.views.console import diff_facts, print_diff
from dia2.runtime.edits import ChangeSampling, Edit, ForceAction, ReplaceToken

from ..support.reference import engine
from .test_console_trace import hostile, recorded, shown


@cache
def forked(*edits: Edit, seed: int | None = None) -> Path:
    """A fork of the recorded run from call 50 on; made once a process."""
    path = Path(mkdtemp(prefix="dia2-test-")) / "fork.dia2trace"
    Dia2Trace.load(recorded()).fork(engine("tiny8"), 50, edits=edits, seed=seed, path=path)
    return path


def compared(other: Path, width: int, *, colour: bool = False) -> str:
    """What is printed of the recorded run and another."""

    def view(trace: Dia2Trace, console: Console) -> None:
        print_diff(trace, Dia2Trace.load(other), console)

    return shown(view, width, colour=colour).replace(str(other.parent) + "/", "")


EDITED = (ReplaceToken(60, 17, codebook=3),)


def test_an_edit_at_80_columns() -> None:
    assert compared(forked(*EDITED), 80) == EDIT_AT_80


def test_an_edit_at_160_columns() -> None:
    assert compared(forked(*EDITED), 160) == EDIT_AT_160


def test_other_settings_at_80_columns() -> None:
    assert compared(forked(ChangeSampling(55, cfg_scale=5.0, temp_audio=1.2), seed=9), 80) == SETTINGS_AT_80


def test_the_same_run() -> None:
    text = compared(forked(), 80)
    assert text.splitlines()[-1] == "The same run: 117 calls, every token, action and machine state."


def test_what_may_differ(capsys: pytest.CaptureFixture[str]) -> None:
    a, b = Dia2Trace.load(recorded()), Dia2Trace.load(forked(*EDITED))
    first = a.diff(b)
    assert first.shared == 60
    assert all(part.what.startswith("codebook ") for part in first.parts)
    later = a.diff(b, ignore=["codebook *"])
    assert later.shared > 60
    assert later.parts
    assert not any(part.what.startswith("codebook ") for part in later.parts)
    assert a.diff(b, ignore=["*"]).shared == min(len(a), len(b))
    ignored = ["trace", "diff", str(recorded()), str(forked()), "--ignore", "script", "--ignore", "codebook *"]
    assert main(ignored) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "The same run: 117 calls, but for script, codebook *."


def test_actions_have_names() -> None:
    call = next(call for call in range(55, 100) if Dia2Trace.load(recorded()).actions[call] == 0)
    fork = Dia2Trace.load(forked(ForceAction(call, "new_word")))
    assert ("action", "pad", "new_word") in {(d.what, d.a, d.b) for d in Dia2Trace.load(recorded()).diff(fork).parts}


def test_colour_marks_the_cause() -> None:
    text = compared(forked(*EDITED), 80, colour=True)
    assert "\x1b[36ma\x1b[0m" in text
    assert "\x1b[1mthe first call that differs" in text


def test_texts_of_a_trace_steer_nothing(tmp_path: Path) -> None:
    for colour in (False, True):
        (tmp_path / str(colour)).mkdir()
        text = compared(hostile(tmp_path / str(colour)), 80, colour=colour)
        assert "partial" in text
        for attack in ("\x1b[31m", "\x07", "\x9b", "\u202e", "\u200f", "\r"):
            assert attack not in text


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trace", "diff", str(recorded()), str(forked(*EDITED)), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts == diff_facts(Dia2Trace.load(recorded()), Dia2Trace.load(forked(*EDITED)))
    assert facts["first"] == {"call": 60, "what": "edit", "a": "none", "b": "codebook 3 becomes 17"}
    assert (facts["same"], facts["shared_calls"]) == (False, 60)
    assert main(["trace", "diff", str(recorded()), str(recorded().parent / "nothing")]) == 1
    assert "There is no trace" in capsys.readouterr().err


# Expected

EDIT_AT_80 = """\
a  run.dia2trace  117 calls, complete
b  fork.dia2trace  115 calls, complete

edits that only one of them has
  call 60, in b: codebook 3 becomes 17

the first call that differs
  call 60 · main loop · step 59, in “It's”
   what                       a                       b
   codebook 3                 33                      17
   codebook 6                 14                      47
   codebook 7                 30                      18

  the same before it: 60 calls
"""

EDIT_AT_160 = """\
a  run.dia2trace  117 calls, complete
b  fork.dia2trace  115 calls, complete

edits that only one of them has
  call 60, in b: codebook 3 becomes 17

the first call that differs
  call 60 · main loop · step 59, in “It's”
   what                       a                                                               b
   codebook 3                 33                                                              17
   codebook 6                 14                                                              47
   codebook 7                 30                                                              18

  the same before it: 60 calls
"""

SETTINGS_AT_80 = """\
a  run.dia2trace  117 calls, complete
b  fork.dia2trace  112 calls, complete

settings that differ
   what                       a                       b
   seed                       1                       9

edits that only one of them has
  call 55, in b: cfg_scale = 5, temp_audio = 1.2 (from here on)

the first call that differs
  call 56 · main loop · step 55, in “Dia2!”
   what                       a                       b
   codebook 3                 33                      60
   codebook 4                 9                       58
   codebook 5                 45                      59
   codebook 6                 57                      47
   codebook 7                 34                      18

  the same before it: 56 calls
"""
