"""Whisper's pieces become words, and its times such that a prefix can be made of them."""

from __future__ import annotations

import math
import re
import sys
import unicodedata
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dia2.runtime.heard import Heard, is_spaceless, join_pieces, repair_times, thin
from dia2.runtime.words import WHISPER_RATE

from ..support.examples import examples

Row = dict[str, Any]
SILENCE = torch.zeros(3 * WHISPER_RATE)


def segment(*pieces: str, at: float = 0.0) -> Row:
    """A segment whose pieces take 0.2 s each."""
    rows = enumerate(pieces)
    return {"words": [{"word": p, "start": at + 0.2 * i, "end": at + 0.2 * (i + 1)} for i, p in rows]}


def texts(*segments: Row) -> list[str]:
    return [text for text, *_ in join_pieces(segments)]


@pytest.mark.parametrize(
    ("pieces", "words"),
    [
        ([" My", " well", "-known", " $5", ".50"], ["My", "well-known", "$5.50"]),
        ([" D", ".F.", " Wallace."], ["D.F.", "Wallace."]),
        ([" rock", "'n", "'roll", " at", " 9", ":", "30", "%"], ["rock'n'roll", "at", "9:30%"]),
        (["Hello", ",", " you"], ["Hello,", "you"]),
        ([" a", "/b", "(c", ")"], ["a/b(c)"]),
        ([" Hello ", "you"], ["Hello", "you"]),  # a space between, wherever it stands
        ([" Hello", " ", "you"], ["Hello", "you"]),
        ([" c'est", "-à", "-dire"], ["c'est-à-dire"]),
        ([" 안녕", "하세요", " 여러분"], ["안녕하세요", "여러분"]),
    ],
)
def test_a_piece_without_a_space_belongs_to_the_word_before(pieces: list[str], words: list[str]) -> None:
    assert texts(segment(*pieces)) == words


def test_a_word_lasts_from_its_first_piece_to_its_last() -> None:
    rows = join_pieces([segment(" a", " b", "-c", ".d", " e")])
    assert [(text, round(start, 2), round(end, 2)) for text, start, end in rows] == [
        ("a", 0.0, 0.2),
        ("b-c.d", 0.2, 0.8),
        ("e", 0.8, 1.0),
    ]


@pytest.mark.parametrize(
    ("pieces", "words"),
    [
        (["今", "天", "天", "气", "很好", "。"], ["今", "天", "天", "气", "很好。"]),
        (["コ", "ー", "ヒ", "ー", "を", "ち", "ょ", "っと", "。"], ["コー", "ヒー", "を", "ちょっと。"]),
        (["「", "東京", "」", "は", "2", "0", "度"], ["「東京」", "は", "20", "度"]),
        (["Dia", "2", "は", "Hello", " World", "と", "言", "う"], ["Dia2", "は", "Hello", "World", "と", "言", "う"]),
        (["ก", "ำ", "อย", "่", "า", " จ", "ิ", "้", "น", "โ", "ห", "ล"], ["กำ", "อย่า", "จิ้", "น", "โห", "ล"]),  # heard
        (["ສ", "ະ", "ບາຍ", "ດ", "ີ", "ໄ", "ປ"], ["ສະ", "ບາຍ", "ດີ", "ໄປ"]),
        (["မင်", "္", "ဂလာ", "ပါ"], ["မင်္", "ဂလာ", "ပါ"]),
    ],
)
def test_scripts_without_spaces_keep_whispers_pieces(pieces: list[str], words: list[str]) -> None:
    assert texts(segment(*pieces)) == words


_SPACELESS = re.compile(
    "(HALFWIDTH |VERTICAL )?"
    "(THAI|LAO|TIBETAN|MYANMAR|KHMER|BOPOMOFO|HIRAGANA|KATAKANA|HENTAIGANA|CJK|KANA|IDEOGRAPHIC|MASU)"
)


def test_the_letters_of_these_scripts_and_no_others_stand_without_spaces() -> None:
    for char in map(chr, range(sys.maxunicode + 1)):
        name = unicodedata.name(char, "")
        if unicodedata.category(char)[0] == "L" and name and "MINNAN" not in name:  # Taiwanese tone letters
            assert is_spaceless(char) == bool(_SPACELESS.match(name)), name


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ([" Hello"], ["you"], ["Hello", "you"]),  # no space: Whisper often sets none where a window begins
        ([" well"], ["-known"], ["well-known"]),
        ([" $5"], [".50", " each"], ["$5.50", "each"]),
        ([" you?"], ["-No", ".", " Yes"], ["you?", "-No.", "Yes"]),  # a dash that opens a turn
        ([" you"], ["-", " No."], ["you", "-No."]),
        ([" you"], [".", " No."], ["you.", "No."]),
        ([" he"], ['"', "Yes", '"'], ["he", '"Yes"']),
        ([" he"], ["(", "yes", ")"], ["he", "(yes)"]),
    ],
)
def test_a_segment_begins_a_word_unless_a_mark_ties_it(first: list[str], second: list[str], words: list[str]) -> None:
    assert texts(segment(*first), segment(*second, at=1.0)) == words


@pytest.mark.parametrize(
    ("pieces", "words"),
    [
        ([" - Hello", " —", " there", " ..."], ["-Hello—", "there..."]),  # the first as Whisper itself joins it
        ([" —", " Hello"], ["—Hello"]),
        ([" you", " &", " me", " 50", " %", " ♪"], ["you", "&", "me", "50", "%", "♪"]),
        ([" ...", " —"], []),
        ([" New York"], ["New York"]),
    ],
)
def test_marks_alone_are_no_word(pieces: list[str], words: list[str]) -> None:
    assert texts(segment(*pieces)) == words


def test_marks_set_apart_take_no_time_from_the_pause() -> None:
    assert join_pieces([segment(" a", " —", " b")])[0] == ("a—", 0.0, 0.2)


def test_too_many_words_of_a_script_without_spaces_are_joined_the_shortest_first() -> None:
    words: list[Heard] = [
        ("今", 0.0, 0.4),
        ("天", 0.4, 0.45),
        ("好", 0.45, 0.5),
        (" ok", 0.5, 0.52),
        ("yes", 0.52, 0.54),
    ]
    assert [text for text, *_ in thin(words, 4)] == ["今", "天好", " ok", "yes"]
    assert thin(words, 3)[0] == ("今天好", 0.0, 0.5)
    assert len(thin(words, 1)) == 3  # what is set apart stays apart
    assert thin(words, 5) == words


def repaired(*times: tuple[float, float]) -> list[tuple[float, float]]:
    """What becomes of words at these times in 3 s of silence."""
    words, _ = repair_times([("x", start, end) for start, end in times], SILENCE, WHISPER_RATE)
    return [(start, end) for _, start, end in words]


def test_right_times_stay() -> None:
    times = [(0.0, 0.02), (0.02, 0.5), (0.9, 1.37), (1.37, 3.0)]
    assert repaired(*times) == times
    assert repair_times([("x", *time) for time in times], SILENCE, WHISPER_RATE)[1] == []


@pytest.mark.parametrize(
    ("times", "right"),
    [
        ([(1.0, 1.7), (1.52, 2.0)], [(1.0, 1.52), (1.52, 2.0)]),  # overlapping: until the next begins
        ([(1.0, 1.3), (2.0, 2.0), (2.0, 2.4)], [(1.0, 1.3), (1.92, 2.0), (2.0, 2.4)]),  # no time: from the pause before
        ([(1.0, 1.3), (1.3, 1.3), (1.3, 2.0)], [(1.0, 1.22), (1.22, 1.3), (1.3, 2.0)]),  # or from the word before
        ([(1.0, 1.1), (1.1, 1.1), (1.1, 2.0)], [(0.97, 1.02), (1.02, 1.1), (1.1, 2.0)]),  # which keeps half of its own
        ([(0.0, 0.0), (0.0, 0.0), (0.0, 1.0)], [(0.0, 0.08), (0.08, 0.16), (0.16, 1.0)]),
        ([(2.5, 2.9), (2.9, 3.1), (3.1, 3.2)], [(2.5, 2.87), (2.87, 2.95), (2.95, 3.0)]),  # past the sound
        ([(-0.2, 0.3), (0.3, 0.5)], [(0.0, 0.3), (0.3, 0.5)]),
    ],
)
def test_wrong_times_are_repaired(times: list[tuple[float, float]], right: list[tuple[float, float]]) -> None:
    assert [(round(start, 4), round(end, 4)) for start, end in repaired(*times)] == right


def test_what_was_repaired_is_told_with_its_number() -> None:
    times = [(0.1, 0.1), (0.4, 0.9), (0.8, 0.8), (2.0, 3.4)]
    _, notes = repair_times([("x", *time) for time in times], SILENCE, WHISPER_RATE)
    assert notes == ["2 taking no time", "1 overlapping the next", "1 past the sound"]


times = st.floats(-1, 4).map(lambda second: round(second, 2))


@settings(max_examples=examples(60))
@given(st.lists(st.tuples(times, times), min_size=1, max_size=38))
def test_whatever_the_times_are_each_word_gets_its_own(given_times: list[tuple[float, float]]) -> None:
    times = repaired(*given_times)
    assert all(0 <= start < end <= 3 for start, end in times)
    assert all(before <= start for (_, before), (start, _) in pairwise(times))


def tone(start: float, end: float, seconds: float, hum: float = 0.0) -> torch.Tensor:
    time = torch.arange(round(seconds * WHISPER_RATE)) / WHISPER_RATE
    sound = torch.where((time >= start) & (time < end), 0.3 * torch.sin(2 * math.pi * 440 * time), 0.0)
    return sound + hum * torch.sin(2 * math.pi * 50 * time) + hum / 3 * torch.sin(2 * math.pi * 300 * time)


@pytest.mark.parametrize("hum", [0.0, 0.003, 0.02])
def test_the_first_word_begins_where_its_sound_does(hum: float) -> None:
    words: list[Heard] = [("Hello", 0.3, 1.4), ("you", 1.4, 1.9)]
    found, notes = repair_times(words, tone(1.1, 1.9, 2.5, hum), WHISPER_RATE)
    assert found[0][1] == pytest.approx(1.1, abs=0.03)
    assert (found[0][2], found[1]) == (1.4, words[1])
    assert notes == [f"the first at 0.30 s, its sound at {found[0][1]:.2f} s"]


@pytest.mark.parametrize("start", [1.02, 1.1, 1.2])
def test_a_first_word_that_is_about_right_stays(start: float) -> None:
    words: list[Heard] = [("Hello", start, 1.6)]
    assert repair_times(words, tone(1.1, 1.6, 2.0), WHISPER_RATE) == (words, [])


def test_a_first_word_never_begins_after_its_end() -> None:
    for end in (0.5, 1.1, 1.13):
        found, _ = repair_times([("Hello", 0.2, end)], tone(1.1, 1.6, 2.0), WHISPER_RATE)
        assert 0.2 <= found[0][1] < found[0][2] == end


@pytest.mark.parametrize("hum", [0.0, 0.003, 0.02])
def test_a_word_after_a_pause_begins_where_its_sound_does(hum: float) -> None:
    words: list[Heard] = [("Hello", 0.0, 0.3), ("you", 0.3, 1.5), ("there", 1.5, 2.0)]
    found, notes = repair_times(words, tone(0.0, 0.3, 2.5, hum) + tone(1.1, 2.0, 2.5), WHISPER_RATE)
    assert found[1][1] == pytest.approx(1.1, abs=0.03)
    assert (found[0], found[1][2], found[2]) == (words[0], 1.5, words[2])
    assert notes == ["1 beginning in the pause before"]


@pytest.mark.parametrize("spilt", [0.0, 0.06])
def test_a_word_before_a_pause_stays(spilt: float) -> None:
    words: list[Heard] = [("Hello", 0.0, 0.3), ("you", 0.3, 1.5), ("there", 1.5, 2.0)]
    sound = tone(0.0, 0.5, 2.5) + tone(1.5 - spilt, 2.0, 2.5)
    assert repair_times(words, sound, WHISPER_RATE) == (words, [])


def test_a_word_after_a_closure_stays() -> None:
    words: list[Heard] = [("to", 0.0, 0.3), ("talk", 0.3, 0.9)]
    assert repair_times(words, tone(0.0, 0.3, 1.5) + tone(0.5, 0.9, 1.5), WHISPER_RATE) == (words, [])
