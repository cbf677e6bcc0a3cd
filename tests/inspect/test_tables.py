"""Parquet tables hold what the trace says, value by value."""

import dataclasses
import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from dia2 import SamplingConfig
from dia2.adapter import tables as dia2_tables
from dia2.adapter.trace import Dia2Trace
from dia2.common.errors import Dia2Error, UsageError
from dia2.inspect import load, record
from dia2.inspect.trace import tables
from dia2.inspect.trace.tables import calls_table, draws_table, to_parquet
from dia2.runtime.edits import ReplaceToken

from ..support.reference import Case, engine

CASE = Case("tiny4", "prefix2")
EDITED = 60  # codebook 3 of this call is replaced by a code that was not drawn


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Dia2Trace:
    path = tmp_path_factory.mktemp("tables") / "run.dia2trace"
    edits = [ReplaceToken(EDITED, 17, codebook=3)]
    config = CASE.config(seed=1, cfg_filter_k=5, audio=SamplingConfig(temperature=2.0, top_k=50))
    engine("tiny4").generate(CASE.expected["script"], config, trace=path, edits=edits)
    return Dia2Trace(path)


@pytest.fixture(scope="module")
def read(trace: Dia2Trace, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Any], list[Any]]:
    """Rows of both files."""
    calls, draws = trace.to_parquet(tmp_path_factory.mktemp("out") / "new" / "run")
    assert (calls.name, draws.name, calls.parent) == ("calls.parquet", "draws.parquet", draws.parent)
    assert {path.name for path in calls.parent.iterdir()} == {"calls.parquet", "draws.parquet"}
    return parquet.read_table(calls).to_pylist(), parquet.read_table(draws).to_pylist()


def test_a_row_of_calls_is_a_frame(trace: Dia2Trace, read: tuple[list[Any], list[Any]]) -> None:
    rows = [dict(row) for row in read[0]]
    assert len(rows) == len(trace) > 100
    words = {word.call: word for word in trace.words}
    for row, frame in zip(rows, trace.frames, strict=True):
        for name in ("call", "phase", "step", "position", "slot", "codes", "kv_transformer", "kv_depformer"):
            assert row.pop(name) == getattr(frame, name), (frame.call, name)
        assert (row.pop("text_main"), row.pop("text_second")) == frame.text
        assert row.pop("audio_seen") == frame.audio
        for name, value in dataclasses.asdict(frame.machine).items():
            if name != "step":
                assert row.pop(name) == value, (frame.call, name)
        for name, value in dataclasses.asdict(frame.before).items():
            unknown = frame.call == 0 and name in ("step", "action")
            assert row.pop(f"before_{name}") == (None if unknown else value), (frame.call, name)
        times = [row.pop(f"time_{name}") for name in ("first", "machine", "second", "frame")]
        assert times == [None] * 4 if frame.seconds is None else times == list(vars(frame.seconds).values())
        word = words.get(frame.call)
        expected = (None, None, None) if word is None else (word.text, word.index, word.speaker)
        assert (row.pop("word"), row.pop("word_index"), row.pop("word_speaker")) == expected
        seconds = row.pop("audio_seconds")
        if word is not None and word.seconds is not None:
            assert seconds == word.seconds
        crop = trace.manifest.result.crop or 0
        assert seconds == (max(0, frame.step - 2 - crop) / 12.5 if frame.step >= crop else None)
        assert not row, "every column is compared"


def test_the_words_of_the_run_are_in_the_calls(trace: Dia2Trace, read: tuple[list[Any], list[Any]]) -> None:
    assert [row["word"] for row in read[0] if row["word"]] == [word.text for word in trace.words]
    assert sum(row["consumed"] for row in read[0]) == len(trace.words) + 1  # and one break


def test_a_row_of_draws_is_a_draw(trace: Dia2Trace, read: tuple[list[Any], list[Any]]) -> None:
    rows = iter(read[1])
    ranks = []
    for frame in trace.frames:
        for draw in frame.draws:
            row = next(rows)
            number = {"action": None, "cb0": 0}.get(draw.name, int(draw.name[4:] or 0) if "." in draw.name else None)
            kept = sorted((c for c in draw.candidates if c.kept), key=lambda c: -c.cond)
            rank = [c.token for c in kept].index(draw.choice) if draw.choice in [c.token for c in kept] else None
            ranks.append(rank)
            assert row == {
                "call": frame.call,
                "draw": draw.name,
                "codebook": number,
                "choice": draw.choice,
                "probability": draw.probability,
                "rank": rank,
                "candidates": [c.token for c in draw.candidates],
                "cond": [c.cond for c in draw.candidates],
                "guided": [c.guided for c in draw.candidates],
                "kept": [c.kept for c in draw.candidates],
            }
    assert next(rows, None) is None
    assert len(ranks) == 5 * (len(trace) - trace.warmup_calls)
    assert {0, 1, None} <= set(ranks), "the likeliest, another one, and one that an edit put there"


def test_nothing_is_nan(read: tuple[list[Any], list[Any]]) -> None:
    values = [value for row in read[0] for value in row.values() if isinstance(value, float)]
    values += [value for row in read[1] for value in (row["probability"], *row["cond"], *row["guided"])]
    assert len(values) > 1000
    assert not any(map(math.isnan, values))


def test_the_tables_need_no_file(trace: Dia2Trace, read: tuple[list[Any], list[Any]]) -> None:
    assert calls_table(trace).to_pylist() == read[0]
    assert draws_table(trace).to_pylist() == read[1]


def test_row_groups_and_batches_change_nothing(
    trace: Dia2Trace, read: tuple[list[Any], list[Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "ROW_GROUP", 100)
    monkeypatch.setattr(tables, "CALLS_AT_ONCE", 7)
    files = to_parquet(trace, tmp_path)
    for file, rows, most in zip(files, read, (100, 100), strict=True):
        metadata = parquet.read_metadata(file)
        sizes = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
        assert len(sizes) > 1
        assert max(sizes) <= most
        assert parquet.read_table(file).to_pylist() == rows


def test_the_level_tokens_has_no_draws(tmp_path: Path) -> None:
    with record(tmp_path / "t", level="tokens"):
        engine("tiny4").generate("[S1] Hi.", CASE.config(seed=1, prefix=None))
    calls, draws = load(tmp_path / "t").to_parquet(tmp_path / "out")
    assert parquet.read_table(draws).num_rows == 0
    assert parquet.read_schema(draws) == draws_table(load(tmp_path / "t")).schema
    rows = parquet.read_table(calls).to_pylist()
    assert rows[0]["before_step"] is None
    assert rows[0]["codes"] is not None, "without a prefix the main loop comes first"


def test_a_trace_without_calls_gives_empty_tables(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), record(tmp_path / "t"):
        _ = 1 // 0
    for file in load(tmp_path / "t").to_parquet(tmp_path / "out"):
        assert parquet.read_table(file).num_rows == 0


def test_the_path_is_a_folder(trace: Dia2Trace, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for path in (tmp_path / "file", tmp_path / "file" / "run", tmp_path / "a\0b"):
        with pytest.raises(UsageError, match="give a folder"):
            trace.to_parquet(path)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_failure_leaves_the_old_file(trace: Dia2Trace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "draws.parquet").write_text("old")
    batches = tables._draw_batches

    def full(trace: Dia2Trace) -> Any:
        yield next(iter(batches(trace)))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tables, "_draw_batches", full)
    with pytest.raises(Dia2Error, match=r"\(No space left on device\)"):
        trace.to_parquet(tmp_path)
    assert (tmp_path / "draws.parquet").read_text() == "old"
    assert {path.name for path in tmp_path.iterdir()} == {"calls.parquet", "draws.parquet"}


def test_without_pyarrow_it_says_what_to_install(
    trace: Dia2Trace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for ask in (lambda: trace.to_parquet(tmp_path / "x"), lambda: calls_table(trace), lambda: draws_table(trace)):
        with pytest.raises(Dia2Error, match=r"pip install 'dia2-inspect\[parquet\]'"):
            ask()
    assert not (tmp_path / "x").exists()


def test_a_damaged_shard_is_a_trace_error(trace: Dia2Trace, tmp_path: Path) -> None:
    path = tmp_path / "t"
    path.mkdir()
    for file in trace.path.iterdir():
        (path / file.name).write_bytes(file.read_bytes())
    copy = load(path)
    last = sorted(path.glob("frames-*"))[-1]
    last.write_bytes(last.read_bytes()[:-100])
    with pytest.raises(Dia2Error, match="damaged"):
        copy.to_parquet(tmp_path / "out")


def test_the_docstring_names_every_column(trace: Dia2Trace) -> None:
    text = f"{tables.__doc__} {dia2_tables.__doc__}"
    names = [*calls_table(trace).column_names, *draws_table(trace).column_names]
    assert json.dumps(sorted({n for n in names if n not in text and not n.startswith("before_")})) == "[]"
