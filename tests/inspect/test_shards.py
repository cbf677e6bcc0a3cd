"""The columns of a trace: both ends of what each may hold are read, and one beyond is refused, in name or number."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from dia2.adapter.layout import LAYOUT
from dia2.adapter.manifest import ModelFacts
from dia2.adapter.trace import check_steps, column_sizes
from dia2.common.errors import TraceError
from dia2.inspect import sample
from dia2.inspect.schema.column import DRAW_COLUMNS
from dia2.inspect.store import shards
from dia2.inspect.store.layout import MAX_CALLS, MAX_SHARD_CALLS, shard_name
from dia2.inspect.store.shards import Shard, open_shards, read_tokens, tail
from dia2.runtime.assets import nano_folder

from ..support.safetensors_file import joined

SAMPLE = nano_folder() / "sample.dia2trace"
MODEL = sample().model  # read before a test lowers what a reader accepts
Arrays = dict[str, np.ndarray]
Change = Callable[[Arrays], object]


def model() -> ModelFacts:
    return MODEL


def sizes() -> dict[str, int]:
    return column_sizes(model(), 9)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SAMPLE, tmp_path / "run.dia2trace"))


def changed(folder: Path, change: Change, index: int = 1) -> None:
    """Store one shard anew, with other columns."""
    columns = load_file(folder / shard_name(index))
    change(columns)
    save_file(columns, folder / shard_name(index))


def read(folder: Path) -> Arrays:
    columns = read_tokens(open_shards(folder, LAYOUT, sizes()), LAYOUT, sizes(), folder)
    check_steps(columns["step"], int((columns["phase"] == 0).sum()), folder)
    return columns


def last(name: str, value: int) -> Change:
    def put(columns: Arrays) -> None:
        columns[name] = columns[name].astype(np.int32 if columns[name].dtype != np.uint8 else np.uint8)
        columns[name][-1] = value

    return put


def bounds() -> dict[str, tuple[int, int]]:
    text, audio = model().text_vocabulary, model().audio_vocabulary
    assert model().actions < text
    counts = ("position", "slot", "padding_budget", "forced_padding", "entries_left")
    codes = {"audio": audio, "codes": audio}
    tokens = dict.fromkeys(("text", "action", "emitted", "pending", "lookahead"), text)
    return {
        "forced": (0, 1),
        "consumed": (0, 1),
        "end_step": (-1, MAX_CALLS),
        **dict.fromkeys(counts, (0, MAX_CALLS)),
        **{name: (-1, size - 1) for name, size in (codes | tokens).items()},
    }


@pytest.mark.parametrize("name", bounds())
def test_both_ends_are_read_and_what_lies_beyond_is_refused(name: str, folder: Path) -> None:
    if not len(load_file(folder / shard_name(1))[name]):  # nothing is pending in the sample's last calls

        def one(columns: Arrays) -> None:
            columns[name] = np.zeros(1, np.int32)
            columns[f"{name}_end"][-1] = 1

        changed(folder, one)
    unsigned = load_file(folder / shard_name(1))[name].dtype == np.uint8
    least, most = bounds()[name]
    for good in (least, most):
        changed(folder, last(name, good))
        assert np.all(read(folder)[name][-1] == good)
    for bad in (most + 1,) if unsigned else (least - 1, most + 1):
        changed(folder, last(name, bad))
        with pytest.raises(TraceError, match=rf"a value in column {name} is outside {least} … {most}\."):
            read(folder)


def test_what_is_written_is_read(folder: Path) -> None:
    both = [load_file(folder / shard_name(index)) for index in (0, 1)]
    found = read(folder)
    assert set(found) == set(LAYOUT.of_level("tokens"))
    for name, column in found.items():
        parts = [part[name].astype(np.float32 if name == "times" else np.int64) for part in both]
        if name.endswith("_end") and name.removesuffix("_end") in LAYOUT.ragged:
            parts[1] = parts[1] + len(both[0][name.removesuffix("_end")])  # ends count over the whole run
        assert np.array_equal(column, np.concatenate(parts)), name


def test_a_trace_without_calls_has_empty_columns(folder: Path) -> None:
    for index in (0, 1):
        (folder / shard_name(index)).unlink()
    empty = read(folder)
    assert {len(column) for column in empty.values()} == {0}
    assert empty["audio"].shape == (0, *tail(LAYOUT.columns["audio"].shape, sizes()))
    assert empty["pending_end"].dtype == np.int64
    assert empty["forced"].dtype == np.uint8
    assert empty["text"].dtype == np.int32


def late_end(columns: Arrays) -> None:
    columns["pending_end"][-1] += 1


def early_end(columns: Arrays) -> None:
    columns["pending_end"][0] = -1


def falling_end(columns: Arrays) -> None:
    columns["lookahead_end"][5] = columns["lookahead_end"][4] - 1
    columns["lookahead_end"][4] += columns["lookahead_end"][5] < 0


@pytest.mark.parametrize("change", [late_end, early_end, falling_end])
def test_tokens_of_calls_must_add_up(change: Change, folder: Path) -> None:
    changed(folder, change, 0)
    with pytest.raises(TraceError, match="pending or lookahead tokens do not add up"):
        read(folder)


def moved(name: str, at: int, by: int) -> Change:
    def move(columns: Arrays) -> None:
        columns[name][at] += by

    return move


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize("at", [0, -1])
@pytest.mark.parametrize("name", ["call", "step"])
def test_calls_and_steps_are_in_order(name: str, at: int, index: int, folder: Path) -> None:
    for by in (-1, 1):
        changed(folder, moved(name, at, by), index)
        with pytest.raises(TraceError, match="its calls are not in order"):
            read(folder)
        changed(folder, moved(name, at, -by), index)
    read(folder)


def test_no_warm_up_comes_after_the_main_loop(folder: Path) -> None:
    changed(folder, last("phase", 0))
    with pytest.raises(TraceError, match="its calls are not in order"):
        read(folder)
    changed(folder, last("phase", 2))
    with pytest.raises(TraceError, match=r"a value in column phase is outside 0 … 1"):
        read(folder)


def test_steps_of_warm_up_and_main_loop_overlap_by_one(folder: Path) -> None:
    """The last call of a warm-up is run once more, as the first of the main loop."""

    def warm(columns: Arrays) -> None:
        columns["phase"][:3] = 0
        columns["step"][3:] -= 1

    changed(folder, warm, 0)
    changed(folder, lambda columns: columns.update(step=columns["step"] - 1))
    assert list(read(folder)["step"][:6]) == [0, 1, 2, 2, 3, 4]

    def twice(columns: Arrays) -> None:
        columns["step"][1] = 0

    changed(folder, twice, 0)
    with pytest.raises(TraceError, match="its calls are not in order"):
        read(folder)


# Headers


def stored(folder: Path, header: Mapping[str, Any], size: int) -> Path:
    file = folder / shard_name(0)
    file.write_bytes(joined(header, bytes(size)))
    return file


def columns_of(calls: int, **ragged: int) -> dict[str, Any]:
    """A header of every column at level `tokens`, and how many bytes they take."""
    found: dict[str, Any] = {}
    for name in LAYOUT.of_level("tokens"):
        if name in LAYOUT.ragged:
            found[name] = {"dtype": "I32", "shape": [ragged.get(name, 0)]}
        else:
            column = LAYOUT.columns[name]
            found[name] = {"dtype": column.dtype, "shape": [calls, *tail(column.shape, sizes())]}
    return found


def size_of(header: Mapping[str, Any]) -> int:
    return sum({"I32": 4, "F32": 4, "I16": 2, "U8": 1}[v["dtype"]] * int(np.prod(v["shape"])) for v in header.values())


def opened(file: Path) -> Shard:
    return Shard(file, 0, LAYOUT, sizes())


def test_a_shard_holds_one_call_to_4096(tmp_path: Path) -> None:
    for calls in (1, MAX_SHARD_CALLS):
        header = columns_of(calls)
        assert opened(stored(tmp_path, header, size_of(header))).calls == calls
    for calls in (0, MAX_SHARD_CALLS + 1):
        header = columns_of(calls)
        with pytest.raises(TraceError, match=f"it holds \\[{calls}\\] calls"):
            opened(stored(tmp_path, header, size_of(header)))


@pytest.mark.parametrize("by", [-1, 1])
def test_columns_fill_their_file(by: int, tmp_path: Path) -> None:
    header = columns_of(3)
    with pytest.raises(TraceError, match="do not go together"):
        opened(stored(tmp_path, header, size_of(header) + by))


def test_a_shard_has_a_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    header = columns_of(3)
    file = stored(tmp_path, header, size_of(header))
    monkeypatch.setattr(shards, "_MAX_BYTES", size_of(header))
    opened(file)
    monkeypatch.setattr(shards, "_MAX_BYTES", size_of(header) - 1)
    with pytest.raises(TraceError, match="do not go together"):
        opened(file)


def test_pending_tokens_have_a_most_in_a_shard_and_in_a_trace(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both = [load_file(folder / shard_name(index)) for index in (0, 1)]
    counts = [len(part["pending"]) + len(part["lookahead"]) for part in both]
    monkeypatch.setattr(shards, "_MAX_RAGGED", sum(counts))
    assert [shard.ragged for shard in open_shards(folder, LAYOUT, sizes())] == counts
    monkeypatch.setattr(shards, "_MAX_RAGGED", sum(counts) - 1)
    with pytest.raises(TraceError, match=r"more than .* pending tokens"):
        open_shards(folder, LAYOUT, sizes())
    largest = max(len(both[0][name]) for name in LAYOUT.ragged)
    monkeypatch.setattr(shards, "_MAX_RAGGED", largest - 1)
    with pytest.raises(TraceError, match=r"column '?(pending|lookahead)"):
        opened(folder / shard_name(0))


def test_calls_have_a_most(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = sum(shard.calls for shard in open_shards(folder, LAYOUT, sizes()))
    assert calls == 77
    monkeypatch.setattr(shards, "MAX_CALLS", calls - 1)
    with pytest.raises(TraceError, match=r"more than .* calls"):
        open_shards(folder, LAYOUT, sizes())
    monkeypatch.setattr(shards, "MAX_CALLS", calls)
    assert [shard.first_call for shard in open_shards(folder, LAYOUT, sizes())] == [
        0,
        calls - len(load_file(folder / shard_name(1))["call"]),
    ]


def test_shards_have_a_most(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "MAX_SHARDS", 1)
    assert len(open_shards(folder, LAYOUT, sizes())) == 1


def test_a_header_has_a_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    header = columns_of(3)
    file = stored(tmp_path, header, size_of(header))
    length = len(json.dumps(header))
    monkeypatch.setattr(shards, "MAX_HEADER", length)
    opened(file)
    monkeypatch.setattr(shards, "MAX_HEADER", length - 1)
    with pytest.raises(TraceError, match=f"its header claims {length} bytes"):
        opened(file)
    file.write_bytes(struct.pack("<Q", 11) + b"{}")
    with pytest.raises(TraceError, match="its header claims 11 bytes"):
        opened(file)
    file.write_bytes(b"\0" * 7)
    with pytest.raises(TraceError, match="cannot be read"):
        opened(file)


HEADERS: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown column": ({"more": {"dtype": "I32", "shape": [3]}}, "column 'more' is 'I32'"),
    "a type it is not stored in": ({"text": {"dtype": "F32", "shape": [3, 2]}}, "column 'text' is 'F32'"),
    "two bytes where four are needed": ({"step": {"dtype": "I16", "shape": [3]}}, "column 'step' is 'I16'"),
    "fewer calls": ({"step": {"dtype": "I32", "shape": [2]}}, "column 'step' is 'I32'"),
    "pending tokens in rows": ({"pending": {"dtype": "I32", "shape": [3, 2]}}, "column 'pending' is"),
    "pending tokens in two bytes": ({"pending": {"dtype": "I16", "shape": [3]}}, "column 'pending' is"),
    "a size of half": ({"step": {"dtype": "I32", "shape": [2.5]}}, "column 'step' has no type and shape"),
    "a size of yes": ({"step": {"dtype": "I32", "shape": [True]}}, "column 'step' has no type and shape"),
    "a size below zero": ({"step": {"dtype": "I32", "shape": [-1]}}, "column 'step' has no type and shape"),
    "a size beyond all": ({"step": {"dtype": "I32", "shape": [1 << 40]}}, "column 'step' has no type and shape"),
    "no type": ({"step": {"shape": [3]}}, "column 'step' has no type and shape"),
    "a column that is a list": ({"step": []}, "column 'step' has no type and shape"),
    "calls in rows": ({"call": {"dtype": "I32", "shape": [3, 1]}}, r"it holds \[3, 1\] calls"),
}


@pytest.mark.parametrize("what", HEADERS)
def test_a_header_that_does_not_fit_is_refused(what: str, tmp_path: Path) -> None:
    change, message = HEADERS[what]
    header = columns_of(3) | change
    with pytest.raises(TraceError, match=message):
        opened(stored(tmp_path, header, 0))


@pytest.mark.parametrize("name", LAYOUT.of_level("tokens"))
def test_no_column_of_the_tokens_is_missing(name: str, tmp_path: Path) -> None:
    header = columns_of(3)
    del header[name]
    with pytest.raises(TraceError, match="is damaged"):
        opened(stored(tmp_path, header, size_of(header)))


def test_the_columns_of_draws_come_together(tmp_path: Path) -> None:
    more = {c.name: {"dtype": c.dtype, "shape": [3, *tail(c.shape, sizes())]} for c in DRAW_COLUMNS}
    whole = columns_of(3) | more
    opened(stored(tmp_path, whole, size_of(whole)))
    for name in more:
        lacking = {key: value for key, value in whole.items() if key != name}
        with pytest.raises(TraceError, match=r"some of the columns draw\.\* only"):
            opened(stored(tmp_path, lacking, size_of(lacking)))


def test_metadata_is_no_column(tmp_path: Path) -> None:
    header = columns_of(3)
    assert opened(stored(tmp_path, {"__metadata__": {"a": "b"}} | header, size_of(header))).calls == 3
    with pytest.raises(TraceError, match="its header is not an object"):
        opened(stored(tmp_path, [], 0))  # type: ignore[arg-type]  # on purpose


def test_a_link_is_no_shard(folder: Path, tmp_path: Path) -> None:
    (folder / shard_name(1)).rename(tmp_path / "elsewhere")
    (folder / shard_name(1)).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(TraceError, match="is a link"):
        open_shards(folder, LAYOUT, sizes())


def test_a_shard_that_goes_away_is_told(folder: Path) -> None:
    shard = opened(folder / shard_name(0))
    (folder / shard_name(0)).unlink()
    with pytest.raises(TraceError, match="cannot be read"):
        shard.read(["call"])
