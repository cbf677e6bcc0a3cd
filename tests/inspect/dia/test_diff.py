"""Where two runs of Dia part."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest

from dia.adapter.trace import DiaTrace

from ...support.dia import DiaCase, dia5

pytestmark = pytest.mark.filterwarnings("ignore:Script 2 has 74 bytes")


def run(path: Path, name: str = "single", **changes: Any) -> DiaTrace:
    case = DiaCase(name)
    text = changes.pop("text", case.expected["text"])
    dia5().speak(text, trace=path, **case.settings(temperature=1.0, seed=1, **changes))
    trace = DiaTrace.load(path)
    assert isinstance(trace, DiaTrace)
    return trace


@cache
def usual() -> DiaTrace:
    """The run that others are compared with; recorded once a process."""
    return run(Path(mkdtemp(prefix="dia2-test-")) / "a")


def test_equal_runs_are_the_same(tmp_path: Path) -> None:
    diff = usual().diff(run(tmp_path / "b"))
    assert diff.same
    assert diff.first is None
    assert diff.shared == diff.calls[0] == diff.calls[1]


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"seed": 2}, "seed"),
        ({"cfg_scale": 1.0}, "cfg_scale"),
        ({"cfg_filter_top_k": 3}, "cfg_filter_top_k"),
        ({"top_p": 0.5}, "top_p"),
        ({"text": ["[S1] Hello there. [S2] Ho!"]}, "script"),
    ],
)
def test_a_setting_is_named_and_where_the_draws_part(tmp_path: Path, changes: dict[str, Any], what: str) -> None:
    settings: dict[str, Any] = {"temperature": 1.0, "seed": 1} | DiaCase("single").settings(temperature=1.0, seed=1)
    text = changes.get("text", DiaCase("single").expected["text"])
    dia5().speak(text, trace=tmp_path / "b", **(settings | {k: v for k, v in changes.items() if k != "text"}))
    a, b = usual(), DiaTrace.load(tmp_path / "b")
    diff = a.diff(b)
    assert [setting.what for setting in diff.settings] == [what]
    call = diff.shared
    assert call < len(a)
    assert (a.drawn[:call] == b.drawn[:call]).all()
    assert (a.tokens[: call + 1] == b.tokens[: call + 1]).all()
    first = diff.parts[0]
    assert first.call == call
    assert first.what.endswith(" drawn")
    channel = int(first.what.split()[1])
    assert (first.a, first.b) == (str(a.drawn[call, 0, channel]), str(b.drawn[call, 0, channel]))
    parted = bool(a.written[call, 0, channel] != b.written[call, 0, channel])  # not where BOS is given
    assert any(part.what == f"channel {channel} written" for part in diff.parts) == parted
    assert a.diff(b, ["channel * drawn", "channel * written", what]).first != diff.first


def test_scripts_and_prompts_of_a_batch_are_told_apart(tmp_path: Path) -> None:
    a = run(tmp_path / "a", "batch_prompts")
    prompts = DiaCase("batch_prompts").prompts
    assert prompts is not None
    case = DiaCase("batch_prompts")
    settings = case.settings(temperature=1.0, seed=1, audio_prompt=[prompts[0], None, None])
    dia5().speak(case.expected["text"], trace=tmp_path / "b", **settings)
    diff = a.diff(DiaTrace.load(tmp_path / "b"))
    assert [(s.what, s.a, s.b) for s in diff.settings] == [("script 3 prompt's rows", "8", "1")]
    assert diff.shared == 0
    assert diff.parts[0].what.startswith("script 3 channel")


def test_a_countdown_that_begins_elsewhere_and_an_earlier_end(tmp_path: Path) -> None:
    a, b = run(tmp_path / "a", "short_max", max_tokens=24), None
    case = DiaCase("short_max")
    dia5().speak(case.expected["text"], trace=tmp_path / "b", **case.settings(temperature=1.0, seed=1, max_tokens=26))
    b = DiaTrace.load(tmp_path / "b")
    diff = a.diff(b)
    assert {setting.what for setting in diff.settings} == {"max_tokens", "rows"}
    assert diff.shared == 24 - 5 - 1  # the row after it is the first that begins countdowns
    assert ("countdown", "1", "-1") in [(part.what, part.a, part.b) for part in diff.parts]
    later = a.diff(b, ["*countdown", "channel *"])
    assert later.shared == len(a)
    assert [(part.what, part.a, part.b) for part in later.parts] == [("length", "ends", "goes on")]
