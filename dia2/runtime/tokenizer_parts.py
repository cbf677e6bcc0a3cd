"""What a tokenizer's files declare, judged before a library takes them at their word.

A few hundred bytes of `tokenizer.json` can ask for any amount of memory: replacements turn a letter into as many as
they like, one after another, and every added token becomes part of an automaton. Tokenizers in use stay far below
these bounds.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dia2.common.checks import read_small, short

_LARGEST_FILE = 256 << 20  # bytes; published ones have up to 35 MB
LARGEST_CONFIG = 32 << 20
PLAIN_CLASSES = ("TokenizersBackend", "PreTrainedTokenizerFast")  # of transformers; they take tokenizer.json as it is
_MOST_GROWTH = 1000  # bytes that one may become; published ones reach some 300
_LONGEST_TEXT = 100  # characters of a replacement, or of what is put before a text
_LONGEST_PIECE = 300  # bytes that a character map puts in the place of a character
_LONGEST_PATTERN = 10_000  # characters of a regular expression
_LONGEST_TOKEN = 1000  # characters of an added token
_MOST_ADDED = 4 << 20  # characters of all added tokens, as they are normalised
_MOST_PARTS = 1000
_NOTHING = re.compile(r"[*?|()^$\\]|\{,|\{0")  # in a pattern that may match nothing, so anywhere
_TEXTS = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
_JUDGED = ("normalizer", "pre_tokenizer", "added_tokens")
_SETTINGS = ("id", "single_word", "lstrip", "rstrip", "normalized", "special")
_FIELD = re.compile(r'\s*[{,]\s*"([a-z_]+)"\s*:\s*')
_ESCAPED = re.compile(r"\\u00[2-7]")  # a letter of a name


class DeclaredError(ValueError):
    """A tokenizer declares, or is, what none needs to; the message goes after its name."""


def judge_folder(folder: Path, *, code: bool = False) -> None:
    """Judge the files of a tokenizer before it is loaded.

    Args:
        folder: where they are.
        code: the repo's own Python code may run, so that a class can be any.

    Raises:
        DeclaredError: says what is too much.
        OSError, ValueError: a file cannot be read.
    """
    growth = 1.0
    for file in sorted(folder.glob("tokenizer*.json")):  # transformers chooses among several versions of it
        if file.name in _TEXTS or file.is_dir():
            continue
        declared = _declared(read_small(file, _LARGEST_FILE).decode("utf-8"))
        grown = _judge(declared)
        _judge_added(declared.get("added_tokens"), grown)
        growth = max(growth, grown)
    for name in _TEXTS:
        if (folder / name).is_file():
            _judge_added(_parsed(read_small(folder / name, LARGEST_CONFIG).decode("utf-8")), growth)
    if not code:
        for name in ("tokenizer_config.json", "config.json"):
            if (folder / name).is_file():
                _judge_class(_parsed(read_small(folder / name, LARGEST_CONFIG).decode("utf-8")))


def judge_loaded(tokenizer: Any) -> bool:
    """Whether a word may take it long; a class can have parts that no file declares.

    Raises:
        DeclaredError: says what is too much.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    declared = {name: _state(getattr(backend, name, None)) for name in ("normalizer", "pre_tokenizer")}
    _judge(declared)
    return any(_may_backtrack(pattern) for pattern in _patterns(declared))


def _state(part: Any) -> Any:
    """A part as its file would declare it; one that is written in Python declares nothing."""
    try:
        return None if part is None else json.loads(part.__getstate__())
    except Exception:  # noqa: BLE001  # whatever the library raises for those
        return None


@contextmanager
def _nested() -> Iterator[None]:
    """A block that goes through parts within parts.

    Raises:
        DeclaredError: they go too deep.
    """
    try:
        yield
    except RecursionError as error:
        raise DeclaredError("has parts nested too deep") from error


def _parsed(text: str) -> Any:
    with _nested():
        return json.loads(text)


def _declared(text: str) -> Mapping[str, Any]:
    """The parts of a `tokenizer.json`; where it can be, without its model, which is nearly all of it and grows nothing.

    Raises:
        DeclaredError: it is no object.
    """
    declared = _before_model(text)
    declared = _parsed(text) if declared is None else declared
    if not isinstance(declared, Mapping):
        raise DeclaredError("has a tokenizer.json that is not an object")
    return declared


def _before_model(text: str) -> dict[str, Any] | None:
    """What stands before the model, if nothing to be judged can stand behind it."""
    found: dict[str, Any] = {}
    decoder, at = json.JSONDecoder(), 0
    while (match := _FIELD.match(text, at)) is not None:
        name, at = match[1], match.end()
        if name == "model":
            behind = any(text.find(f'"{part}"', at) >= 0 for part in _JUDGED) or _ESCAPED.search(text, at)
            return None if behind else found
        with _nested():
            found[name], at = decoder.raw_decode(text, at)
    return None


def _judge(declared: Mapping[str, Any]) -> float:
    """How many bytes one may become at most by normalizer and pre-tokenizer.

    Raises:
        DeclaredError: too many.
    """
    parts = [declared.get("normalizer"), declared.get("pre_tokenizer")]
    count, growth = 0, 1.0
    with _nested():
        for part in _flat(parts):
            count, growth = count + 1, growth * _growth(part)
            if count > _MOST_PARTS:
                raise DeclaredError(f"has more than {_MOST_PARTS} parts")
            if growth > _MOST_GROWTH:
                raise DeclaredError(f"makes more than {_MOST_GROWTH} letters of one")
    for pattern in _patterns(parts):
        if len(pattern) > _LONGEST_PATTERN:
            raise DeclaredError(f"has a regular expression of {len(pattern):,} characters")
    return growth


def _flat(parts: object) -> Iterator[Mapping[str, Any]]:
    """Parts and the parts of sequences, in their order."""
    if isinstance(parts, list):
        for part in parts:
            yield from _flat(part)
    elif isinstance(parts, Mapping):
        inner = [parts[name] for name in ("normalizers", "pretokenizers") if name in parts]
        if inner:
            yield from _flat(inner)
        else:
            yield parts


def _growth(part: Mapping[str, Any]) -> float:
    """Bytes that one may become by one part, known by its fields: files without types are read, too."""
    if "content" in part:
        return _replaced(part.get("pattern"), _size(part["content"]))
    if "prepend" in part:
        return 1.0 + _size(part["prepend"])
    if "replacement" in part or "str_rep" in part:  # of spaces, and put before the text
        return 1.0 + max(_size(part.get("replacement", "")), _size(part.get("str_rep", "")))
    if "precompiled_charsmap" in part:
        return float(max(1, _longest_piece(part["precompiled_charsmap"])))
    return 2.0 if part.get("type") == "ByteLevel" or "trim_offsets" in part else 1.0


def _replaced(pattern: object, size: int) -> float:
    """By a replacement of so many bytes; where its pattern matches nothing at all, it is put in everywhere."""
    if isinstance(pattern, Mapping) and isinstance(found := pattern.get("String"), str) and found:
        return max(1.0, size / len(found.encode("utf-8", "replace")))
    if isinstance(pattern, Mapping) and isinstance(found := pattern.get("Regex"), str) and found:
        return 1.0 + size if _NOTHING.search(found) else max(1.0, size)
    return 1.0 + size


def _size(text: object) -> int:
    """Bytes of a text that is to be short; what is none the library refuses itself."""
    if not isinstance(text, str):
        return 0
    if len(text) > _LONGEST_TEXT:
        raise DeclaredError(f"puts {len(text):,} characters in the place of some")
    return len(text.encode("utf-8", "replace"))


def _longest_piece(charsmap: object) -> int:
    """Bytes that a character becomes at most: a trie, with its size before it, then pieces that each end with a zero.

    Raises:
        DeclaredError: the trie is larger than all of it, or a piece is long.
    """
    if not isinstance(charsmap, str):
        return 1
    data = base64.b64decode(charsmap)
    trie = int.from_bytes(data[:4], "little")
    if len(data) < 4 or trie > len(data) - 4:
        raise DeclaredError("has a damaged character map")
    longest = max(map(len, data[4 + trie :].split(b"\0")))
    if longest > _LONGEST_PIECE:
        raise DeclaredError(f"has a character map that makes {longest:,} bytes of a character")
    return longest


# Added tokens


def _judge_added(declared: object, growth: float) -> None:
    """Judge all texts of a file that can become tokens."""
    whole = 0.0
    with _nested():
        for text, normalised in _tokens(declared):
            if len(text) > _LONGEST_TOKEN:
                raise DeclaredError(f"has an added token of {len(text):,} characters")
            whole += len(text) * (growth if normalised else 1.0)
    if whole > _MOST_ADDED:
        raise DeclaredError(f"has added tokens of more than {_MOST_ADDED:,} characters")


def _tokens(declared: object, normalised: bool = False) -> Iterator[tuple[str, bool]]:
    """Texts that may become tokens, and whether they are normalised first."""
    if isinstance(declared, str):
        yield declared, normalised
    elif isinstance(declared, list):
        for part in declared:
            yield from _tokens(part, normalised)
    elif isinstance(declared, Mapping):
        for name, part in declared.items():
            if isinstance(part, int) and name not in _SETTINGS:  # of added_tokens.json: a token and its id
                yield name, True
            elif name != "chat_template":
                yield from _tokens(part, normalised or declared.get("normalized") is True)


# The class


def _judge_class(config: object) -> None:
    """Refuse a class of transformers that is no tokenizer; others it refuses itself.

    Raises:
        DeclaredError: names it.
    """
    name = config.get("tokenizer_class") if isinstance(config, Mapping) else None
    if name is None or name in PLAIN_CLASSES:
        return
    import transformers  # takes seconds, and these two it has

    found = getattr(transformers, name, None) if isinstance(name, str) else name
    stands_in = hasattr(found, "_backends")  # for a class whose library is not installed; it says so
    if found is None or stands_in:
        return
    if not isinstance(found, type) or not issubclass(found, transformers.PreTrainedTokenizerBase):
        raise DeclaredError(f"asks for class {short(name)}, which is not a tokenizer")


# Regular expressions


def _patterns(parts: object) -> Iterator[str]:
    """All regular expressions in some parts."""
    if isinstance(parts, list):
        for part in parts:
            yield from _patterns(part)
    elif isinstance(parts, Mapping):
        for name, part in parts.items():
            if name == "Regex" and isinstance(part, str):
                yield part
            else:
                yield from _patterns(part)


def _may_backtrack(pattern: str) -> bool:
    """Whether a pattern can take long on a short text; a yes may be wrong.

    One that repeats what itself varies, or whose alternatives have more than two parts that go on without end.
    """
    groups: list[_Group] = [_Group()]
    last = False  # the last element is a group that varies
    for sign in _TOKEN.findall(_CLASS.sub("x", pattern)):
        group = groups[-1]
        if sign.startswith("("):
            groups.append(_Group())
        elif sign == ")" and len(groups) > 1:
            closed = groups.pop()
            groups[-1].endless += max(closed.most, closed.endless)
            last = closed.varies
            groups[-1].varies |= closed.varies
            continue
        elif sign == "|":
            group.varies, group.most, group.endless = True, max(group.most, group.endless), 0
        elif sign[0] in "*+?{" and sign != "{":
            group.varies = True
            if sign[0] in "*+" or sign.endswith(",}"):
                group.endless += 1
            if last and sign[0] != "?":
                return True
        elif sign[0] == "\\" and (sign[1].isdigit() or sign[1] in "gk"):  # what was matched before, or is called
            return True
        last = False
    return any(max(group.most, group.endless) > 2 for group in groups)


class _Group:
    """What is known of a group of a pattern."""

    def __init__(self) -> None:
        self.varies = False  # it can match texts of several lengths
        self.endless = 0  # repetitions without end in this alternative
        self.most = 0  # in those before it


_CLASS = re.compile(r"\[\^?\]?(?:[^\[\]\\]|\\.|\[:?[^\[\]]*\])*\]", re.DOTALL)
_TOKEN = re.compile(r"\\.|\(\?(?:[:=!>~|]|<[=!]|<\w+>|[imx-]+[:)])|[(]|[)]|\||[*+?]|\{\d*,?\d*\}|.", re.DOTALL)
