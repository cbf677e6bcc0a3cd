"""What the explorer is given of a trace, and the file it stands in; how it looks and acts is for test_browser."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import re
import struct
from pathlib import Path
from typing import Any, cast
from unittest.mock import Mock

import numpy as np
import pytest
import soundfile

from dia2.adapter.trace import Dia2Trace
from dia2.common.errors import TraceError, UsageError
from dia2.inspect import load
from dia2.inspect.schema.view import View, peaks
from dia2.inspect.trace.diff import Diff, Difference
from dia2.inspect.views.explorer import bundle, to_html
from dia2.inspect.views.explorer.bundle import reviver, script, style
from dia2.inspect.views.explorer.pack import pack
from dia2.inspect.views.explorer.payload import difference_of, payload
from dia2.inspect.views.explorer.sound import codebook_sound
from dia2.inspect.views.explorer.view import view_of
from dia2.runtime.edits import ChangeSampling, ReplaceToken

from ..support.reference import engine
from .test_console_trace import HOSTILE, changed, hostile, recorded

FRONT = Path(bundle.__file__).parent / "front"


@pytest.fixture(scope="module")
def trace() -> Dia2Trace:
    return Dia2Trace(recorded())


@pytest.fixture(scope="module")
def view(trace: Dia2Trace) -> View:
    return view_of(trace)


def opened(packed: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What the front end makes of packed bytes."""
    data = gzip.decompress(packed)
    assert data[:8] == b"dia2view"
    (length,) = struct.unpack("<I", data[8:12])
    text = json.loads(data[12 : 12 + length])
    start = -(-(12 + length) // 8) * 8
    columns = {}
    for name, column in text["columns"].items():
        assert column["at"] % 8 == 0
        count = int(np.prod(column["shape"]))
        columns[name] = np.frombuffer(data, column["dtype"], count, start + column["at"]).reshape(column["shape"])
    return text["header"], columns


def test_packed_columns_come_back(view: View) -> None:
    header, columns = opened(pack(view, {"sound_0": b"12345"}))
    assert header == json.loads(json.dumps(view.header))
    assert columns.pop("sound_0").tobytes() == b"12345"
    assert columns.keys() == view.columns.keys()
    for name, column in columns.items():
        np.testing.assert_array_equal(column, view.columns[name])


def test_the_same_trace_gives_the_same_bytes(trace: Dia2Trace) -> None:
    assert payload(trace) == payload(trace)


def test_draws_are_those_of_the_trace(trace: Dia2Trace, view: View) -> None:
    columns = view.columns
    for call in (trace.warmup_calls, 60, len(trace) - 1):
        for i, draw in enumerate(trace.draws(call)):
            shown = columns["draw_ids"][call, i]
            shown = shown[shown >= 0]
            by_token = {candidate.token: candidate for candidate in draw.candidates}
            assert draw.choice in shown.tolist()
            best = [candidate.token for candidate in draw.candidates[: len(shown)]]
            assert set(shown.tolist()) == {*best[:-1], draw.choice if draw.choice not in best else best[-1]}
            steps = {name: float(columns[f"draw_step_{name}"][call, i]) for name in ("cond", "guided")}
            for place, token in enumerate(shown.tolist()):
                cond = columns["best_cond"][call, i] - columns["draw_cond"][call, i, place] * steps["cond"]
                guided = columns["best_guided"][call, i] - columns["draw_guided"][call, i, place] * steps["guided"]
                assert cond == pytest.approx(by_token[token].cond, abs=steps["cond"])
                assert guided == pytest.approx(by_token[token].guided, abs=steps["guided"])
                assert bool(columns["draw_kept"][call, i, place // 8] >> place % 8 & 1) == by_token[token].kept
            assert columns["draw_choice"][call, i] == draw.choice
            assert columns["draw_probability"][call, i] == pytest.approx(draw.probability, rel=2**-16)
    assert (columns["draw_choice"][: trace.warmup_calls] == -1).all()


def test_the_grid_is_that_of_the_trace(trace: Dia2Trace, view: View) -> None:
    grid, ids = view.columns["grid"].T, trace.model.tokens
    np.testing.assert_array_equal(grid == -1, trace.raw_grid == ids.ungenerated)
    np.testing.assert_array_equal(grid == -2, trace.raw_grid == ids.audio_pad)
    np.testing.assert_array_equal(grid[grid >= 0], trace.grid[grid >= 0])


def test_the_header_counts_as_the_trace_does(trace: Dia2Trace, view: View) -> None:
    """Step, time and grid column of a call by the header's numbers alone, as the front end has them."""
    clock, grid = view.header["clock"], view.header["grid"]
    main = trace.column("phase") == 1
    for call, step in enumerate(trace.steps.tolist()):
        assert call - (clock["twice"] is not None and call >= clock["twice"]) == step
        assert call + grid["ahead"] == step + bool(main[call])
    assert view.header["given"]["calls"] == trace.warmup_calls
    for row, word in zip(view.header["words"], trace.words, strict=True):
        assert row["call"] == word.call
        if word.seconds is not None:  # by the clock it stands where it sounds
            step = row["at"] - (clock["twice"] is not None and row["at"] >= clock["twice"])
            assert max(0, step - clock["zero"]) / clock["rate"] == pytest.approx(word.seconds)


def test_queues_and_parts_are_those_of_the_machine(trace: Dia2Trace, view: View) -> None:
    columns, entries = view.columns, trace.run.entries
    ends = {name: np.cumsum(columns[f"{name}_counts"][:, 0]) for name in ("pending", "lookahead")}
    for call in range(len(trace)):
        row = trace.machine_at(call)
        for name, tokens in (("pending", row.pending), ("lookahead", row.lookahead)):
            parts = columns[name][ends[name][call - 1] if call else 0 : ends[name][call]]
            assert columns[f"{name}_counts"][call, 1] == len(tokens)
            assert [entries[e].tokens[n - 1] for e, n, _ in parts.tolist()] == tokens[:12]
        entry, number, of = columns["main_part"][call].tolist()
        if entry >= 0:
            assert entries[entry].tokens[number - 1] == row.main
            assert of == len(entries[entry].tokens)


def test_overruled_actions_have_a_reason(trace: Dia2Trace, view: View) -> None:
    reasons = view.header["reasons"]
    assert reasons[0] is None
    told = {reasons[i] for i in view.columns["overruled"].tolist()}
    assert told >= {None, "tokens of a word were pending"}


def test_peaks_hold_every_sample() -> None:
    samples = np.zeros(1000, np.float32)
    samples[[5, 250, 999]] = [1.0, -0.5, 0.25]
    found = peaks(samples, 24_000)
    assert found.shape == (5, 2)
    assert found.tolist() == [[0, 127], [-64, 0], [0, 0], [0, 0], [0, 32]]


def test_sounds_are_mp3_of_the_same_length(trace: Dia2Trace) -> None:
    header, columns = opened(payload(trace))
    assert header["mime"] == "audio/mpeg"
    assert [sound["label"] for sound in header["sounds"]] == ["all codebooks"]
    heard, rate = soundfile.read(io.BytesIO(columns["sound_0"].tobytes()))
    wave = trace.audio
    assert wave is not None
    assert rate == wave[1]
    assert abs(len(heard) - len(wave[0])) < 0.1 * rate


@pytest.mark.parametrize(
    ("books", "label"),
    [
        ([0], "codebook 0 alone"),
        ([0, 1, 2], "codebooks 0 … 2"),
        ([0, 2, 3, 4, 5, 6, 7], "without codebook 1"),
        (list(range(8)), "all codebooks"),
        ([1, 5], "codebooks 1, 5"),
    ],
)
def test_codebooks_can_be_heard_apart(trace: Dia2Trace, books: list[int], label: str) -> None:
    tts = engine("tiny8")
    sound = codebook_sound(trace, tts, books)
    assert sound.label == label
    assert soundfile.info(io.BytesIO(sound.data)).format == "MP3"


def test_books_need_an_engine_and_must_be_there(trace: Dia2Trace) -> None:
    with pytest.raises(UsageError, match="give the engine too"):
        payload(trace, books=[[0]])
    tts = engine("tiny8")
    with pytest.raises(UsageError, match="some of 0 … 7"):
        payload(trace, tts, books=[[8]])


def test_where_two_traces_part(trace: Dia2Trace, tmp_path: Path) -> None:
    assert difference_of(trace, trace) is None
    tts = engine("tiny8")
    code = 1 + int(trace.codes[50, 2]) % 8
    trace.fork(tts, 50, edits=[ReplaceToken(50, code, codebook=2)], path=tmp_path / "fork.dia2trace")
    found = difference_of(trace, load(tmp_path / "fork.dia2trace"))
    assert found is not None
    assert found["call"] == 50
    assert found["what"].startswith(f"codebook 2 {trace.codes[50, 2]} | {code}")


def test_another_checkpoint_is_told_in_few_digits() -> None:
    """Two whole digests would fill the line that says where two runs part."""
    weights = Difference(None, "checkpoint's weights", "a" * 64, "b" * 64)
    parted = Diff([weights], [], [Difference(0, "codebook 0", "72", "53")], 0, (9, 9))
    found = difference_of(cast("Any", Mock(diff=lambda _: parted)), cast("Any", Mock()))
    assert found == {"call": 0, "what": "codebook 0 72 | 53", "cause": "checkpoint's weights aaaaaaaa… → bbbbbbbb…"}


def test_the_front_end_is_one_small_script_that_loads_nothing() -> None:
    for host in ("widget", "page", "served"):
        code = script(host)
        assert len(code) + len(style()) < 400_000
        assert not re.search(r"^\s*import\b|\bimport\(|^export (?!default)", code, re.MULTILINE)
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", code)
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", code)
    names = re.findall(r"^(?:async )?(?:function|class|const|let) ([A-Za-z]\w*)", script("page"), re.MULTILINE)
    assert len(names) == len(set(names)), "one scope: a name has one file"


def test_the_script_has_every_module_and_none_of_their_documents() -> None:
    hosts, apart = {"page", "served", "widget"}, {"saved"}
    opening = {path.stem: path.read_text(encoding="utf-8").partition("\n")[0] for path in FRONT.glob("*.js")}
    assert hosts | apart < opening.keys()
    for host in hosts:
        code = script(host)
        assert {name for name, line in opening.items() if line in code} == opening.keys() - hosts - apart | {host}
        assert not re.search(r"@(import|param|returns|template|typedef)\b", code)  # they are for tsc and for readers
        assert not re.search(r"^  ", code, re.MULTILINE)
    assert opening["saved"] in reviver()
    assert not re.search(r"^export|@(import|param|property|typedef)\b|</", reviver(), re.MULTILINE)


def test_no_text_of_the_front_end_goes_over_lines() -> None:
    """Their indentation would be taken off with that of the code."""
    for path in FRONT.glob("*.js"):
        for line in path.read_text(encoding="utf-8").splitlines():
            assert line.count("`") % 2 == 0, (path.name, line)


def test_the_page_allows_its_own_script_and_style_alone(trace: Dia2Trace, tmp_path: Path) -> None:
    page = to_html(trace, tmp_path / "run.html").read_text(encoding="utf-8")
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    assert policy[1].startswith("default-src 'none'; script-src 'sha256-")
    for tag, directive in (("style", "style-src"), ('script type="module"', "script-src")):
        inline = re.search(rf"<{tag}>(.*?)</{tag.split()[0]}>", page, re.DOTALL)
        assert inline is not None
        digest = base64.b64encode(hashlib.sha256(inline[1].encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}'" in policy[1]


def test_no_text_of_a_trace_is_markup(tmp_path: Path) -> None:
    path = hostile(tmp_path)
    header = view_of(load(path)).header
    told = json.dumps(header, ensure_ascii=False)
    for attack in ("\x1b", "\x07", "\u202e", "\u200f", "\r"):
        assert attack not in told
    page = to_html(load(path), tmp_path / "run.html").read_text(encoding="utf-8")
    assert "<script>" not in page
    assert HOSTILE not in page
    assert page.count("</script>") == 3


def test_words_of_any_length_are_cut(tmp_path: Path) -> None:
    run = json.loads((recorded() / "manifest.json").read_text(encoding="utf-8"))["run"]
    run["entries"][0][0] = "x" * 100_000
    header = view_of(load(changed(tmp_path, run=run))).header
    assert len(header["words"][0]["text"]) == 200
    assert header["words"][0]["text"].endswith("…")


def test_a_redacted_trace_shows_what_is_left(trace: Dia2Trace, tmp_path: Path) -> None:
    mute = trace.redact(tmp_path / "mute.dia2trace", voice=True, text=True)
    header, columns = opened(payload(mute))
    assert not {"grid", "peaks", "sound_0"} & columns.keys()
    assert [draw["title"] for draw in header["draws"]] == ["action"]
    main = trace.warmup_calls
    assert columns["draw_choice"][main:, 0].tolist() == view_of(trace).columns["draw_choice"][main:, 0].tolist()
    assert header["sounds"] == []
    assert not {word["text"] for word in header["words"]} & {word.text for word in trace.words}


def test_a_row_that_did_not_end_is_lit_all_the_same(trace: Dia2Trace, tmp_path: Path) -> None:
    path = changed(tmp_path, status="running", result=None)
    events = path / "phases.jsonl"
    lines = events.read_text(encoding="utf-8").splitlines(keepends=True)
    loop = next(json.loads(line)["id"] for line in lines if json.loads(line).get("phase") == "loop")
    end = next(i for i, line in enumerate(lines) if json.loads(line) | {"id": loop, "event": "end"} == json.loads(line))
    events.write_text("".join(lines[:end]), encoding="utf-8")
    row = view_of(load(path)).header["rows"][24]
    assert (row["status"], row["call"]) == ("not finished", trace.warmup_calls)
    assert row["lit"] == [(trace.warmup_calls, None)]


def test_an_edit_says_its_call_once(trace: Dia2Trace, tmp_path: Path) -> None:
    edits = [ReplaceToken(50, 3, codebook=2), ChangeSampling(60, cfg_scale=3)]
    trace.fork(engine("tiny8"), 50, edits=edits, path=tmp_path / "fork.dia2trace")
    assert view_of(load(tmp_path / "fork.dia2trace")).header["edits"] == [
        {"call": 50, "text": "codebook 2 becomes 3"},
        {"call": 60, "text": "cfg_scale = 3, from there on"},
    ]


def test_a_run_that_never_began_is_refused(tmp_path: Path) -> None:
    path = changed(tmp_path, run=None, calls=0, draws=[], audio=None)
    for shard in path.glob("frames-*.safetensors"):
        shard.unlink()
    with pytest.raises(TraceError, match="no calls"):
        to_html(load(path), tmp_path / "run.html")


def test_the_command_writes_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from dia2.cli import main

    output = tmp_path / "run.html"
    assert main(["trace", "html", str(recorded()), "-o", str(output), "--call", "60"]) == 0
    told = "contains the recording of speaker 1 (1.6 s) and the recording of speaker 2 (1.0 s)"
    assert capsys.readouterr().out == f"{output}\n{told}\n"
    assert '{"call": 60}' in output.read_text(encoding="utf-8")
    assert main(["trace", "html", str(recorded()), "-o", str(output), "--call", "600"]) == 1
    assert "There is no call 600" in capsys.readouterr().err


def test_the_widget_has_a_line_of_text_where_none_is_shown(trace: Dia2Trace) -> None:
    explorer = trace.explore(call=60)
    contains = "contains the recording of speaker 1 (1.6 s) and the recording of speaker 2 (1.0 s)"
    assert repr(explorer) == f"<Explorer of run.dia2trace: 117 calls, complete; {contains}>"
    bundle = explorer._repr_mimebundle_()
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    assert data is not None
    verdict, line = data["text/plain"].splitlines()
    assert (verdict[:12], line) == ("The boundary", repr(explorer))
    assert opened(explorer._views[0])[0]["calls"] == 117
    with pytest.raises(TraceError, match="no call 117"):
        trace.explore(call=117)
