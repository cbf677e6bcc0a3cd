"""Writing a trace: every file appears whole or not at all, and what is there stays readable whatever happens next."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from dia2.common.checks import is_folder, short
from dia2.common.errors import Dia2Error, UsageError
from dia2.common.files import write_atomically
from dia2.common.messages import warn
from dia2.inspect.schema.adapter import own_files
from dia2.inspect.store.layout import AUDIO_FILE, MANIFEST, NOTES_FILE, PHASES_FILE, shard_name
from dia2.inspect.store.lock import FolderLock

_OLD_NOTES = re.compile(r"notes-\d+\.json")  # of runs that were recorded here before


class TraceWriter:
    """One folder that grows, once it is begun."""

    def __init__(self, path: str | Path) -> None:
        """Take the place: lock the folder, which is made if there is none. Nothing else changes before `begin`.

        Args:
            path: the folder.

        Raises:
            UsageError: something else is there, another run is recorded there, or nothing can be written there.
        """
        self.path = Path(path)
        self.small: frozenset[str] = frozenset()  # columns that 16 bits are enough for
        self.shards = 0
        self.bytes = 0  # written so far, manifest not counted
        self._phases: io.FileIO | None = None
        check_for_trace(self.path)
        try:
            self._made = not is_folder(self.path)
            self.path.mkdir(exist_ok=True)
            self._lock = FolderLock(self.path)
        except OSError as error:
            raise self._uncreatable(error) from error

    @property
    def begun(self) -> bool:
        """There is something in it."""
        return self._phases is not None

    def begin(self) -> None:
        """Open it for phases, in the place of a trace that is there already.

        Raises:
            UsageError: as the constructor.
        """
        clear_for_trace(self.path)
        try:
            self._phases = (self.path / PHASES_FILE).open("wb", buffering=0)
        except OSError as error:
            raise self._uncreatable(error) from error

    def _uncreatable(self, error: OSError) -> UsageError:
        return UsageError(f"Trace {self.path} cannot be created ({error.strerror}): write elsewhere.")

    def manifest(self, content: Mapping[str, Any]) -> None:
        """Replace the manifest."""
        write_atomically(
            self.path / MANIFEST, (json.dumps(content, ensure_ascii=False, indent=1) + "\n").encode("utf-8", "replace")
        )

    def phase(self, event: Mapping[str, Any]) -> None:
        """Append one line; a crash can cut the last one short, which readers forgive."""
        assert self._phases is not None, "it is begun"
        line = (json.dumps(event, ensure_ascii=False) + "\n").encode("utf-8", "replace")
        try:
            whole = self._phases.write(line) == len(line)
        except OSError as error:
            raise Dia2Error(f"{self.path / PHASES_FILE} could not be written ({error.strerror}).") from error
        if not whole:  # a line after this one would make it look damaged
            raise Dia2Error(f"{self.path / PHASES_FILE} could not be written (the disk is full).")
        self.bytes += len(line)

    def shard(self, columns: Mapping[str, np.ndarray]) -> None:
        """Write the next shard; it counts once `shards` is raised, and is written over until then."""
        narrow = {name: array.astype(np.int16) if name in self.small else array for name, array in columns.items()}
        self.tensors(shard_name(self.shards), narrow)

    def tensors(self, name: str, columns: Mapping[str, np.ndarray], metadata: Mapping[str, str] | None = None) -> None:
        """Write a file of tensors, such as a model family keeps beside its calls."""
        told = None if metadata is None else dict(metadata)
        content = save({name: np.ascontiguousarray(array) for name, array in columns.items()}, told)
        write_atomically(self.path / name, content)
        self.bytes += len(content)

    def audio(self, waveform: np.ndarray, sample_rate: int, name: str = AUDIO_FILE) -> None:
        """Write a sound, the run's own or one that it was given: [N] float32 or int16, 16 bits, lossless."""
        import soundfile  # not before there is a sound

        buffer = io.BytesIO()
        soundfile.write(buffer, waveform, sample_rate, format="FLAC", subtype="PCM_16")
        content = buffer.getvalue()
        write_atomically(self.path / name, content)
        self.bytes += len(content)

    def close(self) -> None:
        """No more phases; another run may be recorded there from now on. If it was never begun, nothing is left."""
        if self._phases is not None:
            self._phases.close()
        elif self._made:
            with suppress(OSError):  # somebody else's files are in it by now
                self.path.rmdir()
        self._lock.release()


def check_for_trace(path: Path) -> list[Path]:
    """Refuse a place that no trace can be written to.

    Returns:
        The files of a trace that is there.

    Raises:
        UsageError: something that is no trace is there, the folder above is missing, or no folder can have that name.
    """
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        if not is_folder(path.parent):
            raise UsageError(f"Trace folder {path.parent} does not exist: create it, or write elsewhere.") from None
        return []
    except (OSError, ValueError) as error:
        raise UsageError(f"Trace {short(str(path))} cannot be the name of a folder: choose another.") from error
    try:
        files = list(path.iterdir()) if is_folder(path) and not path.is_symlink() else None
    except OSError as error:
        raise UsageError(f"The trace {path} cannot be replaced ({error.strerror}): write elsewhere.") from error
    if files is None or not all(_is_trace_file(file) for file in files) or not _looks_begun(files):
        raise UsageError(f"{path} exists and is not a trace: give another name, such as run.dia2trace.")
    return files


def clear_for_trace(path: Path) -> None:
    """Make `path` an empty folder for a new trace: remove one that is there, refuse to touch anything else.

    Raises:
        UsageError: as `check_for_trace`.
    """
    files = check_for_trace(path)
    try:
        # The manifest last: until then whatever is left still counts as a trace.
        for file in sorted(files, key=lambda file: file.name == MANIFEST):
            if file.name == NOTES_FILE:
                _put_aside(file)
            elif not _OLD_NOTES.fullmatch(file.name):
                file.unlink()
    except OSError as error:
        raise UsageError(f"The trace {path} cannot be replaced ({error.strerror}): write elsewhere.") from error


def _put_aside(notes: Path) -> None:
    """Keep what people wrote of the run that was here: nobody can record that again."""
    aside = next(name for n in count(1) if not (name := notes.with_name(f"notes-{n}.json")).exists())
    notes.rename(aside)
    warn(f"The notes of the run that was here are kept as {aside}; they are not shown with the new one.", stacklevel=2)


def _looks_begun(files: list[Path]) -> bool:
    """A folder of sound and tensors without a manifest could be anybody's; a recorder killed at once leaves phases."""
    names = {file.name for file in files if not file.name.startswith(".dia2-")}
    names = {name for name in names if not _OLD_NOTES.fullmatch(name)}
    return MANIFEST in names or names <= {PHASES_FILE}


def _is_trace_file(path: Path) -> bool:
    numbered = path.name.partition("-")[0], path.suffix
    ours = path.name in (MANIFEST, PHASES_FILE, AUDIO_FILE, NOTES_FILE, *own_files())
    ours = ours or numbered in (("frames", ".safetensors"), ("audio", ".flac"))
    ours = ours or _OLD_NOTES.fullmatch(path.name) is not None
    return (ours or path.name.startswith(".dia2-")) and not path.is_dir()
