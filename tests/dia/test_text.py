"""A script as bytes: tags, the cut, the mask, and what is refused."""

from __future__ import annotations

import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dia.config import parse_config
from dia.text import encode_text, read_scripts
from dia2.common.errors import UsageError

from ..support.dia import first_form, tiny_dia

CONFIG = parse_config(tiny_dia())  # 40 positions, 256 bytes
ASCII = parse_config(first_form())  # 128 positions, 128 bytes


def one(text: str) -> list[int]:
    tokens, mask = encode_text([text], CONFIG)
    assert bool(mask.all())
    row: list[int] = tokens[0].tolist()
    return row


def refusal(texts: object, config: object = CONFIG, *, strict: bool = False) -> str:
    with pytest.raises(UsageError) as caught:
        encode_text(texts, config, strict=strict)  # type: ignore[arg-type]  # what is refused may be no text
    return str(caught.value)


def test_tags_are_one_byte_each() -> None:
    assert one("[S1] Hi. [S2] Oh!") == [1, *b" Hi. ", 2, *b" Oh!"]
    assert one("[S1][S2][S1]") == [1, 2, 1]
    assert one("[s1] [S3] [S 1]") == [*b"[s1] [S3] [S 1]"]


def test_text_is_utf_8_and_not_normalised() -> None:
    assert one("\n é ") == [*"\n é ".encode()]
    assert one("a\ud800b") == [*b"a?b"]  # half a surrogate pair has no UTF-8


PIECES = st.lists(st.sampled_from(["[S1]", "[S2]", "[S", "]", " ", "long words, ", "é", "字", "\0"]), max_size=12)


@settings(max_examples=50)
@given(texts=st.lists(PIECES.map(lambda pieces: "".join([*pieces, "."])), min_size=1, max_size=4))
def test_the_cut_comes_after_the_tags_and_padding_last(texts: list[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tokens, mask = encode_text(texts, CONFIG)
    rows = [text.encode("utf-8", "replace").replace(b"[S1]", b"\1").replace(b"[S2]", b"\2")[:40] for text in texts]
    assert tokens.shape == mask.shape == (len(texts), max(map(len, rows)))
    assert tokens.dtype == torch.int64
    for i, row in enumerate(rows):
        assert tokens[i, : len(row)].tolist() == [*row]
        assert bool((tokens[i, len(row) :] == 0).all())
        assert mask[i].tolist() == [n < len(row) for n in range(tokens.shape[1])]


def test_another_padding_byte() -> None:
    config = parse_config(first_form({"data.text_pad_value": 7}))
    tokens, _ = encode_text(["a", "abc"], config)
    assert tokens.tolist() == [[97, 7, 7], [97, 98, 99]]


def test_a_text_of_just_as_many_bytes_is_whole() -> None:
    assert one("[S1]" + "x" * 39) == [1, *b"x" * 39]


def test_a_text_that_is_too_long_is_cut_with_a_warning() -> None:
    text = "[S1] One two three four five six seven eight nine."
    with pytest.warns(UserWarning, match="is cut off") as caught:
        assert one(text) == [1, *text[4:43].encode()]
    said = "Script 1 has 47 bytes and the encoder takes 40: what follows '[S1] One two three four five six seven eigh'"
    assert [str(warning.message) for warning in caught] == [f"{said} is cut off."]
    assert refusal([text], strict=True) == f"{said} is cut off; shorten it."


def test_the_warning_shows_the_end_of_what_is_kept() -> None:
    with pytest.warns(UserWarning, match=r"Script 2 has 200 bytes and the encoder takes 128: what follows '…x{60}' is"):
        encode_text(["a", "x" * 200], ASCII)


def test_a_character_cut_in_two_is_no_fault() -> None:
    with pytest.warns(UserWarning, match=r"what follows 'x{39}' is cut off"):
        assert one("x" * 39 + "é") == [*b"x" * 39, 0xC3]


@pytest.mark.parametrize("text", ["", " ", "\n\t "])
def test_an_empty_text_is_refused(text: str) -> None:
    assert refusal(["a", text]) == "Script 2 is empty: give it some text, such as '[S1] Hello.'."


@pytest.mark.parametrize(("value", "kind"), [(5, "int"), (None, "NoneType"), (b"text", "bytes"), (["a"], "list")])
def test_what_is_no_text_is_refused(value: object, kind: str) -> None:
    assert refusal([value]) == f"Script 1 is {kind}, not text: give a string or a list of strings."


def test_bytes_that_the_checkpoint_does_not_know_are_refused() -> None:
    encode_text(["[S1] plain ~"], ASCII)
    expected = "Script 1 has 'ü', and this checkpoint reads bytes below 128: write it in ASCII."
    assert refusal(["für"], ASCII) == expected


def test_a_foreign_character_beyond_the_cut_does_not_matter() -> None:
    with pytest.warns(UserWarning, match="is cut off"):
        encode_text(["x" * 130 + "ü"], ASCII)


def test_characters_that_nobody_sees_are_not_read() -> None:
    assert read_scripts(["\ufeff[S\u200b1] Hel\u00adlo\u200d.", "می\u200cخ \U0001f469\u200d\U0001f469"]) == [
        "[S1] Hello.",
        "می\u200cخ \U0001f469\u200d\U0001f469",
    ]
    assert read_scripts(["[S1]", "[s1] [S3] [S 1]\n é "]) == ["[S1]", "[s1] [S3] [S 1]\n é "]


@pytest.mark.parametrize("text", ["\ufeff", "\u200b \u2060", "[S1] \u200d [S2]"])
def test_a_script_of_them_alone_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_scripts(["a", text])
    assert str(caught.value) == "Script 2 has no words, only invisible characters: give it some text."


def test_a_batch_is_told_each_spelling_once(caplog: pytest.LogCaptureFixture) -> None:
    read_scripts(["[S 1] Ha (laughs) [S 1]", "[S 1] Ha [S1] ho"])
    assert [record.getMessage() for record in caplog.records] == [
        "[S 1] in the script is not a speaker tag, so it is read aloud: write [S1] or [S2]"
    ]
