"""A trace can come from anybody: whatever it holds, it is read as data or refused in one line, and does no harm."""

from __future__ import annotations

import json
import os
import random
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from safetensors.numpy import load_file, save

from dia2.adapter.layout import EAR_FILE, PREFIX_FILE, recording_name
from dia2.common.errors import TraceError
from dia2.inspect import Dia2Trace
from dia2.inspect.store.layout import AUDIO_FILE, MANIFEST, PHASES_FILE, VERSION, shard_name

from ..support.safetensors_file import joined, taken_apart
from ..support.traces import copied, outcome, recorded, replace

Mutation = tuple[str, Callable[[Path], None]]
DEEP = "[" * 100_000 + "]" * 100_000
VALUES: list[Any] = [
    None,
    True,
    -1,
    0,
    1,
    65,
    2**31,
    10**400,
    1e308,
    float("nan"),
    "",
    "\x1b[31m\n\u202e<script>alert(1)</script>",
    "../../../../etc/passwd",
    [],
    [[]],
    [[], {}, None],
    {},
    {"kind": [], "": {}},
    [0] * 300,
]
SHARDS = [shard_name(0), shard_name(1), shard_name(3)]  # warm-up, main loop, the last


SHARE = int(os.environ.get("DIA2_HOSTILE_SHARE", "24"))  # one in so many of the mutations is made; 1 makes all


def survived(
    tmp_path: Path,
    mutations: Iterator[Mutation],
    least: int,
    share: int = SHARE,
    source: Callable[[], Path] = recorded,
) -> Counter[str]:
    """What became of one in `share`; every failure is told, not the first alone."""
    outcomes: Counter[str] = Counter()
    failures = []
    for number, (name, mutate) in enumerate(islice(mutations, 0, None, share)):
        folder = copied(tmp_path / str(number), source)
        mutate(folder)
        try:
            outcomes[outcome(folder)] += 1
        except AssertionError as error:
            failures.append(f"{name}: {error}")
    told = "\n".join(failures[:40])
    assert not failures, f"{len(failures)} of {number + 1}:\n{told}"
    assert outcomes.total() >= least // share, "the loop has lost its mutations"
    return outcomes


def written(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda folder: replace(folder / name, content)


def original(name: str) -> bytes:
    return (recorded() / name).read_bytes()


def manifest() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(original(MANIFEST))
    return content


def as_manifest(content: object) -> Callable[[Path], None]:
    return written(MANIFEST, json.dumps(content).encode())


def places(value: object, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Where something stands in a JSON value; of a list, its first and its last."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield (*at, key)
            yield from places(part, (*at, key))
    elif isinstance(value, list):
        for index in sorted({0, len(value) - 1} & set(range(len(value)))):
            yield (*at, index)
            yield from places(value[index], (*at, index))


def changed(content: Any, at: tuple[str | int, ...], change: Callable[[Any, Any], None]) -> Any:
    """A copy of a JSON value in which `change(parent, key)` was made at one place."""
    copy = parent = json.loads(json.dumps(content))
    for key in at[:-1]:
        parent = parent[key]
    change(parent, at[-1])
    return copy


def setting(value: object) -> Callable[[Any, Any], None]:
    def put(parent: Any, key: Any) -> None:
        parent[key] = value

    return put


def deleting(parent: Any, key: Any) -> None:
    del parent[key]


# The manifest


def test_a_manifest_with_any_field_taken_out_or_changed_does_no_harm(tmp_path: Path) -> None:
    def mutations() -> Iterator[Mutation]:
        content = manifest()
        for at in places(content):
            yield f"without {at}", as_manifest(changed(content, at, deleting))
            for value in VALUES:
                yield f"{at} = {str(value)[:40]}", as_manifest(changed(content, at, setting(value)))

    outcomes = survived(tmp_path, mutations(), 1400, share=2 * SHARE - 1)
    assert min(outcomes["loaded"], outcomes["refused"]) > 100 // SHARE


def test_deep_long_and_broken_json_is_refused(tmp_path: Path) -> None:
    def mutations() -> Iterator[Mutation]:
        content = manifest()
        for at in places(content):
            marked = json.dumps(changed(content, at, setting("@here@")))
            for depth in (100, 900, 990):
                yield (
                    f"{depth} deep at {at}",
                    written(MANIFEST, marked.replace('"@here@"', "[" * depth + "]" * depth).encode()),
                )
        text = json.dumps(content)
        yield "deep", written(MANIFEST, DEEP.encode())
        yield "deep objects", written(MANIFEST, b'{"a":' * 200_000)
        yield "deep inside", written(MANIFEST, text.replace("null", DEEP, 1).encode())
        yield "many digits", written(MANIFEST, text.replace('"calls": ', '"calls": ' + "9" * 100_000, 1).encode())
        yield "long text", as_manifest(content | {"script": "x" * (15 << 20)})
        yield "long error", as_manifest(content | {"status": "failed", "error": "x" * (15 << 20)})
        yield "far too long", as_manifest(content | {"script": "x" * (17 << 20)})
        yield "many lists", written(MANIFEST, b"[" + b"[]," * (5 << 20) + b"[]]")
        yield "many entries", as_manifest(changed(content, ("run", "entries"), setting([["a", [1], 0, 1]] * 200_000)))
        yield (
            "many edits",
            as_manifest(
                changed(
                    content, ("run", "edits"), setting([{"kind": "ChangeSampling", "call": 1, "cfg_scale": 3}] * 9000)
                )
            ),
        )
        yield "UTF-16", written(MANIFEST, text.encode("utf-16"))
        yield "Latin-1", written(MANIFEST, b'{"\xff": 1}')
        yield "surrogates", written(MANIFEST, text.replace("Hi", "\\ud800").encode())
        yield "a key twice", written(MANIFEST, text.replace('"calls"', '"calls": [], "calls"', 1).encode())
        for value in (b"", b"null", b"3", b"[]", b"{}", b'"x"', b"\0" * 100):
            yield repr(value), written(MANIFEST, value)
        for size in range(0, len(text), 97):
            yield f"cut at {size}", written(MANIFEST, text[:size].encode())

    assert survived(tmp_path, mutations(), 300)["refused"] > 200 // SHARE


@pytest.mark.parametrize("version", [VERSION + 1, 10**4000])
def test_a_newer_trace_says_to_update(tmp_path: Path, version: int) -> None:
    folder = copied(tmp_path / "run")
    as_manifest(manifest() | {"version": version})(folder)
    with pytest.raises(TraceError, match="update dia2"):
        Dia2Trace.load(folder)


@pytest.mark.parametrize("name", ["../secret.flac", "/etc/passwd", "audio.flac/../../x", "manifest.json", "\0"])
def test_the_manifest_cannot_name_another_audio_file(tmp_path: Path, name: str) -> None:
    folder = copied(tmp_path / "run")
    replace(tmp_path / "secret.flac", original(AUDIO_FILE))
    as_manifest(manifest() | {"audio": name})(folder)
    with pytest.raises(TraceError, match="audio is"):
        Dia2Trace.load(folder)


def test_steering_characters_and_markup_are_data_wherever_they_stand(tmp_path: Path) -> None:
    texts = ["\x1b]0;owned\x07\x1b[2J", "<img src=x onerror=alert(1)>", "\u202eevil\u2066\u2028", "a\r\nb\0c\x85", "​"]

    def mutations() -> Iterator[Mutation]:
        content, lines = manifest(), original(PHASES_FILE).decode().splitlines()
        for text in texts:
            for at in places(content):
                yield f"{at} = {text!r}", as_manifest(changed(content, at, setting(text)))
            for key in ("status", "level"):
                yield f"{key} with {text!r}", as_manifest(content | {key: text, "run": None, "error": text})
            for status in ("failed", "interrupted"):
                yield f"{status} by {text!r}", as_manifest(content | {"status": status, "run": None, "error": text})
            for key in ("trigger", "before", "mutations", "outputs", "error", "phase"):
                changed_lines = [json.dumps(json.loads(line) | {key: text}) for line in lines]
                yield f"{key} = {text!r}", written(PHASES_FILE, ("\n".join(changed_lines) + "\n").encode())

    assert survived(tmp_path, mutations(), 400)["loaded"] > 20 // SHARE


# Shards


def test_shards_with_changed_headers_do_no_harm(tmp_path: Path) -> None:
    dtypes: list[Any] = ["F64", "I64", "BF16", "F8_E4M3", "BOOL", "I16", "U8", "", "\x1b", 7, None, []]
    shapes: list[Any] = [
        [],
        [0],
        [-1],
        [1],
        [2**40],
        [2**62, 4],
        [2**63],
        [16.0],
        [True],
        None,
        "16",
        [[16]],
        [16] * 99,
    ]
    offsets: list[Any] = [[0, 4], [4, 0], [-4, 4], [0, 2**63], [2**64, 2**64], [0.5, 4], [], [0], None, [0, 0]]

    def mutations() -> Iterator[Mutation]:
        for name in SHARDS[:2]:
            header, data = taken_apart(original(name))
            for column, facts in header.items():
                yield (
                    f"{name} without {column}",
                    written(name, joined({key: value for key, value in header.items() if key != column}, data)),
                )
                for key, values in (("dtype", dtypes), ("shape", shapes), ("data_offsets", offsets)):
                    for value in values:
                        yield (
                            f"{name} {column} {key} {value}",
                            written(name, joined(header | {column: facts | {key: value}}, data)),
                        )
            other = header["step"]
            for column in ("__metadata__", "evil", "logits.cb0", "../x", "\x1b[1m", "x" * 100_000):
                for facts in (other, {}, [], None, {"a": [[]]}):
                    yield f"{name} with {column[:20]} {facts}", written(name, joined(header | {column: facts}, data))
            twice = json.dumps(header).replace('{"', '{"step": {"dtype":"F64","shape":[1],"data_offsets":[0,8]}, "', 1)
            yield f"{name} a column twice", written(name, joined(twice.encode(), data))
            last = json.dumps(header)[:-1] + ', "step": {"dtype":"F64","shape":[1],"data_offsets":[0,8]}}'
            yield f"{name} a column twice, the last", written(name, joined(last.encode(), data))
            yield f"{name} shifted", written(name, joined(header, b"\0" + data))
            yield f"{name} deep", written(name, joined(DEEP.encode(), data))
            yield f"{name} UTF-16", written(name, joined(json.dumps(header).encode("utf-16"), data))
            yield f"{name} padded", written(name, joined(json.dumps(header).encode() + b" " * (1 << 20), data))
            for length in (0, 1, 7, 2**31, 2**63, 2**64 - 1, len(data)):
                yield f"{name} length {length}", written(name, struct.pack("<Q", length) + original(name)[8:])

    assert survived(tmp_path, mutations(), 1000)["refused"] > 1000 // SHARE


def test_shards_with_flipped_bits_or_a_cut_end_do_no_harm(tmp_path: Path) -> None:
    chance = random.Random(1)

    def mutations() -> Iterator[Mutation]:
        for name in SHARDS:
            content = original(name)
            (length,) = struct.unpack("<Q", content[:8])
            for _ in range(60):
                for where in (chance.randrange(8 + length), chance.randrange(len(content))):
                    flipped = bytearray(content)
                    flipped[where] ^= 1 << chance.randrange(8)
                    yield f"{name} flipped at {where}", written(name, bytes(flipped))
            for _ in range(20):
                size = chance.randrange(len(content))
                yield f"{name} cut at {size}", written(name, content[:size])
            noise = bytearray(content)
            noise[8 + length :] = chance.randbytes(len(content) - 8 - length)
            yield f"{name} noise", written(name, bytes(noise))
            yield f"{name} with more", written(name, content + b"\0" * 9)
            yield f"{name} as the first", written(shard_name(0), content)
            yield f"{name} once more", written(shard_name(4), content)

    survived(tmp_path, mutations(), 400)


def test_shards_with_impossible_values_do_no_harm(tmp_path: Path) -> None:
    def mutations() -> Iterator[Mutation]:
        for name in SHARDS[:2]:
            columns = load_file(recorded() / name)
            for column, array in columns.items():
                extremes: list[float] = [0, 1] if array.dtype == np.uint8 else [0, -1, 1, 5]
                if array.dtype.kind in "iu":
                    extremes += [np.iinfo(array.dtype).min, np.iinfo(array.dtype).max]
                else:
                    extremes += [np.nan, np.inf, -np.inf, 3e38]
                for value in extremes:
                    for where in ("all", "last"):
                        wrong = array.copy()
                        wrong[... if where == "all" else -1] = value
                        yield f"{name} {column} {where} = {value}", written(name, save(columns | {column: wrong}))
                if array.ndim > 1:
                    for part in (array[:, :-1], np.concatenate((array, array[:, -1:]), axis=1)):
                        part = np.ascontiguousarray(part)
                        yield f"{name} {column} {part.shape}", written(name, save(columns | {column: part}))
                yield f"{name} {column} shorter", written(name, save(columns | {column: array[:-1].copy()}))
                yield (
                    f"{name} no {column}",
                    written(name, save({key: value for key, value in columns.items() if key != column})),
                )
            halves = {key: array[: len(array) // 2].copy() for key, array in columns.items()}
            yield f"{name} half of all", written(name, save(halves))

    survived(tmp_path, mutations(), 400)


def test_a_trace_of_other_dimensions_than_its_shards_does_no_harm(tmp_path: Path) -> None:
    def mutations() -> Iterator[Mutation]:
        content = manifest()
        names = content["draws"]
        for draws in (names[::-1], names[:-1], [*names[:-1], "dep.63"], ["dep.63"] * len(names), []):
            yield f"draws {draws}", as_manifest(content | {"draws": draws})
        model = content["run"]["model"]
        for key in ("codebooks", "branches", "text_vocabulary", "audio_vocabulary", "actions", "codes"):
            for value in (1, 2, model[key] - 1, model[key] + 1, model[key] * 2):
                yield f"{key} {value}", as_manifest(changed(content, ("run", "model", key), setting(value)))
        for delays in ([0] * 8, [10_000] * 8, [0] * 7 + [10_000], list(range(8)), [16] * 8):
            yield f"delays {delays}", as_manifest(changed(content, ("run", "model", "delays"), setting(delays)))
        for frames in (0, 1, 32, 34, 60_000):
            yield f"prefix {frames}", as_manifest(changed(content, ("run", "prefix_frames"), setting(frames)))
        for token in model["tokens"]:
            for value in (-10, -2, -1, 0, 3, 63, 255):
                at = ("run", "model", "tokens", token)
                yield f"{token} {value}", as_manifest(changed(content, at, setting(value)))
        for crop in (0, 1, 50, 10_000, 200_000):
            yield f"crop {crop}", as_manifest(changed(content, ("result", "crop"), setting(crop)))

    assert survived(tmp_path, mutations(), 100)["loaded"] > 30 // SHARE


# Phases, prefix, audio


def test_changed_phases_do_no_harm(tmp_path: Path) -> None:
    chance = random.Random(2)

    def mutations() -> Iterator[Mutation]:
        content = original(PHASES_FILE)
        lines = [json.loads(line) for line in content.splitlines()]
        for number in (0, 1, 12, len(lines) - 1):
            for key in lines[number]:
                for value in VALUES:
                    wrong = [*lines[:number], lines[number] | {key: value}, *lines[number + 1 :]]
                    text = "".join(json.dumps(line) + "\n" for line in wrong)
                    yield f"line {number}: {key} = {str(value)[:40]}", written(PHASES_FILE, text.encode())
                    if value is None:
                        text = text.replace(f', "{key}": null', "", 1)
                        yield f"line {number} without {key}", written(PHASES_FILE, text.encode())
        for _ in range(60):
            flipped = bytearray(content)
            flipped[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
            yield "flipped", written(PHASES_FILE, bytes(flipped))
            yield "cut", written(PHASES_FILE, content[: chance.randrange(len(content))])
            shuffled = content.splitlines(keepends=True)
            chance.shuffle(shuffled)
            yield "shuffled", written(PHASES_FILE, b"".join(shuffled))
        yield "deep", written(PHASES_FILE, DEEP.encode() + b"\n")
        yield "many lines", written(PHASES_FILE, b"\n" * (15 << 20))
        yield "many objects", written(PHASES_FILE, b"{}\n" * (5 << 20))
        yield "far too long", written(PHASES_FILE, b"x" * (17 << 20))
        many = [{**lines[0], "id": number} for number in range(20_000)]
        yield "many phases", written(PHASES_FILE, "".join(json.dumps(line) + "\n" for line in many).encode())

    survived(tmp_path, mutations(), 500)


def test_changed_prefixes_and_sounds_do_no_harm(tmp_path: Path) -> None:
    chance = random.Random(3)

    def mutations() -> Iterator[Mutation]:
        for name in (PREFIX_FILE, EAR_FILE, AUDIO_FILE, recording_name(1)):
            content = original(name)
            for _ in range(60):
                for span in (len(content), min(600, len(content))):
                    flipped = bytearray(content)
                    where = chance.randrange(span)
                    flipped[where] ^= 1 << chance.randrange(8)
                    yield f"{name} flipped at {where}", written(name, bytes(flipped))
                yield f"{name} cut", written(name, content[: chance.randrange(len(content))])
            yield f"{name} of noise", written(name, chance.randbytes(5000))
        for name in (PREFIX_FILE, EAR_FILE):
            columns = load_file(recorded() / name)
            for column, array in columns.items():
                for value in (-10, 10**6):
                    yield f"{column} {value}", written(name, save(columns | {column: np.full_like(array, value)}))
                yield f"no {column}", written(name, save({k: v for k, v in columns.items() if k != column}))
                yield f"wide {column}", written(name, save(columns | {column: array.astype(np.float64)}))
        for field in range(8, 26):  # of the sound's header: block sizes, rate, channels, number of samples
            for value in (0, 255):
                wrong = bytearray(original(AUDIO_FILE))
                wrong[field] = value
                yield f"sound header {field} = {value}", written(AUDIO_FILE, bytes(wrong))

    survived(tmp_path, mutations(), 400)


def test_a_sound_that_is_none_of_a_run_is_refused(tmp_path: Path) -> None:
    second = np.zeros((24_000, 2), dtype=np.float32)
    for number, (samples, format_) in enumerate(((second, "FLAC"), (second[:, 0], "WAV"), (second[:, 0], "OGG"))):
        folder = copied(tmp_path / str(number))
        (folder / AUDIO_FILE).unlink()
        soundfile.write(folder / AUDIO_FILE, samples, 24_000, format=format_)
        assert outcome(folder) == "loaded"
        trace = Dia2Trace.load(folder)
        with pytest.raises(TraceError, match="not the audio of a run"):
            _ = trace.audio


# Files that are no files, or far too large


def test_links_pipes_and_folders_in_place_of_files_do_no_harm(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()

    def link(name: str, target: Path | str) -> Callable[[Path], None]:
        def put(folder: Path) -> None:
            (folder / name).unlink(missing_ok=True)
            (folder / name).symlink_to(target)

        return put

    def made(name: str, make: Callable[[Path], object]) -> Callable[[Path], None]:
        def put(folder: Path) -> None:
            (folder / name).unlink(missing_ok=True)
            make(folder / name)

        return put

    def sparse(path: Path) -> None:
        with path.open("wb") as file:
            file.truncate(10 << 30)

    def mutations() -> Iterator[Mutation]:
        for name in sorted(file.name for file in recorded().iterdir()):
            replace(outside / name, original(name))
            yield f"{name} a link", link(name, outside / name)
            yield f"{name} a link into nothing", link(name, "/nowhere/at/all")
            yield f"{name} a link to itself", link(name, name)
            yield f"{name} an endless device", link(name, "/dev/zero")
            yield f"{name} a pipe", made(name, os.mkfifo)
            yield f"{name} a folder", made(name, Path.mkdir)
            yield f"{name} empty", made(name, Path.touch)
            yield f"{name} gone", made(name, str)
            yield f"{name} sparse", made(name, sparse)

    survived(tmp_path, mutations(), 72, share=1)


def test_no_file_outside_of_the_trace_is_read(tmp_path: Path) -> None:
    for name in sorted(file.name for file in recorded().iterdir()):
        folder = copied(tmp_path / name)
        (folder / name).unlink()
        (folder / name).symlink_to(recorded() / name)
        try:
            trace = Dia2Trace.load(folder)
        except TraceError:
            continue
        if name == PHASES_FILE:
            assert not trace.phases
        else:
            with pytest.raises(TraceError):
                _ = (trace.prefix, trace.audio, trace.ear, [recording.samples for recording in trace.recordings])


def grown(name: str, size: int) -> Callable[[Path], None]:
    def put(folder: Path) -> None:
        replace(folder / name, original(name))
        os.truncate(folder / name, size)

    return put


def claiming(name: str, columns: dict[str, tuple[str, list[int]]]) -> Callable[[Path], None]:
    """A shard whose header is right in itself, over a hole instead of data."""
    widths = {"I32": 4, "F32": 4, "U8": 1, "I16": 2}

    def put(folder: Path) -> None:
        header, at = {}, 0
        for column, (dtype, shape) in columns.items():
            size = widths[dtype] * int(np.prod(shape, dtype=object))
            header[column] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + size]}
            at += size
        replace(folder / name, joined(header, b""))
        os.truncate(folder / name, (folder / name).stat().st_size + at)

    return put


def test_sparse_giants_are_refused_or_read_in_part(tmp_path: Path) -> None:
    content = manifest()
    header, _ = taken_apart(original(SHARDS[1]))
    columns = {name: (facts["dtype"], list(facts["shape"])) for name, facts in header.items()}
    count = columns["call"][1][0]

    def wide(folder: Path) -> None:
        """Ten gigabytes of logits that fit the manifest."""
        wide = changed(content, ("run", "model", "audio_vocabulary"), setting(1 << 20))
        as_manifest(wide)(folder)
        rows = 10 * 2**30 // (2 * 4 << 20)
        long = {name: (dtype, [rows, *shape[1:]]) for name, (dtype, shape) in columns.items()}
        long |= {"logits.cb0": ("F32", [rows, 2, 1 << 20]), "pending": ("I32", [0]), "lookahead": ("I32", [0])}
        for number in range(1, 4):
            (folder / shard_name(number)).unlink()
        claiming(shard_name(0), long)(folder)
        _number_calls(folder / shard_name(0))

    def ragged(folder: Path) -> None:
        """Many shards of one call each, with as many pending tokens as a shard may have."""
        one = {name: (dtype, [1, *shape[1:]]) for name, (dtype, shape) in columns.items()}
        for number in range(600):
            claiming(shard_name(number), one | {"pending": ("I32", [1 << 20])})(folder)

    def mutations() -> Iterator[Mutation]:
        for name in SHARDS:
            yield f"{name} grown", grown(name, 10 << 30)
        for name in (MANIFEST, PHASES_FILE, PREFIX_FILE, EAR_FILE, AUDIO_FILE):
            yield f"{name} grown", grown(name, 10 << 30)
        yield "logits", wide
        yield "pending", ragged
        for rows in (count - 1, count + 1, 4096, 4097):
            long = {name: (dtype, [rows, *shape[1:]]) for name, (dtype, shape) in columns.items()}
            yield f"{rows} calls", claiming(SHARDS[1], long)

    survived(tmp_path, mutations(), 13, share=1)


def _number_calls(shard: Path) -> None:
    """Write what the reader checks into a hole: calls and steps in order."""
    with shard.open("r+b") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        for name in ("call", "step", "phase"):
            facts = header[name]
            rows = facts["shape"][0]
            values = np.ones(rows, np.uint8) if name == "phase" else np.arange(rows, dtype=np.int32)
            file.seek(8 + length + facts["data_offsets"][0])
            file.write(values.tobytes())
