"""Characters that nobody sees: which go, which do something and stay, whole and in pieces."""

import time
import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dia2.runtime.invisible import Visible, visible

FAMILY = "\U0001f469\u200d\U0001f469\u200d\U0001f467"
ASTRONAUT = "\U0001f469\U0001f3fd\u200d\U0001f680"  # a skin tone between
HEART = "\U0001f469\u200d\u2764\ufe0f\u200d\U0001f468"
ENGLAND = "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"


@pytest.mark.parametrize(
    "text",
    [
        FAMILY, ASTRONAUT, HEART, ENGLAND, f"Hi{FAMILY}!", "\U0001f3f3\ufe0f\u200d\U0001f308", "1\ufe0f\u20e3",
        "☺\ufe0f", "\u00a9\ufe0e", "葛\U000e0100", "می\u200cخواهم", "ه\u200dه", "क्\u200dष", "क्\u200cष", "ක්\u200dර",
        "র\u200d্য", "ന്\u200d", "അവന്\u200d വന്നു", "ᠬᠠᠭ\u180eᠠ", "\u0601١٢", "plain",
        "[S1] Grüße, 世界 \u00a0\u2003x\u0301", "",
    ],
)  # fmt: skip
def test_what_does_something_stays(text: str) -> None:
    assert visible(text) == text


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("\ufeff[S\u200b1\u2060] Hel\u00adlo\u200e.", "[S1] Hello."), ("a\u200db\u200cc", "abc"),
        ("Auf\u200clage", "Auflage"), ("א\u200dב", "אב"), ("п\u200dп", "пп"), ("\u200d", ""),
        ("a \u200d\u200c b", "a  b"), ("\u200cمی", "می"), ("می\u200c.", "می."), ("می\u200c", "می"),
        ("م\u200dx", "مx"), ("x\u200dم", "xم"), ("م\u200c١", "م١"), ("می\u200b\u200c\u2060\u200cخ", "می\u200cخ"),
        ("م\u200d\u200cم", "م\u200dم"), ("\U0001f469\u200d", "\U0001f469"), ("\u200d\U0001f469", "\U0001f469"),
        ("\U0001f469\u200dx", "\U0001f469x"), ("\U0001f469\u200c\U0001f469", "\U0001f469\U0001f469"),
        ("\U0001f469\u200d\ufe0f\u200d\U0001f469", "\U0001f469\u200d\U0001f469"),
        ("Hi\ufe0f there\ufe0f", "Hi there"), ("1\ufe0f", "1"), ("1\ufe0f2", "12"), ("\ufe0f", ""), ("é\ufe01", "é"),
        ("a\U000e0041\U000e007fb", "ab"), (ENGLAND[:-1], ENGLAND[0]), ("\U0001f469" + ENGLAND[1:], "\U0001f469"),
        ("one\u3164two\u2800\uffa0", "one two  "), ("x\u034f\u115f\u17b4\U0001d173\U000e0001y", "xy"),
    ],
)  # fmt: skip
def test_what_does_nothing_goes(text: str, seen: str) -> None:
    assert visible(text) == seen


def test_all_format_characters_go_but_signs_with_a_shape() -> None:
    stay = {c for c in map(chr, range(0x110000)) if unicodedata.category(c) == "Cf" and visible(f"x{c}y") != "xy"}
    numbers = {c for c in stay if unicodedata.name(c).startswith(("ARABIC", "SYRIAC", "KAITHI"))}
    assert {ord(c) for c in numbers} >= {*range(0x600, 0x606), 0x6DD, 0x70F, 0x8E2, 0x110BD, 0x110CD}
    assert all(unicodedata.name(c).startswith("EGYPTIAN HIEROGLYPH") for c in stay - numbers)


def test_no_printable_ascii_or_white_space_goes() -> None:
    text = "".join(c for c in map(chr, range(0x3000)) if c.isspace() or " " <= c <= "~")
    assert visible(text) == text


ALPHABET = [
    *"ab1# \n", "\ufeff", "\u200b", "\u200c", "\u200d", "\ufe0f", "\u20e3", "\u180e", "خ", "م", "क", "\u094d",
    "\u0d4d", "\U0001f469", "\U0001f3fd", "❤", *ENGLAND, ENGLAND, "\U000e0100", "葛", "\u3164",
]  # fmt: skip


@given(st.lists(st.sampled_from(ALPHABET), max_size=16).map("".join), st.lists(st.integers(0, 40), max_size=6))
@settings(max_examples=300, deadline=None)
def test_pieces_give_what_the_whole_gives_and_once_is_enough(text: str, points: list[int]) -> None:
    whole = visible(text)
    assert visible(whole) == whole
    bounds = [0, *sorted(point % (len(text) + 1) for point in points), len(text)]
    reader = Visible()
    assert "".join([*(reader.feed(text[a:b]) for a, b in pairwise(bounds)), reader.close()]) == whole


def test_only_what_may_yet_go_waits() -> None:
    reader = Visible()
    assert [reader.feed(piece) for piece in ("می", "\u200c", "\u200b", "خ", "x\ufeff", "\u200d")] == [
        "می", "", "", "\u200cخ", "x", "",
    ]  # fmt: skip
    assert reader.close() == ""


def test_a_stream_of_them_alone_takes_neither_time_nor_memory() -> None:
    reader, began = Visible(), time.perf_counter()
    assert "".join(reader.feed("\u200d\ufe0f" * 50) for _ in range(1000)) == ""
    assert len(reader._held) <= 200
    assert visible("م\u200d" * 50_000) == "م\u200d" * 49_999 + "م"
    assert time.perf_counter() - began < 10
