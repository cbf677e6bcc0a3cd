"""What lies in a folder of recordings: files with transcripts beside them, or tables that name them.

A table speaks for its folder and what is below it. What looks like transcripts and cannot be read is refused, never
left out in silence.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dia2.common.checks import is_file, is_folder
from dia2.common.errors import UsageError
from dia2.common.wording import counted
from training.recordings.clips import SOUNDS, Clip, Fault
from training.recordings.tables import SOUND_COLUMNS, TEXT_COLUMNS, Table, is_table, read_table

_TABLES = (".csv", ".tsv", ".jsonl", ".parquet", ".json")
_FOREIGN = (".arrow", ".tar", ".zip", ".xlsx", ".xls", ".trans.txt", "wav.scp")  # data sets that nothing here reads
_BESIDE = (".lab", ".textgrid", ".srt", ".vtt", ".eaf", ".ass")  # transcripts beside a recording, likewise
_NO_SPEECH = ("readme", "license", "licence", "copying", "changelog", "requirements")  # texts of any folder
_MOST_NAMED = 3


@dataclass(frozen=True)
class Found:
    """The recordings of a folder."""

    layout: str  # in words
    clips: tuple[Clip, ...]
    faults: tuple[Fault, ...] = ()
    notes: tuple[str, ...] = ()  # sentences about what is left out


def find(recordings: Path, without: Path | None = None) -> Found:
    """Look for recordings; nothing of them is read.

    Args:
        recordings: a folder, or a table, whose folder it is then.
        without: a folder in it that is left out: that of the results.

    Raises:
        UsageError: there are none, or what says what they say cannot be read.
    """
    if is_file(recordings):
        return _of_table(recordings)
    if not is_folder(recordings):
        raise UsageError(f"There is no folder {recordings}: give one of recordings, or a table that names them.")
    files = _files(recordings, without)
    sounds = [path for path in files if path.suffix.lower() in SOUNDS]
    stems = {path.with_suffix("") for path in sounds}
    others = [path for path in files if path.suffix.lower() not in SOUNDS and path.with_suffix("") not in stems]
    tables = [path for path in others if path.suffix in _TABLES and is_table(path)]
    strange = [path for path in others if path not in tables]
    if tables:
        return _of_tables(recordings, tables, sounds, strange)
    wordless = [path for path in sounds if _transcript(path) is None]
    _refuse_strange(recordings, files, strange, wordless)
    if not sounds:
        raise UsageError(
            f"{recordings} has no recordings: put {', '.join(SOUNDS)} files there, or a table that names some."
        )
    alone = [path for path in strange if path.suffix in (".txt", ".json") and not _is_no_speech(path)]
    notes = _left_out(recordings, alone, "has no recording of the same name beside it", "have none")
    kinds = {".json": "NAME.json", ".txt": "NAME.txt", "": "no transcript"}
    counts = [(kind, sum(_suffix(path) == suffix for path in sounds)) for suffix, kind in kinds.items()]
    told = ", ".join(f"{count:,} with {kind}" for kind, count in counts if count)
    return Found(f"files ({told})", tuple(_beside(recordings, path) for path in sounds), (), notes)


def _files(root: Path, without: Path | None) -> list[Path]:
    """All files but hidden ones, as macOS leaves `._a.wav`, in order."""
    found: list[Path] = []
    left_out = without.resolve() if without is not None and without.resolve() != root.resolve() else None
    for folder, folders, names in os.walk(root):
        inside = Path(folder)
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and name != "__MACOSX" and (inside / name).resolve() != left_out
        )
        found += [inside / name for name in sorted(names) if not name.startswith(".")]
    return sorted(found)


def _transcript(sound: Path) -> Path | None:
    """What stands beside a recording and says its words; times go first."""
    return next((path for suffix in (".json", ".txt") if is_file(path := sound.with_suffix(suffix))), None)


def _suffix(sound: Path) -> str:
    found = _transcript(sound)
    return "" if found is None else found.suffix


def _beside(root: Path, sound: Path) -> Clip:
    transcript = _transcript(sound)
    name = sound.relative_to(root).as_posix()
    if transcript is None:
        return Clip(name, sound)
    told = transcript.relative_to(root).as_posix()
    return Clip(name, sound, told, times=transcript if transcript.suffix == ".json" else None)


def _of_table(path: Path) -> Found:
    if path.suffix not in _TABLES or not is_table(path):
        raise UsageError(_not_understood(path.name))
    return _told(path.parent, [(path, read_table(path, path.parent))], (), ())


def _of_tables(root: Path, tables: Sequence[Path], sounds: Sequence[Path], strange: Sequence[Path]) -> Found:
    by_folder: dict[Path, list[Path]] = {}
    for path in tables:
        by_folder.setdefault(path.parent, []).append(path)
    for paths in by_folder.values():
        if len(paths) > 1 and any(path.suffix != ".parquet" for path in paths):
            names = ", ".join(path.relative_to(root).as_posix() for path in paths)
            raise UsageError(f"{root} has several tables in one folder ({names}): give the one to use in its place.")
    return _told(root, [(path, read_table(path, root)) for path in tables], sounds, strange)


def _told(root: Path, tables: Sequence[tuple[Path, Table]], sounds: Sequence[Path], strange: Sequence[Path]) -> Found:
    clips = tuple(clip for _, table in tables for clip in table.clips)
    faults = tuple(fault for _, table in tables for fault in table.faults)
    names = [f"{path.relative_to(root).as_posix()} ({table.kind})" for path, table in tables]
    if not clips and not faults:
        raise UsageError(f"{_listed(names)} of {root} names no recordings: add some, or remove it.")
    named = {clip.sound.resolve() for clip in clips if isinstance(clip.sound, Path)}
    unnamed = [path for path in sounds if path.resolve() not in named] if named or not faults else []
    notes = _left_out(root, unnamed, "is left out: no table names it", "are left out: no table names them")
    read_not = [path for path in strange if path.suffix in _TABLES or _is_foreign(path)]
    notes += _left_out(root, read_not, "is not read", "are not read")
    if (speakers := max(table.speakers for _, table in tables)) > 1:
        notes += (
            f"The table tells {speakers:,} speakers apart, which is not read: [S1] and [S2] in a text say who speaks, "
            "and without a tag it is speaker 1.",
        )
    return Found(_listed(names), clips, faults, notes)


def _refuse_strange(root: Path, files: Sequence[Path], strange: Sequence[Path], wordless: Sequence[Path]) -> None:
    """Raise UsageError for what looks like transcripts where some recording has none."""
    sounds = any(path.suffix.lower() in SOUNDS for path in files)
    if sounds and not wordless:
        return
    for path in strange:
        if _is_foreign(path) or path.suffix in (".csv", ".tsv", ".jsonl", ".parquet"):
            raise UsageError(_not_understood(path.relative_to(root).as_posix()))
    silent = {path.with_suffix("") for path in wordless}
    for path in files:
        if path.suffix.lower() in _BESIDE and path.with_suffix("") in silent:
            name, kind = path.relative_to(root).as_posix(), path.suffix
            raise UsageError(
                f"{name} is not read: write what is said into {path.stem}.txt, or its words with their times into "
                f"{path.stem}.json, and move {kind} files elsewhere."
            )


def _not_understood(name: str) -> str:
    return (
        f"{name} is not read: a table is .csv, .tsv, .jsonl or .parquet, with a column of the recording "
        f"({', '.join(SOUND_COLUMNS[:4])}) and one of what is said ({', '.join(TEXT_COLUMNS[:3])}), or LJSpeech's "
        "metadata.csv; write it so, or move it elsewhere."
    )


def _is_foreign(path: Path) -> bool:
    return path.name.lower().endswith(_FOREIGN)


def _is_no_speech(path: Path) -> bool:
    return path.stem.lower().startswith(_NO_SPEECH)


def _left_out(root: Path, paths: Sequence[Path], one: str, many: str) -> tuple[str, ...]:
    """A sentence about files, the first of which are named."""
    if not paths:
        return ()
    names = _listed([path.relative_to(root).as_posix() for path in paths[:_MOST_NAMED]])
    if len(paths) > _MOST_NAMED:
        names += f" and {counted(len(paths) - _MOST_NAMED, 'other file')}"
    return (f"{names} {one if len(paths) == 1 else many}.",)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)
