"""A tokenizer that is read without transformers gives what transformers gives, and any other is left to it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dia2 import Dia2
from dia2.common.errors import CheckpointError
from dia2.runtime import tokenizer as tokenizer_module
from dia2.runtime.assets import nano_folder
from dia2.runtime.plain_tokenizer import PlainTokenizer, plain_tokenizer
from dia2.runtime.tokenizer import encoder, in_full, load_tokenizer

NANO = nano_folder() / "tokenizer"
FOLDERS = [NANO, *sorted((Path(__file__).parents[1] / "conformance").glob("tiny*/tokenizer"))]
LOADED = {folder: plain_tokenizer(folder) for folder in FOLDERS}
FULL = {folder: in_full(plain) for folder, plain in LOADED.items()}


def changed(tmp_path: Path, name: str, changes: dict[str, Any]) -> Path:
    """The embedded tokenizer, with fields of one of its files changed, or another file beside them."""
    folder = Path(shutil.copytree(NANO, tmp_path / "words"))
    file = folder / name
    content = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    file.write_text(json.dumps(content | changes), encoding="utf-8")
    return folder


def texts() -> st.SearchStrategy[str]:
    """Words, tags, names of tokens, and anything between."""
    named = [
        "[S1]",
        "[S2]",
        "<bos>",
        "<pad>",
        "<s>",
        "</s>",
        "<unk>",
        "hello",
        " ",
        "  ",
        "\n",
        "Ġ",
        "▁",
        "’",
        "é",
        "e\u0301",
    ]
    return st.lists(st.one_of(st.sampled_from(named), st.text(max_size=6)), max_size=12).map("".join)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.parent.name)
@settings(deadline=None, max_examples=100)
@given(text=texts())
def test_tokens_are_those_of_transformers(folder: Path, text: str) -> None:
    plain, full = LOADED[folder], FULL[folder]
    assert plain is not None
    assert plain.encode(text, add_special_tokens=False) == full.encode(text, add_special_tokens=False)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.parent.name)
def test_the_vocabulary_is_that_of_transformers(folder: Path) -> None:
    plain, full = LOADED[folder], FULL[folder]
    assert plain is not None
    assert plain.get_vocab() == full.get_vocab()
    assert plain.bos_token_id == full.bos_token_id
    assert plain.bos_token_id is not None
    with pytest.raises(ValueError, match="transformers"):
        plain.encode("hello", add_special_tokens=True)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast"}),
        ("tokenizer_config.json", {"bos_token": None, "model_max_length": 512, "clean_up_tokenization_spaces": True}),
        ("config.json", {"model": {"decoder": {"n_layer": 2}}}),  # of the Dia2 that lies there, too
        (
            "tokenizer.json",
            {"truncation": {"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0}},
        ),
        (
            "tokenizer.json",
            {
                "padding": {
                    "strategy": {"Fixed": 9},
                    "direction": "Right",
                    "pad_to_multiple_of": None,
                    "pad_id": 3,
                    "pad_type_id": 0,
                    "pad_token": "<pad>",
                }
            },
        ),
    ],
    ids=["an older name of the class", "settings that change no token", "a model's config", "truncation", "padding"],
)
def test_what_changes_nothing_is_plain(tmp_path: Path, name: str, changes: dict[str, Any]) -> None:
    plain = plain_tokenizer(changed(tmp_path, name, changes))
    assert plain is not None
    full = in_full(plain)
    assert type(full).__module__.startswith("transformers.")
    text = "[S1] Hello there, how are you today?"
    assert plain.encode(text, add_special_tokens=False) == full.encode(text, add_special_tokens=False)
    assert plain.bos_token_id == full.bos_token_id
    assert len(plain.encode(text, add_special_tokens=False)) > 9


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("tokenizer_config.json", {"tokenizer_class": "Qwen2Tokenizer"}),
        ("tokenizer_config.json", {"tokenizer_class": None}),
        ("tokenizer_config.json", {"backend": "sentencepiece"}),
        ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["own.Own", None]}}),
        ("tokenizer_config.json", {"eos_token": "<a new one>"}),
        ("tokenizer_config.json", {"bos_token": {"content": "<bos>"}}),
        ("tokenizer_config.json", {"extra_special_tokens": ["<a new one>"]}),
        ("tokenizer_config.json", {"added_tokens_decoder": {}}),
        ("tokenizer_config.json", {"split_special_tokens": True}),
        ("tokenizer_config.json", {"add_prefix_space": True}),
        ("tokenizer_config.json", {"model_max_length": "many"}),
        ("tokenizer_config.json", {"fast_tokenizer_files": ["tokenizer.4.0.0.json"]}),
        ("special_tokens_map.json", {"bos_token": "<pad>"}),
        ("added_tokens.json", {"<a new one>": 1030}),
        ("config.json", {"model_type": "qwen2"}),
    ],
    ids=lambda value: value if isinstance(value, str) else next(iter(value)),
)
def test_what_may_change_something_is_left_to_transformers(tmp_path: Path, name: str, changes: dict[str, Any]) -> None:
    assert plain_tokenizer(changed(tmp_path, name, changes)) is None


def test_a_folder_that_says_little_is_left_to_transformers(tmp_path: Path) -> None:
    for missing in ("tokenizer.json", "tokenizer_config.json"):
        folder = Path(shutil.copytree(NANO, tmp_path / missing))
        (folder / missing).unlink()
        assert plain_tokenizer(folder) is None


def test_one_that_is_left_to_transformers_is_loaded_by_it(tmp_path: Path) -> None:
    folder = changed(tmp_path, "tokenizer_config.json", {"eos_token": "<a new one>"})
    loaded = load_tokenizer(str(folder), trust_remote_code=False)
    assert not isinstance(loaded, PlainTokenizer)
    assert in_full(loaded) is loaded
    assert loaded.encode("<a new one>", add_special_tokens=False) == [loaded.eos_token_id]


def test_a_plain_one_that_is_damaged_is_refused_in_a_sentence(tmp_path: Path) -> None:
    folder = changed(tmp_path, "tokenizer.json", {"model": {"type": "none"}})
    with pytest.raises(CheckpointError, match=f"No tokenizer can be loaded from {folder} .*: give one by --tokenizer"):
        load_tokenizer(str(folder), trust_remote_code=False)


def test_one_that_takes_long_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = {"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated", "invert": False}
    plain = load_tokenizer(str(changed(tmp_path, "tokenizer.json", {"pre_tokenizer": slow})), trust_remote_code=False)
    assert isinstance(plain, PlainTokenizer)
    monkeypatch.setattr(tokenizer_module, "SECONDS", 0.01)
    with pytest.raises(CheckpointError, match=r"takes longer than 0\.01 seconds"):  # else it holds other threads
        encoder(plain, 1024, "here")("aaaaaaaaaaaaaaaaaaaa! " * 16)


def test_a_checkpoint_offers_the_one_of_transformers_to_who_asks() -> None:
    runtime = Dia2.nano(device="cpu").runtime
    assert isinstance(runtime.words, PlainTokenizer)
    tokens = runtime.encode("hello there")
    assert runtime.tokenizer.convert_tokens_to_ids(runtime.tokenizer.convert_ids_to_tokens(tokens)) == tokens
    assert runtime.tokenizer is runtime.tokenizer
