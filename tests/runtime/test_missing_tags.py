"""A tokenizer that has no token for a speaker tag: told in each run, by name."""

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import pytest

from dia2 import Dia2
from dia2.runtime.context import missing_tags

from ..support.reference import CHECKPOINTS, ROOT, engine, local_files

TINY8 = ROOT / "tiny8"
PREFIX: dict[str, Any] = {"prefix_speaker_1": TINY8 / "spk1.wav", "prefix_words_1": TINY8 / "spk1.words.json"}
BOTH: dict[str, Any] = PREFIX | {"prefix_speaker_2": TINY8 / "spk2.wav", "prefix_words_2": TINY8 / "spk2.words.json"}


class Tokens:
    """A tokenizer that finds some of its tokens in a text, and pieces otherwise."""

    def __init__(self, vocabulary: dict[str, int], *, found: set[str]) -> None:
        self._vocabulary, self._found = vocabulary, found

    def get_vocab(self) -> dict[str, int]:
        return self._vocabulary

    def encode(self, text: str) -> list[int]:
        return [self._vocabulary[text]] if text in self._found else [ord(char) for char in text]


@pytest.mark.parametrize(
    ("vocabulary", "found", "missing"),
    [
        ({"[S1]": 900, "[S2]": 901}, {"[S1]", "[S2]"}, ()),
        ({}, set(), ("[S1]", "[S2]")),
        ({"[S1]": 900}, {"[S1]"}, ("[S2]",)),
        ({"[S2]": 900}, {"[S2]"}, ("[S1]",)),
        ({"[S1]": 900, "[S2]": 901}, {"[S2]"}, ("[S1]",)),  # in the vocabulary, and never found in a text
    ],
)
def test_tags_are_missing_if_no_text_gives_their_tokens(
    vocabulary: dict[str, int], found: set[str], missing: tuple[str, ...]
) -> None:
    tokenizer = Tokens(vocabulary, found=found)
    assert missing_tags(tokenizer, tokenizer.encode) == missing


@pytest.mark.parametrize("checkpoint", CHECKPOINTS)
def test_an_ordinary_tokenizer_has_them(checkpoint: str) -> None:
    assert engine(checkpoint).runtime.missing_tags == ()


def without(folder: Path, *tags: str) -> Dia2:
    """tiny8 with a tokenizer that lacks these."""
    shutil.copytree(TINY8 / "tokenizer", folder)
    path = folder / "tokenizer.json"
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    data["added_tokens"] = [token for token in data["added_tokens"] if token["content"] not in tags]
    for tag in tags:
        data["model"]["vocab"].pop(tag, None)
    path.write_text(json.dumps(data), encoding="utf-8")
    return Dia2.from_local(**(local_files("tiny8") | {"tokenizer_id": str(folder)}), device="cpu")


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    messages = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    caplog.clear()
    return messages


def test_each_run_tells_once_which_tag_is_missing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tts = without(tmp_path / "tokenizer", "[S2]")
    note = (
        "the tokenizer has no token for speaker tag [S2]: pieces of text stand for it, and the model cannot tell who "
        "speaks, so a prefix's voice may be lost and voices may change; give the model's own by --tokenizer"
    )
    tts.generate("[S1] Hi.", seed=1, cfg_scale=1, **BOTH)
    assert told(caplog) == [note]
    next(tts.stream(iter(["[S2] Hi."]), seed=1, cfg_scale=1))
    assert told(caplog) == [note]


def test_both_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    next(without(tmp_path / "tokenizer", "[S1]", "[S2]").stream("Hi.", seed=1, cfg_scale=1, **PREFIX))
    assert [note.split(":")[0] for note in told(caplog)] == ["the tokenizer has no token for speaker tag [S1] and [S2]"]
