"""Text tokens that know how they sound: a token's row is what its phonemes add up to, and something of its own.

A tokenizer cuts words by how often letters stand together, and a network would have to learn anew for each of thousands
of tokens what flite's lexicon says of its letters. In a checkpoint the table is an ordinary one.
"""

from __future__ import annotations

import ctypes
import functools
import re
from collections.abc import Sequence
from ctypes import c_char_p, c_int, c_void_p
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from dia2.common.errors import Dia2Error

PLACES = 8  # phonemes of a token that are looked at
_FUNCTIONS: dict[str, tuple[Any, ...]] = {  # name: (result, *arguments)
    "flite_init": (c_int,),
    "lex_lookup": (c_void_p, c_void_p, c_char_p, c_char_p, c_void_p),
    "val_car": (c_void_p, c_void_p),
    "val_cdr": (c_void_p, c_void_p),
    "val_string": (c_char_p, c_void_p),
    "delete_val": (None, c_void_p),
}


class _Lexicon:
    """CMU's dictionary as flite has it, and its rules for letters that are no word of it."""

    def __init__(self) -> None:
        try:
            self.lib, _, lexicon = (
                ctypes.CDLL(f"lib{name}.so.1", mode=ctypes.RTLD_GLOBAL)
                for name in ("flite", "flite_usenglish", "flite_cmulex")
            )
        except OSError as error:
            raise Dia2Error(
                f"flite cannot be loaded ({error}): install Debian's package flite (apt install flite)."
            ) from error
        for name, (result, *arguments) in _FUNCTIONS.items():
            function = getattr(self.lib, name)
            function.restype, function.argtypes = result, arguments
        self.lib.flite_init()
        lexicon.cmu_lex_init.restype = c_void_p
        self.lexicon: int = lexicon.cmu_lex_init()

    def look_up(self, letters: str) -> list[str]:
        found: int | None = self.lib.lex_lookup(self.lexicon, letters.encode(), None, None)
        phonemes: list[str] = []
        at = found
        while at:
            phonemes.append(self.lib.val_string(self.lib.val_car(at)).decode())
            at = self.lib.val_cdr(at)
        self.lib.delete_val(found)
        return phonemes


@functools.cache
def _lexicon() -> _Lexicon:
    return _Lexicon()


def phonemes(text: str) -> list[str]:
    """How flite says the letters of `text`, without stress; none for what has no letters.

    Raises:
        Dia2Error: flite is not installed.
    """
    letters = "".join(re.findall(r"[a-z']", text.lower())).strip("'")
    return [name.rstrip("012") for name in _lexicon().look_up(letters)] if letters else []


class Sounding(nn.Module):
    """A parametrisation of a table [V, D]: to each row is added what the phonemes of its token are, place by place."""

    def __init__(self, texts: Sequence[str], width: int) -> None:
        """Look up how each token sounds.

        Args:
            texts: of the V tokens; special ones without any.
            width: D.
        """
        super().__init__()
        said = [phonemes(text)[:PLACES] for text in texts]
        names = {name: i for i, name in enumerate(sorted({name for names in said for name in names}), 1)}
        rows = torch.zeros(len(texts), PLACES, dtype=torch.long)  # 0: no phoneme
        for row, token in zip(rows, said, strict=True):
            for place, name in enumerate(token):
                row[place] = names[name] + place * (len(names) + 1)
        self.rows: Tensor
        self.register_buffer("rows", rows)
        self.table = nn.Parameter(0.3 * torch.randn(PLACES * (len(names) + 1), width) / PLACES**0.5)

    def forward(self, own: Tensor) -> Tensor:
        """The whole table [V, D] of the tokens' own rows [V, D]."""
        return own + F.embedding_bag(self.rows, self.table, mode="sum", padding_idx=0)


def make_sounding(embedding: nn.Embedding, tokenizer: Any) -> None:
    """Let the rows of a text embedding be made of how its tokens sound; `make_plain` takes it back.

    Args:
        embedding: of the text tokens.
        tokenizer: in Hugging Face's form.
    """
    special = set(tokenizer.all_special_tokens) | set(tokenizer.get_added_vocab())
    tokens = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
    texts = ["" if token in special or not token.isascii() else token for token in tokens]
    sounding = Sounding(texts, embedding.embedding_dim).to(embedding.weight.device)
    parametrize.register_parametrization(embedding, "weight", sounding)


def make_plain(embedding: nn.Embedding) -> None:
    """Make the table an ordinary one, with the same rows."""
    if parametrize.is_parametrized(embedding):
        parametrize.remove_parametrizations(embedding, "weight", leave_parametrized=True)
