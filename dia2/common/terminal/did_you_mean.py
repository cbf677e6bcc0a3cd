"""What somebody meant by a word on the command line that is neither a command nor a file's name."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Mapping

from dia2.common.checks import is_file, is_folder, short
from dia2.common.errors import UsageError
from dia2.common.files import is_device

_NEAR = 0.7  # of difflib's ratio, at which one letter of five may be wrong
_LONGEST = 40  # characters of a word that may be a command
_ENDS = (".", "?", "!", "…", ",", ";", ":", "。", "？", "！")


def nearest(word: object, known: Iterable[object]) -> str | None:
    """What was meant, where `word` is nearly one of `known`, or begins one."""
    names = [name for name in known if isinstance(name, str)]
    if not isinstance(word, str) or not 3 <= len(word) <= _LONGEST:
        return None
    word = word.lower()
    begun = [name for name in names if name.lower().startswith(word)]
    return next(iter(begun or difflib.get_close_matches(word, names, n=1, cutoff=_NEAR)), None)


def refuse_near_miss(word: str, known: Mapping[str, str], otherwise: str = "") -> None:
    """Refuse a word that is nearly a command.

    Args:
        word: as it was given.
        known: words, and what to write for each.
        otherwise: one more sentence, for who meant none of these.

    Raises:
        UsageError: asks for what was meant.
    """
    if re.fullmatch(r"[\w-]+", word) and (near := nearest(word, known)):
        raise UsageError(f"There is no command {short(word)}: did you mean {known[near]}?{otherwise}")


def refuse_text(name: str) -> None:
    """Refuse the text of a script where the name of a WAV file belongs.

    Raises:
        UsageError: says where a text goes.
    """
    if is_text(name):
        raise UsageError(
            f"Output {short(name)} looks like a text, and is to be the name of a WAV file: write dia2 hello.wav, and "
            "the text after --input."
        )


def refuse_script(word: str) -> None:
    """Refuse the text of a script, or its file, where a command of Dia belongs.

    Raises:
        UsageError: says where it goes.
    """
    if is_text(word) or is_file(word):
        raise UsageError(
            f"There is no command {short(word)}: a script goes after generate, as in dia generate hello.txt "
            "-o hello.wav."
        )


def is_text(name: str) -> bool:
    """Something to be spoken rather than a file's name: with a tag, white space, or the end of a sentence."""
    if name.lower().endswith(".wav") or is_device(name):
        return False
    folder, last = os.path.split(name)
    spaced = any(char.isspace() for char in last) or (folder.split()[1:] != [] and not is_folder(folder))
    return bool(spaced or re.search(r"[\[［]\s*S\s*\d|<break", name, re.IGNORECASE) or last[1:].endswith(_ENDS))
