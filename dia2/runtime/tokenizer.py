"""A checkpoint's tokenizer: loaded, and asked for the tokens of a word, however it was made.

A plain one is read without transformers, whose import takes longer than all else that a first word needs but torch's.
Its parts are judged first by what they declare (`tokenizer_parts`); what it gives is judged each time. A library in
Rust cannot be told to stop, but it lets other threads run meanwhile: where a word may take long, it is waited for so
long and no longer.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dia2.common.checks import short
from dia2.common.errors import CheckpointError, one_line
from dia2.common.rust import calling_rust
from dia2.core.chance import own_chance
from dia2.runtime.assets import refuse_other, tokenizer_folder
from dia2.runtime.plain_tokenizer import PlainTokenizer, plain_tokenizer
from dia2.runtime.tokenizer_parts import DeclaredError, judge_folder, judge_loaded

MOST_TOKENS = 8192  # of a word: four bytes for each of 2,000 characters, and something before it
SECONDS = 5.0  # for a word that may take long; usual ones take a fifth of a millisecond
_LONG_WORD = 256  # characters from which on any tokenizer may
_GIVE = "give the model's own by --tokenizer."


def load_tokenizer(source: str, trust_remote_code: bool) -> Any:
    """A tokenizer from a folder, or from a hub repo's tokenizer files: a `PlainTokenizer`, else one of transformers.

    Raises:
        CheckpointError: it is damaged or no tokenizer, or declares what none needs.
        Dia2Error: there is no network and the files are not cached.
    """
    folder = tokenizer_folder(source, trust_remote_code)
    for pattern in ("*.json", "*.txt", "*.model", "*.jinja"):
        for file in folder.glob(pattern):
            refuse_other(file)
    try:
        judge_folder(folder, code=trust_remote_code)
        with calling_rust():
            plain = plain_tokenizer(folder)
            if plain is None:
                return _by_transformers(folder, trust_remote_code)
            _check_answers(plain)
            return plain
    except DeclaredError as error:
        raise CheckpointError(f"Tokenizer {source} {error}: {_GIVE}") from error
    except Exception as error:  # a damaged tokenizer.json raises a bare Exception
        hint = (
            "pass --trust-remote-code if you trust it"
            if "trust_remote_code" in str(error)
            else "give one by --tokenizer"
        )
        raise CheckpointError(f"No tokenizer can be loaded from {source} ({one_line(error)}): {hint}.") from error


def in_full(tokenizer: Any) -> Any:
    """The tokenizer as transformers has it, with all of its methods; a plain one is loaded anew for that."""
    return _by_transformers(tokenizer.folder, False) if isinstance(tokenizer, PlainTokenizer) else tokenizer


def _by_transformers(folder: Path, trust_remote_code: bool) -> Any:
    from transformers import AutoTokenizer

    with own_chance():
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=trust_remote_code, local_files_only=True)
        _check_answers(tokenizer)
        return tokenizer


def _check_answers(tokenizer: Any) -> None:
    """What is asked of it later; classes that are loaded alike need not have it.

    Raises:
        DeclaredError: an answer is of another kind.
        Exception: whatever it raises.
    """
    vocabulary = tokenizer.get_vocab()
    if not isinstance(vocabulary, Mapping):
        raise DeclaredError("is not a tokenizer: it gives no vocabulary")
    bos = tokenizer.bos_token_id
    if bos is not None and not _is_id(bos):
        raise DeclaredError(f"gives {short(bos)} for the token that begins a text")
    for tag in ("[S1]", "[S2]"):
        if not _is_id(vocabulary.get(tag, 0)):
            raise DeclaredError(f"gives {tag} an id that is not a number")


def encoder(tokenizer: Any, vocabulary: int, source: str) -> Callable[[str], list[int]]:
    """A function that gives a text's token ids, none added, each below `vocabulary`.

    It raises a CheckpointError where the tokenizer cannot take a text, or takes too long or gives too much.
    """
    slow = judge_loaded(tokenizer)

    def tokens_of(text: str) -> list[int]:
        with calling_rust():
            tokens = tokenizer.encode(text, add_special_tokens=False)
        if not isinstance(tokens, list) or not all(map(_is_id, tokens)):
            raise DeclaredError(f"gives {short(tokens)} for {short(text)}, which are not token ids")
        return tokens

    def encode(text: str) -> list[int]:
        try:
            tokens = _in_time(lambda: tokens_of(text)) if slow or len(text) > _LONG_WORD else tokens_of(text)
        except DeclaredError as error:
            raise CheckpointError(f"Tokenizer {source} {error}: {_GIVE}") from error
        except Exception as error:  # one that knows neither the text nor an unknown token raises a bare Exception
            raise CheckpointError(
                f"Tokenizer {source} cannot take {short(text)} ({one_line(error)}): {_GIVE}"
            ) from error
        if len(tokens) > MOST_TOKENS:
            raise CheckpointError(f"Tokenizer {source} makes {len(tokens):,} tokens of {short(text)}: {_GIVE}")
        if tokens and not 0 <= min(tokens) <= max(tokens) < vocabulary:
            wrong = min(tokens) if min(tokens) < 0 else max(tokens)
            raise CheckpointError(f"Tokenizer {source} gives id {short(wrong)}, the model knows {vocabulary}: {_GIVE}")
        return tokens

    return encode


def _is_id(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _in_time(work: Callable[[], list[int]]) -> list[int]:
    """What `work` gives, or raises.

    Raises:
        TimeoutError: it takes longer than any tokenizer needs; the library's own limits end it some time later.
    """
    done: list[list[int]] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            done.append(work())
        except BaseException as error:  # noqa: BLE001  # whatever it is, who waits raises it
            failed.append(error)

    thread = threading.Thread(target=run, name="dia2-tokenizer", daemon=True)
    thread.start()
    thread.join(SECONDS)
    if failed:
        raise failed[0]
    if not done:
        raise TimeoutError(f"it takes longer than {SECONDS:g} seconds")
    return done[0]
