"""What was worked out of each recording, kept by what it was made from: nothing of another sound or text is taken."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from safetensors import SafetensorError, safe_open

from dia2.common.checks import read_small
from dia2.common.errors import Dia2Error, UsageError, one_line
from dia2.common.files import write_atomically
from training.dataset import read_file, write_utterances
from training.streams import Utterance

VERSION = 1  # of the preparation; another one makes all anew
_LARGEST = 1 << 28  # bytes of an index: millions of recordings


@dataclass(frozen=True)
class Ingredients:
    """All that a prepared recording depends on. Names in messages are those of the fields."""

    sound: str  # digests
    transcript: str
    codec: str
    whisper: str  # empty where it is not asked
    language: str  # likewise, or where Whisper finds out
    version: int = VERSION

    def key(self) -> str:
        """The name under which it is kept."""
        return hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()[:40]

    def changed(self, before: Mapping[str, object]) -> list[str]:
        """What is other than before."""
        return [field.name for field in fields(self) if before.get(field.name) != getattr(self, field.name)]


@dataclass(frozen=True)
class Prepared:
    """A recording as it is learnt from, and how well its transcript was heard."""

    utterance: Utterance
    matched: float | None = None  # 0 … 1; `None` where nothing was compared
    heard: str = ""  # by Whisper


class Kept:
    """The folder `OUTPUT/data`."""

    def __init__(self, folder: Path) -> None:
        """Open it; it need not be there yet."""
        self._folder = folder
        found = _read_index(folder / "recordings.json")
        self._index = {name: made for name, made in found.items() if isinstance(made, dict)}

    def make(self) -> None:
        """See to it that it is there.

        Raises:
            UsageError: it cannot be.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"{self._folder} cannot be made ({error.strerror}): name another folder.") from error

    def read(self, ingredients: Ingredients) -> Prepared | None:
        """What was made of these; nothing where nothing was, or where the file is damaged."""
        path = self._path(ingredients)
        try:
            with safe_open(path, framework="pt") as file:
                facts = json.loads(file.metadata()["prepared"])
            (utterance,) = read_file(path)
            return Prepared(utterance, **facts)
        except (OSError, SafetensorError, KeyError, ValueError, TypeError):
            return None

    def write(self, ingredients: Ingredients, prepared: Prepared) -> None:
        """Keep it, whole or not at all.

        Raises:
            Dia2Error: the disk is full, or the folder cannot be written to.
        """
        self.make()
        facts = {"matched": prepared.matched, "heard": prepared.heard}
        path = self._path(ingredients)
        try:
            write_utterances(path, [prepared.utterance], {"prepared": json.dumps(facts)})
        except (OSError, SafetensorError) as error:
            raise Dia2Error(f"{path} could not be written ({one_line(error)}): free some space.") from error

    def why_anew(self, name: str, ingredients: Ingredients) -> str:
        """Why a recording that is not kept is to be prepared, in two words."""
        before = self._index.get(name)
        if before is None:
            return "new"
        changed = ingredients.changed(before)
        return f"another {changed[0]}" if changed else "its file was lost"

    def remember(self, ingredients: Mapping[str, Ingredients]) -> None:
        """Note of each recording, by name, what it was made from, beside those of before."""
        self.make()
        self._index |= {name: asdict(of) for name, of in ingredients.items()}
        write_atomically(self._folder / "recordings.json", json.dumps(self._index, indent=0).encode())

    def sides(self) -> dict[str, bool]:
        """Which sounds are held back, as it was decided before."""
        return {name: side for name, side in _read_index(self._folder / "split.json").items() if isinstance(side, bool)}

    def keep_sides(self, sides: Mapping[str, bool]) -> None:
        """Keep that, with what was decided before."""
        self.make()
        write_atomically(self._folder / "split.json", json.dumps({**self.sides(), **sides}, indent=0).encode())

    def _path(self, ingredients: Ingredients) -> Path:
        return self._folder / f"{ingredients.key()}.safetensors"


def whisper_digest(name: str) -> str:
    """What tells Whisper checkpoints apart: a published name, or what is in the file that a path names."""
    path = Path(name)
    if not path.is_file():
        return name
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_index(path: Path) -> dict[str, object]:
    try:
        found = json.loads(read_small(path, _LARGEST))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
