"""Tells what of a script is read aloud although it looks like a tag or a cue: a warning for each spelling."""

from __future__ import annotations

import logging
from collections.abc import Collection

from dia2.runtime.lookalikes import Lookalike, Lookalikes

logger = logging.getLogger("dia2")

_MOST = 10  # spellings that are told one by one


class ScriptNotes:
    """The notes on a script, which may arrive in pieces, or on several in turn; each spelling is told once."""

    def __init__(self, model: str = "Dia2", cues: Collection[str] = ()) -> None:
        """Begin.

        Args:
            model: its name, for people.
            cues: those that it knows, `(laughs)`; a model that knows some has no `<break>`.
        """
        self._model, self._cues = model, cues
        self._finder = Lookalikes()
        self._told: set[str] = set()

    def feed(self, text: str) -> None:
        """Take more text, without invisible characters."""
        self._tell(self._finder.feed(text))

    def close(self) -> None:
        """The script has ended."""
        self._tell(self._finder.close())

    def _tell(self, found: list[Lookalike]) -> None:
        for what in found:
            spelling = what.spelling
            if spelling in self._told or len(self._told) > _MOST or self._known(spelling.lower()):
                continue
            self._told.add(spelling)
            if len(self._told) > _MOST:
                logger.warning(
                    "the script has more that looks like tags or cues: only the first %d are reported", _MOST
                )
            else:
                logger.warning("%s", self.said(what))

    def _known(self, spelling: str) -> bool:
        """The model obeys it, or the parser does or refuses it."""
        return spelling in self._cues if self._cues else spelling.startswith("<break")

    def said(self, what: Lookalike) -> str:
        """What is wrong with it, and after the last colon what to do about it."""
        there = f"{what.spelling} in the script"
        if what.kind == "marked":
            return f"{there} is a tag with something around it that is read aloud: write [S{what.speaker}] alone"
        if what.kind == "tag":
            if what.speaker and any(mark in what.spelling for mark in "*_`~"):
                return f"{there} is not a speaker tag, so it is read aloud: write [S{what.speaker}], without marks"
            return f"{there} is not a speaker tag, so it is read aloud: write [S1] or [S2]"
        if not self._cues:
            if what.kind == "pause":
                return f'{there} is spoken as words: for a pause write <break time="0.4s"/>'
            return f"{there} is a cue, of which {self._model} knows none, so it is spoken as words: leave it out"
        known = f"({what.spelling[1:-1].strip().lower()})"
        instead = f"write {known}" if known in self._cues else "leave it out"
        return f"{there} is not a cue that {self._model} knows, so it is spoken as words: {instead}"
