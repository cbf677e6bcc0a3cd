"""Tables that say what is said in which recording: CSV, JSON lines, Parquet, by the columns that people name so.

    metadata.csv     LJ001-0001|Printing, in the …|Printing, in the …      LJSpeech: id, text, normalised text
    metadata.csv     file_name,transcription                               Hugging Face; also with | or tabs
    *.jsonl          {"audio_filepath": "a.wav", "text": "…", "duration": 2.1, "offset": 0}
    *.parquet        audio {bytes, path}, text

A row of which nothing can be made is a fault, and the others are read.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any, Literal

from dia2.common.checks import TooLargeError, is_number, read_small, short
from dia2.common.errors import UsageError, one_line
from training.recordings.clips import SOUNDS, Clip, Fault

SOUND_COLUMNS = ("audio_filepath", "file_name", "audio", "path", "audio_file", "file")
TEXT_COLUMNS = ("text", "transcription", "sentence", "transcript", "normalized_text")
FOLDERS = ("wavs", "clips", "audio")  # in which a table's sounds lie, where not beside it
_LARGEST = 1 << 28  # bytes of a table that is text: millions of lines
_LARGEST_GROUP = 1 << 31  # bytes of a Parquet file's row group, which is read as a whole
_LJSPEECH = ("id", "text", "normalized_text")


@dataclass(frozen=True)
class Table:
    """What a table names."""

    kind: str  # LJSpeech …
    clips: list[Clip] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    speakers: int = 0  # that a column of it tells apart


@dataclass(frozen=True)
class _Row:
    """One recording of a table."""

    place: str  # its line, or row
    values: Mapping[str, Any]


def is_table(path: Path) -> bool:
    """Whether a file is a table that can be read, by its name and its first line."""
    if path.suffix == ".parquet":
        return _parquet_columns(path) is not None
    if path.suffix == ".json":
        return _first_object(path) is not None
    if path.suffix not in (".csv", ".tsv", ".jsonl"):
        return False
    if path.suffix == ".jsonl":
        return _first_object(path) is not None
    header = _first_line(path)
    return _delimiter(path, header) is not None


def read_table(path: Path, root: Path) -> Table:
    """The recordings that a table names, and the rows of which nothing can be made.

    Args:
        path: for which `is_table` is true.
        root: outside of which no recording may lie.

    Raises:
        UsageError: the table as a whole cannot be used.
    """
    name = path.relative_to(root).as_posix()
    if path.suffix == ".parquet":
        return _read_parquet(path, name)
    try:
        text = read_small(path, _LARGEST).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise UsageError(f"{name} is not UTF-8 text (line {line}): save it as UTF-8.") from error
    except (OSError, TooLargeError) as error:
        raise UsageError(f"{name} cannot be read ({one_line(error)}).") from error
    kind, rows, faults = (
        _csv_rows(path, name, text) if path.suffix in (".csv", ".tsv") else _json_rows(path, name, text)
    )
    table = Table(kind, faults=faults)
    texts = next((column for column in TEXT_COLUMNS if any(column in row.values for row in rows)), None)
    if kind != "LJSpeech" and rows and texts is None:
        columns = ", ".join(dict.fromkeys(str(key)[:40] for row in rows[:100] for key in row.values))
        raise UsageError(f"{name} does not say what is said: it has {columns}; call one of them {TEXT_COLUMNS[0]}.")
    for row in rows:
        place = f"{name}, {row.place}"
        try:
            table.clips.append(_clip_of(path, root, place, row.values, texts or "text", kind == "LJSpeech"))
        except _RowError as error:
            table.faults.append(Fault(place, str(error)))
    column = next((c for c in ("speaker", "speaker_id", "speaker_name") if any(c in row.values for row in rows)), None)
    return Table(kind, table.clips, table.faults, len({str(row.values.get(column)) for row in rows}) if column else 0)


class _RowError(Exception):
    """A row of which nothing can be made."""


def _clip_of(path: Path, root: Path, place: str, values: Mapping[str, Any], texts: str, by_id: bool) -> Clip:
    column = "id" if by_id else next((c for c in SOUND_COLUMNS if values.get(c)), None)
    given = values.get(column) if column else None
    if not isinstance(given, str) or not given.strip():
        raise _RowError("names no recording")
    sound = _inside(path.parent, root, given.strip(), by_id)
    text = values.get(texts)
    if by_id:
        text = values.get("normalized_text") or text
    if text is not None and not isinstance(text, str):
        raise _RowError(f"its {texts} is {short(text)}, and no text")
    offset, duration = _number(values, "offset"), _number(values, "duration")
    if duration == 0:
        raise _RowError("its duration is 0")
    name = sound.relative_to(root).as_posix()
    if offset is None:
        return Clip(name, sound, place, text or "")
    until = "" if duration is None else f" to {offset + duration:.6g}"
    return Clip(f"{name} from {offset:.6g}{until} s", sound, place, text or "", offset=offset, duration=duration)


def _number(values: Mapping[str, Any], column: str) -> float | None:
    value = values.get(column)
    if value is None or value == "":
        return None
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            raise _RowError(f"its {column} is {short(value)}, and no number of seconds") from None
    if not is_number(value) or value < 0:
        raise _RowError(f"its {column} is {short(value)}, and no number of seconds")
    return float(value)


def _inside(folder: Path, root: Path, given: str, by_id: bool) -> Path:
    """The file that a row names, which must not lie outside of the root, by links neither."""
    if "\0" in given:
        raise _RowError("names a file that cannot be")
    names = [given, *(given + suffix for suffix in SOUNDS)] if by_id else [given]
    candidates = [base / name for base in (folder, *(folder / inner for inner in FOLDERS)) for name in names]
    real = root.resolve()
    try:
        found = next((path for path in candidates if path.is_file()), None)
        if found is not None and not found.resolve().is_relative_to(real):
            raise _RowError(f"names {short(given)}, which lies outside of the folder: move it in")
        if found is None:
            raise _RowError(f"names {short(given)}, which is not there")
    except (OSError, RuntimeError) as error:  # a name too long, links in a circle
        raise _RowError(f"names {short(given)}, which is not there ({one_line(error)})") from error
    return root / found.resolve().relative_to(real)


def _first_line(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.readline(1 << 16).decode("utf-8-sig", "replace").rstrip("\r\n")
    except OSError:
        return ""


def _delimiter(path: Path, header: str) -> str | None:
    """What parts the columns of a table with a header that is understood, or of LJSpeech's; `None`: neither."""
    for mark in ("\t",) if path.suffix == ".tsv" else (",", "|", "\t", ";"):
        if set(SOUND_COLUMNS) & set(_cells(header, mark)):
            return mark
    return "|" if path.name == "metadata.csv" and "|" in header else None


def _cells(line: str, mark: str) -> list[str]:
    return [cell.strip().strip('"') for cell in line.split(mark)]


def _csv_rows(path: Path, name: str, text: str) -> tuple[str, list[_Row], list[Fault]]:
    header = text.partition("\n")[0].rstrip("\r")
    mark = _delimiter(path, header)
    assert mark is not None, "it is a table"
    if not set(SOUND_COLUMNS) & set(_cells(header, mark)):
        return _ljspeech_rows(name, text)
    rows: list[_Row] = []
    faults: list[Fault] = []
    quoting: Literal[0, 3] = csv.QUOTE_NONE if mark in "|\t" else csv.QUOTE_MINIMAL  # there a quotation mark is text
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=mark, skipinitialspace=True, quoting=quoting)
    try:
        for values in reader:
            place = f"line {reader.line_num}"
            if None in values:
                faults.append(Fault(f"{name}, {place}", "has more columns than the first line: quote the text"))
            else:
                rows.append(_Row(place, {key.strip(): value for key, value in values.items()}))
    except csv.Error as error:
        raise UsageError(f"{name} is damaged in line {reader.line_num} ({one_line(error)}).") from error
    return {",": "CSV", "|": "CSV with |", "\t": "TSV", ";": "CSV with ;"}[mark], rows, faults


def _ljspeech_rows(name: str, text: str) -> tuple[str, list[_Row], list[Fault]]:
    rows: list[_Row] = []
    faults: list[Fault] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        cells = [cell.strip() for cell in line.split("|")]
        if not 2 <= len(cells) <= 3:
            faults.append(Fault(f"{name}, line {number}", "is not like id|text or id|text|normalised text"))
        else:
            rows.append(_Row(f"line {number}", dict(zip(_LJSPEECH, cells, strict=False))))
    return "LJSpeech", rows, faults


def _first_object(path: Path) -> dict[str, Any] | None:
    """The first line as an object that names a recording."""
    try:
        found = json.loads(_first_line(path))
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and set(SOUND_COLUMNS) & found.keys() else None


def _json_rows(path: Path, name: str, text: str) -> tuple[str, list[_Row], list[Fault]]:
    rows: list[_Row] = []
    faults: list[Fault] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except (ValueError, RecursionError):
            values = None
        if isinstance(values, dict):
            rows.append(_Row(f"line {number}", values))
        else:
            faults.append(Fault(f"{name}, line {number}", "is not a JSON object"))
    return "JSON lines", rows, faults


def _parquet() -> Any:
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise UsageError("Parquet files need pyarrow: pip install 'dia2-inspect[parquet]'.") from error
    return parquet


def _parquet_columns(path: Path) -> tuple[str, str] | None:
    """The columns of sound and text, if there are both; the sound's is a struct with `bytes`."""
    parquet = _parquet()
    try:
        with parquet.ParquetFile(path) as file:
            schema = file.schema_arrow
    except Exception as error:  # whatever the library finds wrong with a file is said as one
        raise UsageError(f"{path} cannot be read as Parquet ({one_line(error)}).") from error
    import pyarrow as pa

    sounds = [f.name for f in schema if pa.types.is_struct(f.type) and f.type.get_field_index("bytes") >= 0]
    texts = [c for c in TEXT_COLUMNS if c in schema.names and _is_text(schema.field(c).type)]
    return (sounds[0], texts[0]) if sounds and texts else None


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _read_parquet(path: Path, name: str) -> Table:
    columns = _parquet_columns(path)
    assert columns is not None, "it is a table"
    sounds, texts = columns
    table = Table("Parquet")
    with _parquet().ParquetFile(path) as file:
        row = 0
        for group in range(file.num_row_groups):
            facts = file.metadata.row_group(group)
            if facts.total_byte_size > _LARGEST_GROUP:
                raise UsageError(f"{name} has more than 2 GB in a row group: write it with row_group_size=100.")
            said = file.read_row_group(group, columns=[texts]).column(0).to_pylist()
            for index, text in enumerate(said):
                row += 1
                table.clips.append(
                    Clip(f"{name}, row {row}", _embedded(path, sounds, group, index), f"{name}, row {row}", text or "")
                )
    return table


def _embedded(path: Path, column: str, group: int, index: int) -> Callable[[], bytes]:
    def read() -> bytes:
        with _LOCK:  # threads that judge would read a group once each
            content = _sounds_of(path, column, group)[index]
        if not content:
            raise UsageError("holds no bytes of sound: store the sound itself in the file, not its path")
        return content

    return read


_LOCK = Lock()


@lru_cache(maxsize=1)  # rows come in order
def _sounds_of(path: Path, column: str, group: int) -> Sequence[bytes | None]:
    try:
        with _parquet().ParquetFile(path) as file:
            found = file.read_row_group(group, columns=[f"{column}.bytes"]).column(0).to_pylist()
    except Exception as error:  # as above
        raise UsageError(f"cannot be read as Parquet ({one_line(error)})") from error
    return [row["bytes"] if row else None for row in found]
