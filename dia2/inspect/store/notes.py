"""Notes that people pin to calls: one file in the trace's folder, as the explorer downloads it, too."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta

from dia2.common.checks import TooLargeError, is_file, read_small, short
from dia2.common.errors import Dia2Error, TraceError, UsageError, one_line
from dia2.common.files import write_atomically
from dia2.common.messages import printable
from dia2.inspect.store.layout import MAX_CALLS, NOTES_FILE
from dia2.inspect.store.manifest import decode, read_json, require

NOTES_FORMAT = "dia2notes"
NOTES_VERSION = 1
MAX_NOTES = 1000  # of a trace
MAX_NOTE = 2000  # characters of one
_MAX_BYTES = 16 << 20  # the most that notes within these bounds can take
_PACKAGE = Path(__file__).resolve().parents[2]
_CHANGES = threading.Lock()  # a change reads the file and writes it anew


@dataclass(frozen=True)
class CallNote:
    """What somebody has to say of a call: plain text, of one line or several."""

    call: Annotated[int, Meta(ge=0, lt=MAX_CALLS)]
    text: Annotated[str, Meta(min_length=1, max_length=MAX_NOTE)]

    def __post_init__(self) -> None:
        """Take out what steers a terminal or turns lines around."""
        object.__setattr__(self, "text", plain_text(self.text))


@dataclass(frozen=True)
class _Notes:
    """What the file says; more than that is left alone."""

    notes: Annotated[list[CallNote], Meta(max_length=MAX_NOTES)]

    def __post_init__(self) -> None:
        """Refuse two notes of one call."""
        require("notes", len({note.call for note in self.notes}) == len(self.notes))


def plain_text(text: str) -> str:
    """Lines of text without any other control characters, and without spaces around them."""
    lines = text.replace("\r\n", "\n").replace("\t", " ").split("\n")
    return "\n".join(printable(line, joined=True).rstrip() for line in lines).strip()


def read_notes(folder: Path, calls: int) -> list[CallNote]:
    """The notes of a trace of so many calls, in the order of their calls; none where nobody wrote any.

    Raises:
        TraceError: the file is damaged, or of a later version.
    """
    file = folder / NOTES_FILE
    if not is_file(file) and not file.is_symlink():
        return []
    if file.is_symlink():
        raise TraceError(f"{file} is a link, and links in a trace are not followed: put the file itself there.")
    return notes_in(file, calls)


def notes_in(file: Path, calls: int) -> list[CallNote]:
    """The notes that a file holds, for a trace of so many calls.

    Raises:
        TraceError: it is damaged, of a later version, or about calls that are not there.
    """
    try:
        raw = read_json(read_small(file, _MAX_BYTES).decode("utf-8"))
    except (OSError, ValueError, RecursionError, TooLargeError) as error:
        raise TraceError(f"{file} cannot be read ({one_line(error)}): mend it, or take it away.") from error
    if not isinstance(raw, dict) or raw.get("format") != NOTES_FORMAT:
        raise TraceError(f"{file} holds no notes of a trace: give the file that the explorer downloads.")
    version = raw.get("version")
    if version != NOTES_VERSION or isinstance(version, bool):
        raise TraceError(f"{file} has notes of version {short(version)}, this dia2 reads {NOTES_VERSION}: update dia2.")
    notes = sorted(decode(raw, _Notes, file.parent, file.name).notes, key=lambda note: note.call)
    notes = [note for note in notes if note.text]  # of spaces alone
    if notes and notes[-1].call >= calls:
        raise TraceError(f"{file} has a note of call {notes[-1].call}, and the trace has {calls} calls.")
    return notes


def change_notes(folder: Path, changes: Mapping[int, str], calls: int) -> None:
    """Set the notes of some calls, empty ones taken away. The file is written whole or not at all.

    Of two processes that write within the same moment the later one's file stands.

    Args:
        folder: of the trace.
        changes: texts by call, checked.
        calls: that the trace has.

    Raises:
        UsageError: there would be more notes than a trace keeps, or it is the sample that the package has.
        TraceError: the notes that are there are damaged.
        Dia2Error: the folder is read-only, or the disk is full.
    """
    if folder.resolve().is_relative_to(_PACKAGE):
        raise UsageError(f"{folder} belongs to the package: copy it elsewhere, and note things there.")
    with _CHANGES:
        texts = {note.call: note.text for note in read_notes(folder, calls)} | dict(changes)
        notes = [CallNote(call, text) for call, text in sorted(texts.items()) if plain_text(text)]
        if len(notes) > MAX_NOTES:
            raise UsageError(f"A trace keeps {MAX_NOTES} notes, and {folder} would have {len(notes)}: remove some.")
        if notes:
            write_atomically(folder / NOTES_FILE, _file_of(notes, folder.name))
            return
        try:
            (folder / NOTES_FILE).unlink(missing_ok=True)
        except OSError as error:
            raise Dia2Error(f"{folder / NOTES_FILE} could not be removed ({error.strerror}).") from error


def check_note(text: object) -> str:
    """The text of a note, as the caller gave it.

    Raises:
        UsageError: it is no text, or too long.
    """
    if not isinstance(text, str):
        raise UsageError(f"A note is a text, not {short(text)}; an empty one takes it away.")
    if len(text) > MAX_NOTE:
        raise UsageError(f"A note has at most {MAX_NOTE} characters, and this one {len(text)}: shorten it.")
    return text


def _file_of(notes: Sequence[CallNote], name: str) -> bytes:
    content: dict[str, Any] = {
        "format": NOTES_FORMAT,
        "version": NOTES_VERSION,
        "trace": name,
        "notes": [vars(note) for note in notes],
    }
    return (json.dumps(content, ensure_ascii=False, indent=1) + "\n").encode("utf-8", "replace")
