"""Tokenizers that fail, grow or never end are refused in a sentence; those in use are taken as they are."""

from __future__ import annotations

import base64
import json
import shutil
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import tokenizers

from dia2.common.errors import CheckpointError
from dia2.common.rust import RustPanicError, calling_rust
from dia2.runtime import tokenizer as tokenizer_module
from dia2.runtime.assets import nano_folder
from dia2.runtime.tokenizer import MOST_TOKENS, encoder, load_tokenizer
from dia2.runtime.tokenizer_parts import DeclaredError, _before_model, _may_backtrack, judge_folder, judge_loaded

BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
GPT_4 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
GPT_4O = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def folder_with(tmp_path: Path, config: dict[str, Any] | None = None, **fields: Any) -> Path:
    """The embedded tokenizer with other fields in its files."""
    folder = Path(shutil.copytree(nano_folder() / "tokenizer", tmp_path / "tokenizer"))
    for name, changes in (("tokenizer.json", fields), ("tokenizer_config.json", config or {})):
        content = json.loads((folder / name).read_text(encoding="utf-8"))
        (folder / name).write_text(json.dumps(content | changes), encoding="utf-8")
    return folder


def split(pattern: str) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}


def replace(text: str, content: str, kind: str = "String") -> dict[str, Any]:
    return {"type": "Replace", "pattern": {kind: text}, "content": content}


def normalizers(*parts: Any) -> dict[str, Any]:
    return {"type": "Sequence", "normalizers": list(parts)}


def pre_tokenizers(*parts: Any) -> dict[str, Any]:
    return {"type": "Sequence", "pretokenizers": list(parts)}


def added(content: str, *, normalized: bool = False) -> dict[str, Any]:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "special"), False)
    return {"id": 1030, "content": content, "normalized": normalized, **flags}


def charsmap(trie: int, *pieces: bytes) -> dict[str, Any]:
    data = trie.to_bytes(4, "little") + bytes(8) + b"\0".join(pieces) + b"\0"
    return {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(data).decode()}


# What is declared


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"normalizer": normalizers(*[replace("a", "a" * 90)] * 5)}, "makes more than 1000 letters of one"),
        ({"normalizer": normalizers(normalizers(*[replace("a", "a" * 90)] * 2))}, "makes more than 1000"),
        ({"normalizer": {"normalizers": [{"pattern": {"String": "a"}, "content": "a" * 90}] * 2}}, "makes more than"),
        ({"normalizer": normalizers(*[replace("a?", "a" * 90, "Regex")] * 2)}, "makes more than 1000"),
        ({"normalizer": normalizers(*[replace("", "a" * 90)] * 2)}, "makes more than 1000"),
        ({"normalizer": normalizers(*[{"type": "Prepend", "prepend": "a" * 90}] * 2)}, "makes more than 1000"),
        ({"normalizer": normalizers(*[{"type": "ByteLevel"}] * 10)}, "makes more than 1000"),
        ({"pre_tokenizer": pre_tokenizers(*[BYTES] * 10)}, "makes more than 1000"),
        (
            {"normalizer": replace("a", "a" * 90), "pre_tokenizer": pre_tokenizers(*[BYTES] * 4)},
            "makes more than 1000",
        ),
        ({"normalizer": replace("a", "a" * 101)}, "puts 101 characters in the place of some"),
        ({"normalizer": {"type": "Prepend", "prepend": "a" * 101}}, "puts 101 characters"),
        ({"normalizer": normalizers(*[{"type": "NFC"}] * 1001)}, "more than 1000 parts"),
        ({"normalizer": charsmap(8, b"x" * 301)}, "makes 301 bytes of a character"),
        ({"normalizer": charsmap(1 << 31, b"x")}, "a damaged character map"),
        ({"pre_tokenizer": split("a" * 10_001)}, "a regular expression of 10,001 characters"),
        ({"added_tokens": [added("b" * 1001)]}, "an added token of 1,001 characters"),
        ({"added_tokens": [added("b" * 900)] * 5000}, "added tokens of more than"),
        (
            {"normalizer": replace("a", "a" * 90), "added_tokens": [added("a" * 900, normalized=True)] * 60},
            "added tokens of more than",
        ),
    ],
)
def test_growth_and_giants_are_refused_before_anything_is_loaded(
    tmp_path: Path, fields: dict[str, Any], message: str
) -> None:
    folder = folder_with(tmp_path, **fields)
    with pytest.raises(DeclaredError, match=message):
        judge_folder(folder)
    with pytest.raises(CheckpointError, match=f"Tokenizer {folder} .*{message}.*--tokenizer"):
        load_tokenizer(str(folder), trust_remote_code=False)


@pytest.mark.parametrize("name", ["tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"])
def test_other_files_that_add_tokens_are_judged_too(tmp_path: Path, name: str) -> None:
    folder = folder_with(tmp_path)
    giant: dict[str, Any] = {"x" * 1001: 7} if name == "added_tokens.json" else {"extra": [added("x" * 1001)]}
    (folder / name).write_text(json.dumps(giant), encoding="utf-8")
    with pytest.raises(DeclaredError, match="1,001 characters"):
        judge_folder(folder)


def test_what_stands_behind_the_model_or_in_another_version_of_the_file_is_judged(tmp_path: Path) -> None:
    folder = folder_with(tmp_path)
    file = folder / "tokenizer.json"
    text = file.read_text(encoding="utf-8")
    grows = json.dumps(normalizers(*[replace("a", "a" * 90)] * 5))
    assert _before_model(text) is not None, "the usual file is not parsed whole"
    for key in ("normalizer", "norm\\u0061lizer"):
        file.write_text(f'{text.rstrip()[:-1]}, "{key}": {grows}}}', encoding="utf-8")
        with pytest.raises(DeclaredError, match="makes more than"):
            judge_folder(folder)
    file.write_text(text, encoding="utf-8")
    judge_folder(folder)
    (folder / "tokenizer.4.0.0.json").write_text(f'{{"normalizer": {grows}}}', encoding="utf-8")
    with pytest.raises(DeclaredError, match="makes more than"):
        judge_folder(folder)


@pytest.mark.parametrize(
    "fields",
    [
        {"normalizer": None, "pre_tokenizer": pre_tokenizers(split(GPT_4), BYTES)},
        {"normalizer": {"type": "NFC"}, "pre_tokenizer": pre_tokenizers(split(GPT_4O), BYTES)},
        {"normalizer": normalizers({"type": "Prepend", "prepend": "▁"}, replace(" ", "▁")), "pre_tokenizer": None},
        {"normalizer": replace(" ", "▁"), "pre_tokenizer": split(" ")},
        {
            "normalizer": normalizers(
                replace("``", '"'), {"type": "NFKD"}, {"type": "StripAccents"}, replace(" {2,}", " ", "Regex")
            ),
            "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True},
        },
        {
            "normalizer": {
                "type": "BertNormalizer",
                "clean_text": True,
                "handle_chinese_chars": True,
                "strip_accents": None,
                "lowercase": True,
            },
            "pre_tokenizer": {"type": "BertPreTokenizer"},
        },
        {
            "pre_tokenizer": pre_tokenizers(
                {"type": "Digits", "individual_digits": True}, {"type": "Punctuation", "behavior": "Contiguous"}, BYTES
            )
        },
    ],
    ids=["Llama 3", "Qwen", "Llama 2", "Gemma", "ALBERT", "BERT", "digits"],
)
def test_what_published_tokenizers_declare_passes_and_is_not_waited_for(tmp_path: Path, fields: dict[str, Any]) -> None:
    loaded = load_tokenizer(str(folder_with(tmp_path, **fields)), trust_remote_code=False)
    assert not judge_loaded(loaded)
    assert isinstance(encoder(loaded, 1 << 20, "here")("hello"), list)


def test_a_character_map_like_that_of_sentencepiece_passes(tmp_path: Path) -> None:
    longest = "صلى الله عليه وسلم".encode()
    parts = normalizers(charsmap(8, b"a", longest), replace(" {2,}", "▁", "Regex"))
    judge_folder(folder_with(tmp_path, normalizer=parts))


# What it is, and what it answers


@pytest.mark.parametrize("name", ["RagTokenizer", "BertConfig", "AutoTokenizer", "WhisperProcessor", "pipeline", 7, []])
def test_a_class_that_is_no_tokenizer_is_refused(tmp_path: Path, name: object) -> None:
    for file in ("tokenizer_config.json", "config.json"):
        folder = folder_with(tmp_path / file)
        (folder / file).write_text(json.dumps({"tokenizer_class": name}), encoding="utf-8")
        with pytest.raises(CheckpointError, match=r"asks for class .*, which is not a tokenizer"):
            load_tokenizer(str(folder), trust_remote_code=False)


class Fake:
    """A tokenizer of somebody's own code."""

    def __init__(self, vocabulary: Any = None, bos: Any = None, tokens: Any = (1,)) -> None:
        self.get_vocab = lambda: {} if vocabulary is None else vocabulary
        self.bos_token_id = bos
        self.encode = lambda text, **_: tokens(text) if callable(tokens) else tokens


@pytest.mark.parametrize(
    ("fake", "message"),
    [
        (Fake(vocabulary=["a"]), "gives no vocabulary"),
        (Fake(vocabulary={"[S2]": "7"}), r"gives \[S2\] an id that is not a number"),
        (Fake(bos="<s>"), "for the token that begins a text"),
        (Fake(bos=True), "for the token that begins a text"),
        (object(), "has no attribute 'get_vocab'"),
    ],
)
def test_answers_of_another_kind_are_refused_when_it_is_loaded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fake: object, message: str
) -> None:
    monkeypatch.setattr("transformers.AutoTokenizer.from_pretrained", lambda *_, **__: fake)
    folder = folder_with(tmp_path, {"tokenizer_class": None})  # which is no plain one
    with pytest.raises(CheckpointError, match=message):
        load_tokenizer(str(folder), trust_remote_code=False)


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ("abc", "which are not token ids"),
        ([1.0], "which are not token ids"),
        ([True], "which are not token ids"),
        (None, "which are not token ids"),
        ([-1, 3], "gives id -1, the model knows 100"),
        ([3, 100], "gives id 100, the model knows 100"),
        ([1] * (MOST_TOKENS + 1), "makes 8,193 tokens"),
    ],
)
def test_tokens_of_another_kind_or_number_are_refused(tokens: object, message: str) -> None:
    with pytest.raises(CheckpointError, match=f"Tokenizer here .*{message}"):
        encoder(Fake(tokens=tokens), 100, "here")("Hello")
    assert encoder(Fake(tokens=[1] * MOST_TOKENS), 100, "here")("Hello")
    assert encoder(Fake(tokens=[0, 99]), 100, "here")("Hello") == [0, 99]


# Panics


def panic() -> None:
    """A real one."""
    part = tokenizers.pre_tokenizers.Split(tokenizers.Regex("(a+)+$"), "isolated")
    part.pre_tokenize_str("a" * 40 + "!")


def test_a_panic_becomes_an_exception_and_nothing_else_does(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RustPanicError, match="retry-limit") as caught, calling_rust():
        panic()
    assert not isinstance(caught.value.__cause__, Exception)
    for error in (KeyboardInterrupt, SystemExit, GeneratorExit, ValueError):
        with pytest.raises(error), calling_rust():
            raise error
    assert "Traceback" not in capfd.readouterr().err


def test_a_tokenizer_that_panics_is_refused_by_name(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = folder_with(tmp_path, pre_tokenizer=split("(a+)+$"))
    encode = encoder(load_tokenizer(str(folder), trust_remote_code=False), 1024, str(folder))
    assert encode("aaa!")
    with pytest.raises(CheckpointError, match=f"Tokenizer {folder} cannot take 'a+!' .*retry-limit"):
        encode("a" * 40 + "!")
    folder = folder_with(tmp_path / "loading", normalizer={"type": "Precompiled", "precompiled_charsmap": 7})
    with pytest.raises(CheckpointError, match=f"No tokenizer can be loaded from {folder} .*Precompiled"):
        load_tokenizer(str(folder), trust_remote_code=False)
    capfd.readouterr()  # Rust's own print


# Patterns that take long


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+$",
        "(a|aa)+$",
        "(a*)*b",
        "(x+x+)+y",
        "(?:(?:a+)+)+$",
        "a*a*a*(?=b)",
        "(a?){40}a",
        r"(\w+\s?)*$",
        r"(a+)\1b",
        "(?<n>a+)+$",
        "a{1,}b*c*d",
    ],
)
def test_patterns_that_may_backtrack_are_known(pattern: str) -> None:
    assert _may_backtrack(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        GPT_4,
        GPT_4O,
        " {2,}",
        r"\s+",
        " ?[^(\\s|[.,!?…。，])]+",
        r"[\p{L}&&[^\p{Han}]]+",
        "[0-9]{3}",
        "(?:ab)+",
        r"\(a+\)+",
    ],
)
def test_usual_patterns_do_not(pattern: str) -> None:
    assert not _may_backtrack(pattern)


def test_a_word_that_takes_too_long_is_refused_and_others_are_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    let_go, threads = threading.Event(), threading.active_count()
    monkeypatch.setattr(tokenizer_module, "SECONDS", 0.05)

    def tokens(text: str) -> list[int]:
        if text.startswith("slow"):
            let_go.wait(60)
        return [threading.get_ident() % 2**31]

    own = threading.get_ident() % 2**31
    encode = encoder(Fake(tokens=tokens), 1 << 32, "here")
    began = time.monotonic()
    with pytest.raises(CheckpointError, match=r"cannot take 'slow.*takes longer than 0.05 seconds"):
        encode("slow" * 100)
    assert time.monotonic() - began < 30
    let_go.set()
    assert encode("quick") == [own]
    assert encode("quick" * 100) != [own]
    assert threading.active_count() <= threads + 1
    assert sys.exc_info()[0] is None
