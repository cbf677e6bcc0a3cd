"""The voices that a server has: its own, and those in a folder of `.voice` files."""

from __future__ import annotations

import os
import re
from pathlib import Path

from dia2.common.errors import one_line
from dia2.runtime.voice_file import VOICE_SUFFIX
from dia2.serve.errors import refuse

DEFAULT = "default"  # the model's own voice: no prefix
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")  # what a voice may be called: it is a file's name, too


class Voices:
    """By their names; files that come into the folder are seen at once."""

    def __init__(self, folder: Path | None = None, whisper: str = "turbo") -> None:
        """Note where they are.

        Args:
            folder: of the files; `None`: there is the default voice alone.
            whisper: the checkpoint that listens to recordings.
        """
        self.folder, self.whisper = folder, whisper

    def names(self) -> list[str]:
        """All there are, the default first."""
        if self.folder is None:
            return [DEFAULT]
        files = sorted(self.folder.glob(f"*{VOICE_SUFFIX}"))
        return [DEFAULT, *(file.stem for file in files if NAME.fullmatch(file.stem) and file.stem != DEFAULT)]

    def path(self, name: str) -> Path | None:
        """The file of a voice; `None` of the default.

        Raises:
            ApiError: there is no such voice.
        """
        names = self.names()
        if name not in names:
            told = ", ".join(names[:20])
            refuse(f"There is no voice {name[:100]!r}: this server has {told}.", "voice", "voice_not_found")
        return None if name == DEFAULT or self.folder is None else self.folder / f"{name}{VOICE_SUFFIX}"

    def new(self, name: str) -> Path:
        """Where a voice of a new name is to be.

        Raises:
            ApiError: it is no name, or there is such a voice.
        """
        if not NAME.fullmatch(name):
            refuse("A voice is named by 1 to 64 letters, digits, - and _, a letter or digit first.", "name")
        if name in self.names():
            refuse(f"There is a voice {name} already: choose another name.", "name", "voice_exists", 409)
        assert self.folder is not None, "asked before"
        return self.folder / f"{name}{VOICE_SUFFIX}"

    def told(self, error: Exception) -> str:
        """What is wrong, without the folder: where files lie is nobody's business."""
        message = one_line(error)
        return message if self.folder is None else message.replace(f"{self.folder}{os.sep}", "")
