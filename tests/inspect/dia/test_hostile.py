"""A trace of Dia can come from anybody, too; see tests/inspect/test_hostile.py."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save

from dia.adapter.layout import ENCODER_FILE
from dia2.common.errors import TraceError
from dia2.inspect import load
from dia2.inspect.store.layout import MANIFEST, PHASES_FILE, shard_name

from ...support.safetensors_file import joined, taken_apart
from ...support.traces import copied, outcome, recorded, recorded_dia, replace
from ..test_hostile import (
    DEEP,
    SHARE,
    VALUES,
    Mutation,
    as_manifest,
    changed,
    claiming,
    deleting,
    places,
    setting,
    survived,
    written,
)

SHARDS = [shard_name(0), shard_name(1), shard_name(3)]  # prefill, loop, the last
PARTS = [*SHARDS, ENCODER_FILE, "audio-1.flac"]


def original(name: str) -> bytes:
    return (recorded_dia() / name).read_bytes()


def grown(name: str) -> Callable[[Path], None]:
    """With a hole of ten gigabytes at its end."""

    def put(folder: Path) -> None:
        replace(folder / name, original(name))
        os.truncate(folder / name, 10 << 30)

    return put


def manifest() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(original(MANIFEST))
    return content


def outcomes(tmp_path: Path, mutations: Iterator[Mutation], least: int, share: int = SHARE) -> Counter[str]:
    return survived(tmp_path, mutations, least, share, recorded_dia)


def test_the_recorded_trace_itself_loads() -> None:
    assert outcome(recorded_dia()) == "loaded"
    trace = load(recorded_dia())
    assert trace.complete
    assert {path.name for path in recorded_dia().iterdir()} >= set(PARTS)


def test_a_manifest_with_any_field_taken_out_or_changed_does_no_harm(tmp_path: Path) -> None:
    def mutations() -> Iterator[Mutation]:
        content = manifest()
        for at in places(content):
            yield f"without {at}", as_manifest(changed(content, at, deleting))
            for value in (*VALUES, "0102", ["01"], [1], "dia"):
                yield f"{at} = {str(value)[:40]}", as_manifest(changed(content, at, setting(value)))

    found = outcomes(tmp_path, mutations(), 1400, 2 * SHARE - 1)
    assert min(found["loaded"], found["refused"]) > 50 // SHARE


def test_a_trace_of_other_dimensions_than_its_shards_does_no_harm(tmp_path: Path) -> None:
    def mutations() -> Iterator[Mutation]:
        content = manifest()
        run = content["run"]
        for key, value in run["model"].items():
            if isinstance(value, int):
                for wrong in (1, 2, value - 1, value + 1, value * 2):
                    yield f"{key} {wrong}", as_manifest(changed(content, ("run", "model", key), setting(wrong)))
        for delays in ([0] * 9, [10_000] * 9, [0] * 8 + [10_000], list(range(8))):
            yield f"delays {delays}", as_manifest(changed(content, ("run", "model", "delays"), setting(delays)))
        for scripts in (0, 1, 3, 128, 129, 4000):
            lists = {key: (run[key] * 4000)[:scripts] for key in ("scripts", "text_bytes", "prefill_steps")}
            yield f"{scripts} scripts", as_manifest(content | {"run": run | lists, "audio": None, "result": None})
        for text in ("", "00", "ff" * 2000, "01" * 65, "0", "zz", "+1", " 01", "１２"):
            at = ("run", "text_bytes", 0)
            yield f"bytes {text[:9]}", as_manifest(changed(content, at, setting(text)))
        for steps in (0, -1, 1, 2, 39, 40, 10**6):
            yield f"prefill {steps}", as_manifest(changed(content, ("run", "prefill_steps", 0), setting(steps)))
        for draws in (content["draws"][::-1], content["draws"][:-1], ["channel.63"] * 9, ["channel.-1"], ["cb0"], []):
            yield f"draws {draws}", as_manifest(content | {"draws": draws})
        families: list[Any] = ["dia2", "dia3", None, 3, [], {}, "\x1b[31m"]
        for family in families:
            yield f"family {family!r}", as_manifest(content | {"family": family})
        for audio in (
            ["../a.flac", None],
            ["audio-2.flac", "audio-1.flac"],
            ["audio.flac", None],
            "audio.flac",
            [None],
        ):
            yield f"audio {audio}", as_manifest(content | {"audio": audio})

    assert outcomes(tmp_path, mutations(), 110)["loaded"] > 20 // SHARE


def test_shards_with_impossible_values_and_shapes_do_no_harm(tmp_path: Path) -> None:
    def mutations() -> Iterator[Mutation]:
        for name in SHARDS[:2]:
            columns = load_file(recorded_dia() / name)
            for column, array in columns.items():
                whole = array.dtype.kind in "iu"
                extremes: list[float] = [0, 1, np.nan, np.inf, -np.inf, 3e38]
                if whole:
                    extremes = [0, 1, 65, 67, 68, np.iinfo(array.dtype).min, np.iinfo(array.dtype).max]
                for value in extremes:
                    for where in ("all", "last"):
                        wrong = array.copy()
                        wrong[... if where == "all" else -1] = value
                        yield f"{name} {column} {where} = {value}", written(name, save(columns | {column: wrong}))
                for part in (array[:-1], array[..., None], array.astype(np.float64), np.concatenate((array, array))):
                    part = np.ascontiguousarray(part)
                    yield f"{name} {column} {part.shape}", written(name, save(columns | {column: part}))
                if array.ndim > 1:
                    part = np.ascontiguousarray(array[:, :-1])
                    yield f"{name} {column} {part.shape}", written(name, save(columns | {column: part}))
                left = {key: value for key, value in columns.items() if key != column}
                yield f"{name} no {column}", written(name, save(left))

    found = outcomes(tmp_path, mutations(), 250, min(SHARE, 3))
    assert found["refused"] > 100 // SHARE
    assert found["loaded"]


@pytest.mark.parametrize("column", ["tokens", "written", "drawn", "draw.ids"])
def test_ids_outside_the_vocabulary_are_refused_or_data(tmp_path: Path, column: str) -> None:
    columns = load_file(recorded_dia() / SHARDS[1])
    for number, value in enumerate((-2, 68, 2**15 - 1)):
        folder = copied(tmp_path / f"{number}", recorded_dia)
        wrong = columns[column].copy()
        wrong[-1, -1, -1] = value
        replace(folder / SHARDS[1], save(columns | {column: wrong}))
        if column == "draw.ids":
            assert outcome(folder) == "loaded"  # a candidate is shown, nothing is looked up by it
        else:
            with pytest.raises(TraceError, match=f"column {column} is outside"):
                load(folder)


def test_broken_files_do_no_harm(tmp_path: Path) -> None:
    chance = random.Random(4)

    def mutations() -> Iterator[Mutation]:
        for name in PARTS:
            content = original(name)
            for _ in range(20):
                flipped = bytearray(content)
                flipped[chance.randrange(min(600, len(content)))] ^= 1 << chance.randrange(8)
                yield f"{name} flipped", written(name, bytes(flipped))
                yield f"{name} cut", written(name, content[: chance.randrange(len(content))])
            yield f"{name} with more", written(name, content + b"\0" * 9)
            yield f"{name} grown", grown(name)
        for name in SHARDS:
            header, data = taken_apart(original(name))
            for column in header:
                for facts in ({}, None, {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}):
                    yield f"{name} {column} {facts}", written(name, joined(header | {column: facts}, data))
            yield f"{name} deep", written(name, joined(DEEP.encode(), data))
        text = json.dumps(manifest())
        yield "deep", written(MANIFEST, text.replace("null", DEEP, 1).encode())
        yield "Latin-1", written(MANIFEST, b'{"\xff": 1}')
        yield "many bytes", as_manifest(changed(manifest(), ("run", "text_bytes", 0), setting("01" * (7 << 20))))
        yield "many scripts", as_manifest(changed(manifest(), ("run", "scripts"), setting(["x"] * 10**6)))

    assert outcomes(tmp_path, mutations(), 250)["refused"] > 100 // SHARE


def test_links_pipes_and_folders_in_place_of_files_do_no_harm(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    shutil.copytree(recorded_dia(), outside)

    def put(name: str, make: Callable[[Path], object]) -> Callable[[Path], None]:
        def made(folder: Path) -> None:
            (folder / name).unlink(missing_ok=True)
            make(folder / name)

        return made

    def mutations() -> Iterator[Mutation]:
        for name in (MANIFEST, PHASES_FILE, *PARTS):
            yield f"{name} a link", put(name, lambda path, name=name: path.symlink_to(outside / name))  # type: ignore[misc]  # mypy does not know such a lambda
            yield f"{name} an endless device", put(name, lambda path: path.symlink_to("/dev/zero"))
            yield f"{name} a pipe", put(name, os.mkfifo)
            yield f"{name} a folder", put(name, Path.mkdir)
            yield f"{name} gone", put(name, str)

    outcomes(tmp_path, mutations(), 35, share=1)


def test_sparse_giants_are_refused_or_read_in_part(tmp_path: Path) -> None:
    header, _ = taken_apart(original(SHARDS[1]))
    columns = {name: (facts["dtype"], list(facts["shape"])) for name, facts in header.items()}

    def many(folder: Path) -> None:
        """Shards that fit a manifest of many scripts and rows, over holes: more codes than any run has."""
        content, scripts = manifest(), 128
        run = content["run"]
        lists = {key: (run[key] * scripts)[:scripts] for key in ("scripts", "text_bytes")}
        model = run["model"] | {"decoder_positions": 200_000}
        lists |= {"prefill_steps": [1] * scripts, "rows": 200_000, "model": model}
        as_manifest(content | {"run": run | lists, "result": None, "audio": None, "draws": []})(folder)
        wide = {
            name: (dtype, [4096, *(scripts if size == 2 else size for size in shape[1:])])
            for name, (dtype, shape) in columns.items()
            if not name.startswith(("draw.", "logits"))
        }
        for number in range(40):
            claiming(shard_name(number), wide)(folder)

    def mutations() -> Iterator[Mutation]:
        yield "many codes", many
        for rows in (1, 4096, 4097):
            long = {name: (dtype, [rows, *shape[1:]]) for name, (dtype, shape) in columns.items()}
            yield f"{rows} calls", claiming(SHARDS[1], long)

    assert outcomes(tmp_path, mutations(), 4, share=1)["refused"] >= 3


def test_traces_of_two_models_are_not_mixed(tmp_path: Path) -> None:
    ours, theirs = copied(tmp_path / "dia", recorded_dia), copied(tmp_path / "dia2")
    replace(ours / shard_name(0), (recorded() / shard_name(0)).read_bytes())
    replace(theirs / shard_name(0), original(shard_name(0)))
    for folder in (ours, theirs):
        with pytest.raises(TraceError, match="is damaged: column"):
            load(folder)
    dia, dia2 = load(recorded_dia()), load(recorded())
    for a, b in ((dia, dia2), (dia2, dia)):
        with pytest.raises(TraceError, match="compare runs of one model"):
            a.diff(b)
