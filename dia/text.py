"""A script as the encoder reads it: UTF-8 bytes, with a byte of its own for each speaker tag."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dia.config import DiaConfig
from dia2.common.errors import UsageError
from dia2.common.hooks import phase
from dia2.common.messages import warn
from dia2.runtime.invisible import visible
from dia2.runtime.script_notes import ScriptNotes

TAGS = {b"[S1]": b"\x01", b"[S2]": b"\x02"}
# Sounds that the published model was trained to make of these words.
CUES = frozenset(
    f"({sound})"
    for sound in (
        "laughs", "clears throat", "sighs", "gasps", "coughs", "singing", "sings", "mumbles", "beep", "groans",
        "sniffs", "claps", "screams", "inhales", "exhales", "applause", "burps", "humming", "sneezes", "chuckle",
        "whistles",
    )
)  # fmt: skip
_SHOWN = 60  # characters of a text in a message


def read_scripts(texts: Sequence[str]) -> list[str]:
    """Each script without characters that nobody sees; what in it looks like a tag or a cue and is none is told.

    Raises:
        UsageError: a script is of such characters alone, or is not text.
    """
    notes = ScriptNotes("Dia", CUES)
    read = []
    for number, text in enumerate(texts, 1):
        seen = _check(text, number)
        notes.feed(seen)
        notes.close()
        read.append(seen)
    return read


@phase("dia.text")
def encode_text(texts: Sequence[str], config: DiaConfig, *, strict: bool = False) -> tuple[Tensor, Tensor]:
    """Bytes of each text, padded to the longest.

    Args:
        texts: B scripts, such as `[S1] Hello. [S2] Hi!`.
        config: of the checkpoint.
        strict: refuse a text that is too long, instead of cutting it with a warning.

    Returns:
        Tokens [B, S] int64, and a mask [B, S] bool that is true at text.

    Raises:
        UsageError: a text is empty, too long (`strict`), or has bytes outside the checkpoint's vocabulary.
    """
    rows = [_encode(text, number, config, strict) for number, text in enumerate(texts)]
    longest = max(map(len, rows))
    tokens = torch.full((len(rows), longest), config.data.text_pad_value)
    mask = torch.zeros(len(rows), longest, dtype=torch.bool)
    for i, row in enumerate(rows):
        tokens[i, : len(row)] = torch.tensor(list(row))
        mask[i, : len(row)] = True
    return tokens, mask


def as_bytes(text: str) -> bytes:
    """A text as the encoder reads it, however long: each tag is the byte that stands for it."""
    whole = text.encode("utf-8", "replace")
    for tag, byte in TAGS.items():
        whole = whole.replace(tag, byte)
    return whole


def as_text(part: bytes, errors: str) -> str:
    """Bytes with their tags written out; `errors`: what becomes of a cut character, as in `bytes.decode`."""
    for tag, byte in TAGS.items():
        part = part.replace(byte, tag)
    return part.decode("utf-8", errors)


def check_texts(texts: Sequence[str]) -> None:
    """Refuse scripts that no checkpoint reads.

    Raises:
        UsageError: one is empty, of characters alone that are not seen, or no text.
    """
    for number, text in enumerate(texts, 1):
        _check(text, number)


def _check(text: str, number: int) -> str:
    """The text without what is not seen."""
    if not isinstance(text, str):
        raise UsageError(f"Script {number} is {type(text).__name__}, not text: give a string or a list of strings.")
    if not text.strip():
        raise UsageError(f"Script {number} is empty: give it some text, such as '[S1] Hello.'.")
    seen = visible(text)
    if seen != text and not seen.replace("[S1]", "").replace("[S2]", "").strip():
        raise UsageError(f"Script {number} has no words, only invisible characters: give it some text.")
    return seen


def _encode(text: str, number: int, config: DiaConfig, strict: bool) -> bytes:
    _check(text, number + 1)
    whole = as_bytes(text)
    limit, vocab = config.model.encoder.max_position_embeddings, config.model.encoder.vocab_size
    kept = whole[:limit]
    if len(whole) > limit:
        said = (
            f"Script {number + 1} has {len(whole):,} bytes and the encoder takes {limit:,}: what follows "
            f"{_tail(kept)!r} is cut off"
        )
        if strict:
            raise UsageError(f"{said}; shorten it.")
        warn(f"{said}.", stacklevel=4)
    if max(kept) >= vocab:
        outside = next(char for char in text if max(char.encode("utf-8", "replace")) >= vocab)
        raise UsageError(
            f"Script {number + 1} has {outside!r}, and this checkpoint reads bytes below {vocab}: write it in ASCII."
        )
    return kept


def _tail(kept: bytes) -> str:
    """The last words of what is kept, with its tags written out."""
    text = as_text(kept, "ignore")
    return text if len(text) <= _SHOWN else "…" + text[-_SHOWN:]
