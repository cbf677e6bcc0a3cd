"""A tokenizer whose `tokenizer.json` says all there is to say: read without transformers, whose import takes seconds.

transformers wraps the library `tokenizers`. Of many tokenizers it changes something on the way, by their class, their
other files or their settings; of a plain one it takes the file as it is. Only those are loaded here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dia2.common.checks import read_small
from dia2.runtime.tokenizer_parts import LARGEST_CONFIG, PLAIN_CLASSES

if TYPE_CHECKING:  # a library in Rust, which takes its time too
    from tokenizers import Tokenizer

_NAMED = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
_IDLE: dict[str, type | tuple[type, ...]] = {  # what else a config may say: it changes no token
    "backend": str,
    "clean_up_tokenization_spaces": bool,
    "is_local": bool,
    "local_files_only": bool,
    "model_max_length": (int, float),
    "name_or_path": str,
    "tokenizer_class": str,
}
_OTHER_FILES = ("special_tokens_map.json", "added_tokens.json")  # older places of what may be added
_OF_A_MODEL = ("model_type", "model_name", "tokenizer_class", "auto_map")  # by which a config.json chooses a class
_MOST_TOKENS = 100_000  # from there on transformers may exchange the pattern, which a few large files have wrong


class PlainTokenizer:
    """What is asked of a tokenizer while a checkpoint speaks; it answers as transformers' own would."""

    def __init__(self, folder: Path, backend: Tokenizer, bos: str | None) -> None:
        self.folder = folder
        self.backend_tokenizer = backend
        self.bos_token_id = None if bos is None else backend.token_to_id(bos)

    def get_vocab(self) -> dict[str, int]:
        """Every token and its id, added ones too."""
        vocabulary: dict[str, int] = self.backend_tokenizer.get_vocab(with_added_tokens=True)
        return vocabulary

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        """Token ids of a text, none put around it.

        Raises:
            ValueError: they are asked for.
        """
        if add_special_tokens:
            raise ValueError("a plain tokenizer puts no tokens around a text: ask transformers' own")
        # As a batch of one: while it computes, other threads run, and it can be waited for no longer than it may take.
        ids: list[int] = self.backend_tokenizer.encode_batch([text], add_special_tokens=False)[0].ids
        return ids


def plain_tokenizer(folder: Path) -> PlainTokenizer | None:
    """The tokenizer of a folder that was judged, if it is a plain one.

    Raises:
        Exception: a file is damaged; the library has no kind of its own for that.
    """
    config = _settings(folder)
    if config is None:
        return None
    from tokenizers import Tokenizer

    backend = Tokenizer.from_file(str(folder / "tokenizer.json"))
    special = {token.content for token in backend.get_added_tokens_decoder().values() if token.special}
    if not {config[name] for name in _NAMED if config.get(name)} <= special or backend.get_vocab_size() > _MOST_TOKENS:
        return None
    backend.no_truncation()  # which transformers does too, whatever the file says
    backend.no_padding()
    return PlainTokenizer(folder, backend, config.get("bos_token") or None)


def _settings(folder: Path) -> Mapping[str, Any] | None:
    """What the config says, if neither it nor another file has anything that changes what a text becomes."""
    if not (folder / "tokenizer.json").is_file() or any((folder / name).exists() for name in _OTHER_FILES):
        return None
    model, config = (_parsed(folder / name) for name in ("config.json", "tokenizer_config.json"))
    if model is not None and (not isinstance(model, Mapping) or any(name in model for name in _OF_A_MODEL)):
        return None
    if not isinstance(config, Mapping) or config.get("tokenizer_class") not in PLAIN_CLASSES:
        return None
    if config.get("backend", "tokenizers") != "tokenizers":
        return None
    understood = all(
        isinstance(value, str | None) if name in _NAMED else isinstance(value, _IDLE.get(name, ()))
        for name, value in config.items()
    )
    return config if understood else None


def _parsed(path: Path) -> Any:
    """A small JSON file; `None` where there is none."""
    return json.loads(read_small(path, LARGEST_CONFIG)) if path.is_file() else None
