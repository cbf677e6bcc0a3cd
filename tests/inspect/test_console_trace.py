"""What the tests of the terminal views share: one recorded run, and what a view prints of it. Hostile text, too."""

from __future__ import annotations

import io
import json
import unicodedata
from collections.abc import Callable
from contextlib import chdir
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
from rich.console import Console

from dia2 import Dia2
from dia2.common.errors import TraceError
from dia2.common.wording import duration
from dia2.inspect import Dia2Trace, load
from dia2.inspect.views.console import (
    choose_calls,
    frame_facts,
    frames_facts,
    grid_facts,
    hooks_facts,
    print_frame,
    print_frames,
    print_grid,
    print_hooks,
    print_prefix,
    print_show,
    show_facts,
    to_json,
)
from dia2.inspect.views.console.page import clip, fold, plain

from ..support.reference import ROOT, Case, local_files
from ..support.traces import with_manifest

View = Callable[[Any, Console], None]  # of a trace of either model
HOSTILE = "\x1b[31mred\x07\x9b2J\u202eevil\u202c[bold]x[/]<script>\u200f\r\n"
STEERING = ("Cc", "Cf", "Cs", "Zl", "Zp")

VIEWS: dict[str, View] = {
    "show": print_show,
    "frames": lambda trace, console: print_frames(trace, console, 30, 60),
    "frame": lambda trace, console: print_frame(trace, console, 57),
    "grid": print_grid,
    "codes": lambda trace, console: print_grid(trace, console, codes=True),
    "hooks": lambda trace, console: print_hooks(console, trace),
    "prefix": print_prefix,
}


@cache
def recorded() -> Path:
    """A run of two voices, recorded once a process by an engine that has loaded nothing; never to be changed."""
    case, path = Case("tiny8", "prefix2"), Path(mkdtemp(prefix="dia2-test-")) / "run.dia2trace"
    tts = Dia2.from_local(**local_files("tiny8"), device="cpu", dtype="float32")
    tts.generate(case.expected["script"], case.config(seed=1), trace=path)
    phases = path / "phases.jsonl"  # the rows name the checkpoint's files: take out where this checkout lies
    phases.write_text(phases.read_text(encoding="utf-8").replace(str(ROOT), "/conformance"), encoding="utf-8")
    return path


def shown(view: View, width: int, path: Path | None = None, *, colour: bool = False) -> str:
    """What a view prints of the trace `run.dia2trace`."""
    path, file = path or recorded(), io.StringIO()
    colours = {"force_terminal": True, "color_system": "standard"} if colour else {}
    with chdir(path.parent):
        view(load(path.name), Console(file=file, width=width, **colours))  # type: ignore[arg-type]  # both are strings or bools
    return file.getvalue()


def changed(folder: Path, **changes: Any) -> Path:
    """A copy of the trace with other values in its manifest."""
    return with_manifest(recorded(), folder, **changes)


def manifest() -> dict[str, Any]:
    """The trace's manifest, as JSON."""
    read: dict[str, Any] = json.loads((recorded() / "manifest.json").read_text(encoding="utf-8"))
    return read


def hostile(folder: Path) -> Path:
    """A copy of the trace in which every text is an attack."""
    run = manifest()["run"]
    for entry in run["entries"]:
        entry[0] = HOSTILE if entry[1] else ""
    path = changed(
        folder, run=run, error=HOSTILE, status="failed", started=HOSTILE, redacted=[HOSTILE], hooks=[HOSTILE]
    )
    lines = (path / "phases.jsonl").read_text(encoding="utf-8").splitlines()
    events = [json.loads(line) for line in lines]
    for event in events:
        event |= {name: HOSTILE for name in ("trigger", "before", "mutations", "outputs", "error") if event.get(name)}
    (path / "phases.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events), encoding="utf-8")
    return path


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("width", [80, 160])
@pytest.mark.parametrize("view", VIEWS)
def test_no_text_of_a_trace_steers_the_terminal(view: str, width: int, colour: bool, tmp_path: Path) -> None:
    text = shown(VIEWS[view], width, hostile(tmp_path), colour=colour)
    for attack in ("\x1b[31m", "\x07", "\x9b", "\u202e", "\u200f", "\r"):
        assert attack not in text
    if not colour:
        assert not [char for char in text if unicodedata.category(char) in STEERING and char != "\n"]
        assert "\x1b" not in text


@pytest.mark.parametrize("view", ["show", "frame"])
def test_markup_in_words_is_shown_as_it_is(view: str, tmp_path: Path) -> None:
    text = shown(VIEWS[view], 400, hostile(tmp_path))
    assert "�[31mred��2J�evil�[bold]x[/]<script>�" in text


@pytest.mark.parametrize("width", [80, 100, 120, 160, 240])
@pytest.mark.parametrize("view", VIEWS)
def test_no_line_is_wider_than_the_terminal(view: str, width: int, tmp_path: Path) -> None:
    for path in (None, hostile(tmp_path)):
        lines = shown(VIEWS[view], width, path).splitlines()
        assert max(map(len, lines)) <= width
        assert all(line == line.rstrip() for line in lines)


@pytest.mark.parametrize("view", VIEWS)
def test_a_terminal_gets_styles_and_a_file_the_same_text_without(view: str) -> None:
    coloured = shown(VIEWS[view], 80, colour=True)
    assert "\x1b[1m" in coloured  # bold
    assert "\x1b[2m" in coloured  # dim
    assert "\x1b[36m" in coloured or "\x1b[1;33m" in coloured  # cyan, yellow: told apart by nearly everybody
    assert "\x1b[31m" not in coloured  # no red
    assert "\x1b[32m" not in coloured  # no green
    bare = "".join(part.partition("m")[2] if i else part for i, part in enumerate(coloured.split("\x1b[")))
    assert [line.rstrip() for line in bare.splitlines()] == shown(VIEWS[view], 80).splitlines()


def test_the_facts_of_a_hostile_trace_are_ascii_without_controls(tmp_path: Path) -> None:
    trace = Dia2Trace.load(hostile(tmp_path))
    views = (
        show_facts(trace),
        frames_facts(trace, 0, 116),
        frame_facts(trace, 40),
        grid_facts(trace),
        hooks_facts(trace),
    )
    for facts in views:
        text = to_json(facts)
        assert text.isascii()
        assert text.isprintable()
        json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_json_has_no_nan_and_no_infinity() -> None:
    nan, infinity = float("nan"), float("inf")
    assert (
        to_json({"a": [nan, {"b": -infinity}], "c": (1.5, True, None)})
        == '{"a": [null, {"b": null}], "c": [1.5, true, null]}'
    )


@pytest.mark.parametrize("view", VIEWS)
def test_a_trace_that_ended_before_its_run_is_told_so_or_shown(view: str, tmp_path: Path) -> None:
    path = changed(tmp_path, run=None, result=None, status="failed", error="ValueError: no", calls=0, audio=None)
    for file in [*path.glob("frames-*"), path / "audio.flac", path / "prefix.safetensors"]:
        file.unlink()
    if view in ("show", "hooks"):
        assert "run.dia2trace" in shown(VIEWS[view], 80, path)
    else:
        with pytest.raises(TraceError):
            shown(VIEWS[view], 80, path)
    if view == "frames":
        with pytest.raises(TraceError, match="no calls"):
            choose_calls(Dia2Trace.load(path))


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("", 5, [""]),
        ("one two three", 7, ["one two", "three"]),
        ("see /a/long/path.wav now", 8, ["see", "/a/long/", "path.wav", "now"]),
        ("abcdefghij", 4, ["abcd", "efgh", "ij"]),
        ("語語語", 4, ["語語", "語"]),
        ("a\nb", 4, ["a�b"]),
    ],
)
def test_text_is_folded_at_spaces_and_paths_at_slashes(text: str, width: int, lines: list[str]) -> None:
    assert [line.plain for line in fold(plain(text), width)] == lines


def test_cells_are_clipped_by_what_they_take_up() -> None:
    assert clip("abc", 3) == "abc"
    assert clip("abcd", 3) == "ab…"
    assert clip("語語", 3) == "語…"
    assert clip("x" * 1_000_000, 3) == "xx…"  # and at once


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, ""), (float("nan"), ""), (12.345, "12.35 s"), (0.0123, "12.3 ms"), (0.0000123, "12 µs")],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text
