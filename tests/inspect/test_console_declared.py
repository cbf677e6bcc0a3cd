"""`dia2 trace` on runs of a family that has no reports of its own: what its columns say, to the character."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile
from rich.console import Console

from dia2.cli import main
from dia2.common.errors import TraceError, UsageError
from dia2.inspect import load
from dia2.inspect.schema import adapter as families
from dia2.inspect.schema.adapter import Adapter
from dia2.inspect.schema.column import DRAW_COLUMNS, Column, Layout
from dia2.inspect.schema.draw import BEST, Candidate, Draw, DrawKind
from dia2.inspect.schema.report import Table
from dia2.inspect.schema.report_draws import draw_cells, draw_facts
from dia2.inspect.schema.row import Row
from dia2.inspect.schema.view_draws import shown_places
from dia2.inspect.store import phases
from dia2.inspect.store.writer import TraceWriter
from dia2.inspect.trace.declared_trace import DeclaredTrace
from dia2.inspect.trace.reports import Reports
from dia2.inspect.trace.trace import Trace
from dia2.inspect.views.console import (
    choose_calls,
    frame_facts,
    frames_facts,
    grid_facts,
    print_diff,
    print_frame,
    print_frames,
    print_grid,
    print_show,
    show_facts,
)
from dia2.inspect.views.console.blocks import print_blocks
from dia2.inspect.views.console.page import Page
from dia2.inspect.views.explorer.view import view_of

COLUMNS = (
    Column("call", "I32", ("n",), "tokens", "counted from 0"),
    Column("phase", "U8", ("n",), "tokens", "0 given, 1 sung"),
    Column("heat", "I32", ("n",), "tokens", "how warm it runs", unit="degree", view="cache"),
    Column("left", "I32", ("n", "voices"), "tokens", "syllables left", (0, "syllables")),
    Column("heard", "I32", ("n", "voices", "K"), "tokens", "codes read"),
    Column("sung", "I32", ("n", "voices", "K"), "tokens", "codes drawn, −1: none"),
    Column("pitch", "I32", ("n", "3"), "tokens", "three numbers that are no codes"),
    Column("clock", "F32", ("n",), "tokens", "seconds of a call"),
    *DRAW_COLUMNS,
)
ADAPTER = Adapter(
    family="hum",
    title="Hum",
    rows=(Row(1, "Hum", "hum.loop:hum", "hum.loop"), Row(2, "Rest", "hum.rest:rest", "hum.rest")),
    layout=Layout({column.name: column for column in COLUMNS}, frozenset({"sung", "draw.ids"})),
    draws=(DrawKind("book.{c}", "sung"),),
    begins="hum.loop",
    engine="hum:Hum",
    example="Hum()",
    trace=f"{__name__}:HumTrace",
    recording="hum:Recording",
)


SIZES = {"voices": 2, "K": 3, "syllables": 11}
SETTINGS = {"seed": 7, "song": "la [b]la[/]\x1b[2J", "voices": 2}


class HumTrace(DeclaredTrace):
    """A run of two voices with three codebooks each."""

    adapter = ADAPTER


def recorded(path: Path, *, level: str = "topk", calls: int = 5, **manifest: object) -> Path:
    """A run of five calls, of which the first two are given; or one that ended before it began."""
    writer = TraceWriter(path)
    writer.begin()
    begin: dict[str, object] = {"event": "begin", "id": 1, "phase": "hum.loop", "parent": None, "at": 0.0}
    writer.phase(begin | {"trigger": "a tune", "before": "silence"})
    writer.phase({"event": "end", "id": 1, "seconds": 0.25, "mutations": "none", "outputs": "5 notes"})
    n, given = 5, np.arange(5) < 2
    sung = np.where(given[:, None, None], -1, np.arange(-12, 18).reshape(5, 2, 3)).astype(np.int32)
    logits = np.tile(np.linspace(3, 0, 16, dtype=np.float32), (n, 6, 1))
    columns: dict[str, Any] = {
        "call": np.arange(n, dtype=np.int32),
        "phase": (~given).astype(np.uint8),
        "heat": np.array([36, 36, 37, 38, 38], np.int32),
        "left": np.arange(10, 0, -1, dtype=np.int32).reshape(5, 2),
        "heard": np.arange(100, 130, dtype=np.int32).reshape(5, 2, 3),
        "sung": sung,
        "pitch": np.zeros((5, 3), np.int32),
        "clock": np.where(given, np.nan, 0.0125 * np.arange(5)).astype(np.float32),
    }
    draws: dict[str, Any] = {}
    if level != "tokens":
        draws = {
            "draw.ids": (sung.reshape(n, 6, 1) + np.arange(16)).astype(np.int32),
            "draw.cond": logits,
            "draw.guided": 2 * logits,
            "draw.kept": np.full((n, 6), 0b101, np.int32),
            "draw.probability": np.full((n, 6), 0.5, np.float32),
        }
    parts = [(slice(0, 2), columns), (slice(2, 5), columns | draws)] if calls else []
    for part, kept in parts:
        writer.shard({name: values[part] for name, values in kept.items()})
        writer.shards += 1
    writer.manifest(
        {
            "format": "dia2trace",
            "version": 1,
            "family": "hum",
            "status": "complete" if calls else "failed",
            "error": None if calls else "out of breath",
            "started": "2026-01-01",
            "versions": {},
            "level": level,
            "hooks": None,
            "draws": ["book.0", "book.1", "book.2"] if calls else [],
            "never_fired": [],
            "budget": {},
            "calls": calls,
            "run": {"sizes": SIZES, "settings": SETTINGS} if calls else None,
        }
        | manifest
    )
    writer.close()
    return path


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(families, "installed", lambda: {"hum": ADAPTER})
    monkeypatch.setattr(phases, "PHASES", {"hum.loop", "hum.rest"})
    monkeypatch.chdir(tmp_path)


def shown(view: Callable[[Trace[Any], Console], None], width: int = 80, path: str = "hum.dia2trace") -> str:
    file = io.StringIO()
    if not Path(path).exists():
        recorded(Path(path))
    view(load(path), Console(file=file, width=width))
    return file.getvalue()


def test_show() -> None:
    assert shown(lambda trace, console: print_show(trace, console, times=False, full=True)) == SHOW
    assert shown(lambda trace, console: print_show(trace, console, times=False)).endswith(ROWS)


def test_calls() -> None:
    assert shown(lambda trace, console: print_frames(trace, console, 1, 3, script=1)) == CALLS


def test_without_times_no_clock_is_told() -> None:
    text = shown(lambda trace, console: print_frames(trace, console, 1, 3, times=False))
    assert "clock" not in text
    assert all(call["seconds"] == {} for call in frames_facts(load("hum.dia2trace"), 0, 4, times=False)["calls"])


def test_as_many_columns_are_shown_as_fit() -> None:
    report = Reports().calls(load(recorded(Path("hum.dia2trace"))), 2, 2, 0, True)
    file = io.StringIO()
    print_blocks(report.blocks, Page(Console(file=file, width=24), least=20))
    lines = file.getvalue().splitlines()
    assert lines[1:3] == ["call in    heat left", "   2 drawn   37    6"]
    assert "; 2 of 6 columns fit" in " ".join(lines)


def test_calls_that_were_given_stand_back() -> None:
    report = Reports().calls(load(recorded(Path("hum.dia2trace"))), 1, 2, 0, False)
    (table,) = (block for block in report.blocks if isinstance(block, Table))
    assert [row[:2] for row in table.rows] == [[(1, "label"), ("given", "dim")], [(2, "label"), ("drawn", "")]]


def test_what_a_call_changed_stands_out() -> None:
    report = Reports().call(load(recorded(Path("hum.dia2trace"))), 4, 0, True)
    (table,) = (block for block in report.blocks if isinstance(block, Table) and block.columns[0].head == "column")
    assert [row[1:3] for row in table.rows] == [[38, (38, "dim")], [4, (2, "head")]]


def test_the_last_place_among_the_candidates_is_no_rank() -> None:
    tokens = [Candidate(token, 1.0, 1.0, True) for token in range(BEST)]
    ranks = [draw_facts(Draw("book.0", choice, 0.1, tokens), {})["rank"] for choice in (0, 14, 15)]
    assert ranks == [1, 15, None]
    assert draw_cells(draw_facts(Draw("book.0", 15, 0.1, tokens), {}))[1] == ("16 or on", "mark")


def test_one_call_in_full() -> None:
    assert shown(lambda trace, console: print_frame(trace, console, 2, script=1)) == CALL
    assert "\n  cb0          112       0\n" in shown(lambda trace, console: print_frame(trace, console, 2))


def test_a_call_that_was_given_or_kept_no_draws_says_so() -> None:
    recorded(Path("small.dia2trace"), level="tokens")
    for path, call, told in (
        ("hum.dia2trace", 0, "nothing is drawn: what this call read was given."),
        ("small.dia2trace", 2, "a trace of level tokens keeps no draws: record with --trace-level topk."),
    ):
        text = shown(lambda trace, console, call=call: print_frame(trace, console, call), path=path)  # type: ignore[misc]  # mypy does not know such a lambda
        assert f"\ndraws\n  {told}\n" in text


def test_grid() -> None:
    assert shown(lambda trace, console: print_grid(trace, console, codes=False)) == GRID
    assert shown(lambda trace, console: print_grid(trace, console, 1, 3, script=1, codes=True)) == CODES


def test_two_runs() -> None:
    text = shown(lambda trace, console: print_diff(trace, trace, console))
    assert text.splitlines()[-1] == "The same run: 5 calls, every column."
    other = load("hum.dia2trace")
    other.column("heat")[3] = 40
    text = shown(lambda trace, console: print_diff(trace, other, console))
    assert "the first call that differs\n  call 3 · drawn\n" in text


def test_the_facts_are_the_trace_s_own() -> None:
    trace = load(recorded(Path("hum.dia2trace")))
    assert json.loads(json.dumps(show_facts(trace)["calls"])) == {"given": 2, "drawn": 3, "all": 5}
    calls = frames_facts(trace, 0, 4, script=1)["calls"]
    assert [call["values"]["left"] for call in calls] == [9, 7, 5, 3, 1]
    assert [call["codes"] for call in calls] == trace.column("sung")[:, 1].tolist()
    assert calls[0]["seconds"] == {"clock": None}
    assert calls[2]["seconds"] == {"clock": pytest.approx(0.025)}
    facts = frame_facts(trace, 2, script=1)
    assert facts["codes"] == {"heard": [115, 116, 117], "sung": [3, 4, 5]}
    assert [draw["choice"] for draw in facts["draws"]] == [3, 4, 5]
    assert (facts["before"], facts["after"]) == ({"heat": 36, "left": 7}, {"heat": 37, "left": 5})
    assert frame_facts(trace, 2, times=False)["seconds"] == {}
    grid = grid_facts(trace, 1, 3)
    assert grid["codes"] == trace.column("sung")[1:4, 0].T.tolist()
    assert grid["cells"] == ["·##"] * 3


def test_what_can_be_searched_follows_from_the_columns() -> None:
    trace = load(recorded(Path("hum.dia2trace")))
    assert trace.find("heat") == [2, 3]
    assert [trace.find("phase", 1, after=after, before=before) for after, before in ((2, None), (None, 3), (2, 4))] == [
        [3, 4], [2], [3],
    ]  # fmt: skip
    assert trace.find("left", 5, script=1) == [2]
    assert trace.find("sung.1", lambda code: code == 10, script=1) == [3]
    assert trace.find("pitch.2", 0) == [0, 1, 2, 3, 4]
    for field, asked in (("clock", "A trace has no field 'clock'"), (None, "find() needs a field or a word")):
        with pytest.raises(TraceError) as told:
            trace.find(field, 1)
        assert str(told.value) == f"{asked}; it has heard.k, sung.k, pitch.i, call, heat, left, phase."


def test_what_differs_is_told_column_by_column() -> None:
    trace, other = load(recorded(Path("hum.dia2trace"))), load("hum.dia2trace")
    other.column("sung")[3, 1, 2] += 1
    other.column("left")[3, 0] += 1
    other.column("clock")[3] = 7  # a time
    found = trace.diff(other)
    assert [(part.what, part.a, part.b) for part in found.parts] == [
        ("script 1 left", "4", "5"),
        ("script 2 codebook 2 sung", "11", "12"),
    ]
    assert (found.shared, found.settings) == (3, [])
    recorded(Path("loud.dia2trace"), run={"sizes": SIZES, "settings": {"seed": 8}})
    told = [(part.what, part.a, part.b) for part in trace.diff(load("loud.dia2trace")).settings]
    assert told == [("seed", "7", "8"), ("song", "la [b]la[/]\x1b[2J", "None"), ("voices", "2", "None")]


GOOD = {"sizes": SIZES}
BAD: list[tuple[dict[str, Any], str]] = [
    ({"run": {"sizes": {"voices": 2, "syllables": 11}}}, "run.sizes does not go with its columns"),
    ({"run": {"sizes": {"voices": 2, "K": 3}}}, "run.sizes does not go with its columns"),
    ({"run": {"sizes": SIZES | {"voices": 0}}}, "run.sizes"),
    ({"run": {"sizes": SIZES | {"K": 1 << 30}}}, "run.sizes"),
    ({"run": {"sizes": SIZES | {"syllables": 10}}}, "a value in column left is outside 0 … 9"),
    ({"run": {"sizes": SIZES | {"K": 4}}}, "column 'heard' is 'I32' [2, 2, 3]"),
    ({"run": {}}, "run.sizes is missing"),
    ({"run": GOOD | {"delays": [0, 1]}}, "run.delays does not go with its columns"),
    ({"run": GOOD | {"delays": []}}, "run.delays is []"),
    ({"run": GOOD | {"frame_rate": 0}}, "run.frame_rate is 0"),
    ({"run": GOOD | {"settings": {"seed": [1]}}}, "run.settings"),
    ({"run": GOOD | {"model": {"": float(2**70)} | {str(i): i for i in range(1000)}}}, "run.model"),
    ({"draws": ["book.0", "book.0"]}, "draws does not go with its columns"),
    ({"draws": ["book.3"]}, "draws does not go with its columns"),
    ({"audio": ["audio.flac"]}, "audio does not go with its columns"),
    ({"audio": ["audio-1.flac", "../audio-2.flac"]}, "audio does not go with its columns"),
]


@pytest.mark.parametrize(("change", "told"), BAD, ids=lambda part: str(part)[:40])
def test_a_manifest_that_does_not_go_with_its_columns_is_damaged(change: dict[str, Any], told: str) -> None:
    recorded(Path("hum.dia2trace"), **change)
    with pytest.raises(TraceError, match="is damaged") as error:
        load("hum.dia2trace")
    assert told in str(error.value)


def test_two_scripts_have_a_sound_each() -> None:
    recorded(Path("hum.dia2trace"), audio=["audio-1.flac", "audio-2.flac"])
    for script, tone in enumerate((0.25, -0.5)):
        soundfile.write(f"hum.dia2trace/audio-{script + 1}.flac", np.full(80, tone), 8000)
    trace = load("hum.dia2trace")
    for script, tone in enumerate((0.25, -0.5)):
        sound = trace.sound(script)
        assert sound is not None
        assert (sound[0].tolist(), sound[1]) == ([tone] * 80, 8000)


def test_tables_have_the_columns_and_the_draws() -> None:
    trace = load(recorded(Path("hum.dia2trace")))
    calls, draws = (pq.read_table(file) for file in trace.to_parquet("tables"))
    assert calls.schema.names == ["call", "phase", "heat", "left", "heard", "sung", "pitch", "clock"]
    assert calls["heat"].to_pylist() == [36, 36, 37, 38, 38]
    assert calls["left"].to_pylist() == trace.column("left").tolist()
    assert calls["sung"].to_pylist() == trace.column("sung").reshape(5, 6).tolist()
    assert calls["clock"].to_pylist() == [None, None, *trace.column("clock")[2:].tolist()]
    assert draws.schema.names[:4] == ["call", "script", "draw", "codebook"]
    assert draws["choice"].to_pylist() == trace.column("sung")[2:].reshape(-1).tolist()
    assert draws["script"].to_pylist() == [0, 0, 0, 1, 1, 1] * 3
    assert draws["codebook"].to_pylist() == [0, 1, 2] * 6


def test_caches_are_the_columns_that_say_so() -> None:
    caches = load(recorded(Path("hum.dia2trace"))).caches()
    assert [panel.title for panel in caches.panels] == ["heat"]
    assert caches.panels[0].curves[0].values.tolist() == [36, 36, 37, 38, 38]
    assert (caches.told, caches.given) == ("after 5 calls: heat 38 degrees", "given")
    with pytest.raises(TraceError, match="is a run of Hum, which tells nothing of its caches"):
        load(recorded(Path("never.dia2trace"), calls=0)).caches()


def test_the_choice_stands_among_the_shown_candidates() -> None:
    ids, taken = np.arange(16).reshape(1, 1, 16), np.array([[0]])
    places = {choice: int(shown_places(ids, taken + choice, 8)[0, 0, -1]) for choice in (0, 6, 7, 8, 12, 15)}
    assert places == {0: 7, 6: 7, 7: 7, 8: 8, 12: 12, 15: 15}


def test_the_explorer_is_made_of_the_columns() -> None:
    trace = load(recorded(Path("hum.dia2trace"), run=GOOD | {"settings": {"seed": 7, "temperature": 0.5}}))
    view = view_of(trace, script=1, candidates=8)
    grid = view.columns["grid"]
    assert grid.tolist() == [[-1] * 3, *trace.column("sung")[:, 1].tolist()]
    assert view.columns["grid_origin"].tolist() == (grid >= 0).tolist()
    assert view.columns["left"].tolist() == [9, 7, 5, 3, 1]
    assert view.columns["draw_choice"].tolist() == np.where(np.arange(5)[:, None] < 2, -1, grid[1:]).tolist()
    assert (view.columns["draw_kept"][2:] == view.columns["draw_alive"][2:]).all()
    header = view.header
    names = [track["name"] for track in header["tracks"]]
    assert names == ["sound", "phase", "left", "surprise", "guidance", "grid", "cache", "loudness"]
    assert header["caches"] == [{"column": "heat", "told": "heat {heat:degree}"}]
    assert not any("sampler" in draw for draw in header["draws"])  # nothing tells how it draws
    assert header["facts"] == ["script 2 of 2", "seed 7", "temperature 0.5", "5 calls"]
    assert [draw["sampling"] for draw in header["draws"]] == [{"temperature": 0.5, "top_k": 0, "by": "guided"}] * 3
    assert (header["grid"]["first"], header["grid"]["codes"], header["clock"]) == (3, 18, None)
    assert view_of(load(recorded(Path("cool.dia2trace")))).header["draws"][0]["sampling"]["temperature"] is None


def test_a_run_that_never_began_has_rows_and_nothing_else() -> None:
    recorded(Path("never.dia2trace"), calls=0)
    text = shown(lambda trace, console: print_show(trace, console), path="never.dia2trace")
    assert text.startswith("✗ call 0: The trace ends before its run: out of breath.\n")
    assert "never.dia2trace  partial: out of breath\n" in text
    assert "settings" not in text
    trace = load("never.dia2trace")
    for view in (lambda: choose_calls(trace), lambda: frame_facts(trace, 0), lambda: grid_facts(trace)):
        with pytest.raises(TraceError):
            view()


def test_what_it_has_not_is_refused_in_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    trace = load(recorded(Path("hum.dia2trace")))
    with pytest.raises(UsageError, match="Hum takes no words one by one"):
        choose_calls(trace, word="la")
    for view in (grid_facts, lambda trace, script: frames_facts(trace, 0, 1, script=script)):
        with pytest.raises(TraceError, match="There is no script 2"):
            view(trace, script=2)
    for call, message in ((5, "There is no call 5"), (-1, "There is no call -1")):
        with pytest.raises(TraceError, match=message):
            frame_facts(trace, call)
    with pytest.raises(TraceError, match=r"There is no script 3: hum\.dia2trace has scripts 0 … 1\.$"):
        frame_facts(trace, 0, script=3)
    assert main(["trace", "prefix", "hum.dia2trace"]) == 2
    assert "is a run of Hum: `dia2 trace prefix` looks at" in capsys.readouterr().err
    assert main(["trace", "frames", "hum.dia2trace", "--script", "2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["script"] == 2


# Expected

SHOW = """\
✓ Nothing is wrong that can be told.
hum.dia2trace  complete
  recorded  level topk
  model     Hum
  calls     5 = 2 given + 3 drawn
  scripts   2

settings
  seed    7
  song    la [b]la[/]�[2J
  voices  2

✓  1  Hum
      hum/loop.py → hum()
      trigger    a tune
      before     silence
      outputs    5 notes
·  2  Rest                                                               not run
      not called while it was recorded
"""

ROWS = """\
✓  1  Hum   5 notes
·  2  Rest  not run: not called while it was recorded
"""

CALLS = """\
script 2 of 2
call in    heat left   clock cb0 cb1 cb2
   1 given   36    7
   2 drawn   37    5 25.0 ms   3   4   5
   3 drawn   38    3 37.5 ms   9  10  11

heat: how warm it runs; left: syllables left; clock: seconds of a call; cb:
codes drawn, −1: none.
calls 1 … 3 of 0 … 4; --from 4 shows more
"""

CALL = """\
call 2 · drawn
script 2 of 2

columns
  column     before      after
  heat           36         37  how warm it runs
  left            7          5  syllables left

codes
  codebook   heard    sung
  cb0          115       3
  cb1          116       4
  cb2          117       5

draws
  draw     drew      p     rank    cond  guided best
  book.0      3 0.5000        1    3.00    6.00 ▶ 3 3.00  (4 2.80)  5 2.60
  book.1      4 0.5000        1    3.00    6.00 ▶ 4 3.00  (5 2.80)  6 2.60
  book.2      5 0.5000        1    3.00    6.00 ▶ 5 3.00  (6 2.80)  7 2.60
  rank: place of the choice by conditional logit; guidance decides which may be
  drawn, cond how likely. best: by conditional logit; ▶ the choice; (in
  brackets) what might not be drawn.

wall times
  clock  25.0 ms
"""

GRID = """\
script 1 of 2
call   0
       |''''
cb0    ··###
cb1    ··###
cb2    ··###

#  drawn
·  no code
calls 0 … 4 of 0 … 4
"""

CODES = """\
script 2 of 2
call    1
         '   '   '
cb0      ·   3   9
cb1      ·   4  10
cb2      ·   5  11

   drawn (no sign)
·  no code
calls 1 … 3 of 0 … 4; --from 4 shows more
"""
