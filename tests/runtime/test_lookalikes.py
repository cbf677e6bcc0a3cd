"""What looks like a tag or a cue and is words: found in every spelling, in pieces too, and in no ordinary text."""

import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dia2.runtime.cues import cue
from dia2.runtime.lookalikes import Lookalike, Lookalikes, lookalikes


def spellings(text: str) -> list[str]:
    return [found.spelling for found in lookalikes(text)]


# spelling → the speaker that it says, if it says one
IN_BRACKETS: dict[str, int | None] = {
    "[S 1]": 1, "[s 2]": 2, "[S-1]": 1, "[S_2]": 2, "[S.1]": 1, "[S:1]": 1, "[S#1]": 1, "[ S1 ]": 1, "[S1:]": 1,
    "[S01]": 1, "[s1]": 1, "[S3]": None, "[S]": None, "[S①]": 1, "[S１]": 1, "[S١]": 1, "[S²]": 2, "[Ѕ1]": 1,
    "[S1, S2]": 1, "[/S1]": 1, "(S1)": 1, "(S 2)": 2, "<S1>": 1, "</S1>": 1, "<|S1|>": 1, "{S1}": 1, "{{S2}}": 2,
    "［S1］": 1, "（S1）": 1, "｛S1｝": 1, "【S1】": 1, "〔S1〕": 1, "「S1」": 1, "『S2』": 2, "《S1》": 1, "⟨S1⟩": 1,
    "«S1»": 1, "⟦S1⟧": 1, "[S1)": 1, "[S1}": 1, "[S1\\]": 1, "[Speaker 1]": 1, "[speaker2]": 2, "[SPEAKER 1]": 1,
    "(Speaker 2)": 2, "<speaker 1>": 1, "[Speaker A]": 1, "[Speaker B]": 2, "[Speaker Two]": 2, "[Speaker II]": 2,
    "[Speaker #1]": 1, "[Speaker: 1]": 1, "[Speaker 3]": None, "[SPEAKER_00]": None, "[SPEAKER_01]": None,
    "[SPEAKER_1]": 1, "[spk_0]": None, "[spk1]": 1, "[Speaker]": None, '<speaker id="1">': 1, "[Sprecher 1]": 1,
    "[Locuteur 2]": 2, "[说话人1]": 1, "[Person 1]": 1, "[Voice 2]": 2, "**[S 1]**": 1, "__[Speaker 2]__": 2,
    "`[S 1]`": 1, "~~(S1)~~": 1,
}  # fmt: skip
LABELS: dict[str, int | None] = {
    "S1:": 1, "S2:": 2, "s1:": 1, "S1 :": 1, "S 1:": 1, "S_2:": 2, "S01:": 1, "Ｓ１：": 1, "S1：": 1, "Speaker 1:": 1,
    "Speaker 2:": 2, "speaker2:": 2, "SPEAKER_00:": None, "Speaker A:": 1, "Speaker Two:": 2, "Speaker 3:": None,
    "spk_1:": 1, "**Speaker 1:**": 1, "**Speaker 1**:": 1, "*S1*:": 1, "__S2:__": 2, "`S1`:": 1,
    "Speaker 1 (angry):": 1, "SPEAKER_01 [00:01]:": None, "Sprecher 2:": 2, "Person 1:": 1, "S1]": 1,
}  # fmt: skip
MARKED = {
    "**[S1]**": 1, "*[S2]*": 2, "***[S1]***": 1, "__[S1]__": 1, "_[S2]_": 2, "`[S1]`": 1, "~~[S1]~~": 1, "[[S1]]": 1,
    "([S2])": 2, "<[S1]>": 1, "**[S1]": 1,
}  # fmt: skip
SOUNDS = [
    "(laughs)", "[laughs]", "[laughter]", "{laugh}", "<laugh>", "*sighs*", "**laughs**", "_whispers_", "~giggles~",
    "（laughs）", "【laughter】", "(LAUGHS)", "(Laughs.)", "(clears throat)", "(clears his throat)",
    "[throat clearing]",
    "*clears throat*", "(laughs nervously)", "(sighs deeply)", "(laughing softly)", "(chuckling, then sighs)",
    "(takes a deep breath)", "(deep breath)", "(he laughs)", "(crowd cheering)", "(gasps in shock)",
    "[laughs harder]", "[door closes]", "(door slams)", "(phone rings)", "[phone rings in the distance]",
    "[thunder rumbling]", "[upbeat music playing]", "[music]", "[MUSIC]", "[excited]", "[whispering]",
    "[robotic voice]", "(applause)", "[inaudible]", "(soft laugh)", "(humming a tune)", "(lacht)", "(rires)", "（笑）",
    "[笑声]", "(cries)", "(sobbing)", "(clapping)", "(breathes heavily)",
]  # fmt: skip
PAUSES = [
    "(pause)",
    "[pause]",
    "<pause>",
    "(long pause)",
    "[pauses]",
    "(beat)",
    "[silence]",
    "[pause 1s]",
    "[pause: 0.5 seconds]",
]

ORDINARY = [
    "At 10:30 we go. Note: it is (as I said) on page [3].", "The S1 train and the S2 train. Take the S1: it is fast.",
    "Step 1: go. Section 2: stop. Chapter 1: The Door.", "It is there (see S1).", "See [1] and [2], and note [^1].",
    "https://a.b/S1:8080 and https://x.org/(S1) and [a link](http://a.b)",
    "[S1] Hi. [S2] Oh! [S1]Well,[S2]no. [S1]: Yes.", "* one\n* two\n- three\n1. four",
    "2 * 3 * 4 and _a_ or `code` and ~5~", "*really* good, _very_ nice, **bold words**", "(sic) [sic] [...]",
    "(2024) (NASA) (e.g. this) (i.e. that) (a) (1) (c) 2020", "[citation needed] (for example) (and so on) (or not)",
    "(Smith, 2020)", "a (laughing stock), the (cough medicine), (for crying out loud)",
    "f(S1), List<S1>, x_S1: y, the Storage (S3), page (S. 1)",
    "The loudspeaker 1: x. Two loudspeakers 2: x. Speaker 1 is loud. The speaker: welcome.",
    "it's 1: that, iPhone 5s 1: x, S10: y", "Q: What? A: Yes.", "I was *crying*. The *screaming* child.",
    "he (sadly) left", "the arts (music, dance)", "(I laughed) (he said so)",
    "[Anna] Hello. [T1] [Sx] [] [x] done [ ] todo", "odds at 1:2, Genesis 1:2", "S1 - the fast train",
    "a < b and c > d, 3<4>2", "(rain or shine)", "(not breathing)", "S1 and S2 are lines.", "the S1\ntrain",
    "<i>so</i> <b>it</b> is", "my hobby (classical music)", "[S1] *Hello* [S2] _there_", "\u2014 S1 \u2014",
    "½ of S², [½]", "[the S1] is late",
]  # fmt: skip


@pytest.mark.parametrize(("spelling", "speaker"), IN_BRACKETS.items())
@pytest.mark.parametrize("script", ["{} Hello there.", "[S1] Hello. {} there", "Hello,\n{}\nthere."])
def test_a_tag_that_is_nearly_right_is_found(script: str, spelling: str, speaker: int | None) -> None:
    assert lookalikes(script.format(spelling)) == [Lookalike(spelling, "tag", speaker)]


@pytest.mark.parametrize(("spelling", "speaker"), LABELS.items())
@pytest.mark.parametrize(
    "script",
    ["{} Hello.", "Hi.\n{} Hello.", "Hi. {} Hello.", "- {} Hi.", "> {} Hi", "1. {} Hi", "00:01 {} Hi", "[S1] {} Hi"],
)
def test_a_label_before_what_is_said_is_found(script: str, spelling: str, speaker: int | None) -> None:
    assert lookalikes(script.format(spelling)) == [Lookalike(spelling, "tag", speaker)]


@pytest.mark.parametrize(
    ("script", "spelling"),
    [
        ("Speaker 1\nHello", "Speaker 1"), ("Speaker 2  0:05\nHello", "Speaker 2"), ("S1\nHello", "S1"),
        ("Speaker 1 - Hello", "Speaker 1 -"), ("Speaker 1 – Hello", "Speaker 1 –"), ("S1> Hello", "S1>"),
        ("[S1 Hello there", "[S1"), ("[Speaker 1 Hello", "[Speaker 1"), ("Hello[S 1]there", "[S 1]"),
        ("[S\n1] Hello", "[S 1]"), ("[S1]** Hello", "[S1]**"),
    ],
)  # fmt: skip
def test_other_places_of_a_label_or_a_tag(script: str, spelling: str) -> None:
    assert spellings(script) == [spelling]


@pytest.mark.parametrize(("spelling", "speaker"), MARKED.items())
def test_marks_around_a_tag_are_found(spelling: str, speaker: int) -> None:
    assert lookalikes(f"{spelling} Hello. [S1] Hi.") == [Lookalike(spelling, "marked", speaker)]


def test_marks_that_belong_to_a_word_are_not_the_tags() -> None:
    assert spellings("[S1]*sighs* Hello") == ["*sighs*"]
    assert spellings("[S1]*really* so") == []


@pytest.mark.parametrize(("spellings", "kind"), [(SOUNDS, "sound"), (PAUSES, "pause")])
@pytest.mark.parametrize("script", ["[S1] Hello. {} Yes.", "{}", "{}\nYes.", "[S2]{} Yes."])
def test_a_cue_is_found(script: str, spellings: list[str], kind: str) -> None:
    for spelling in spellings:
        assert [(f.spelling, f.kind) for f in lookalikes(script.replace("{}", spelling))] == [(spelling, kind)]


def test_a_manner_in_round_brackets_is_a_cue_where_a_sentence_begins() -> None:
    assert spellings("[S1] (angrily) Get out! (softly) No.") == ["(angrily)", "(softly)"]
    assert spellings("And he (angrily) left.") == []


@pytest.mark.parametrize("text", ORDINARY)
def test_no_false_alarm(text: str) -> None:
    assert spellings(text) == []
    assert spellings(f"[S1] {text}") == []


@pytest.mark.parametrize(
    "text", ["", " ", "...", "a" * 60, "the laughing of fools is like thorns", "laughs if", "3 laughs"]
)
def test_what_is_no_cue(text: str) -> None:
    assert cue(text) is None


PARTS = [
    *IN_BRACKETS,
    *LABELS,
    *MARKED,
    *SOUNDS,
    *PAUSES,
    *ORDINARY,
    " ",
    "\n",
    ". ",
    "x" * 80,
    " " * 30,
    *"[]()*_`~<>:S1",
]


@given(
    st.lists(st.sampled_from(PARTS), max_size=15),
    st.sampled_from(["", " ", "\n"]),
    st.lists(st.integers(0, 2000), max_size=8),
)
@settings(max_examples=200, deadline=None)
def test_pieces_give_what_the_whole_gives(parts: list[str], between: str, points: list[int]) -> None:
    text = between.join(parts)
    finder = Lookalikes()
    bounds = [0, *sorted(point % (len(text) + 1) for point in points), len(text)]
    found = [what for a, b in pairwise(bounds) for what in finder.feed(text[a:b])] + finder.close()
    assert found == lookalikes(text)


def test_each_character_alone_gives_what_the_whole_gives() -> None:
    text = "\n".join([*IN_BRACKETS, *LABELS, *MARKED, *SOUNDS, *PAUSES, *ORDINARY])
    finder = Lookalikes()
    assert [what for char in text for what in finder.feed(char)] + finder.close() == lookalikes(text)


def test_a_stream_is_told_of_them_before_it_ends_and_keeps_little() -> None:
    finder = Lookalikes()
    assert finder.feed("[S 1] Hello. ") == []  # the bracket of a link may follow, or the like
    assert [what.spelling for what in finder.feed("word " * 50)] == ["[S 1]"]
    for _ in range(1000):
        finder.feed("word " * 50)
    assert len(finder._text) == len(finder._folded) < 1000


@pytest.mark.parametrize(
    "text",
    ["(", "[", "(a", "*a", "*", "s1 ", "speaker 1 ", "[s1 ", " ", "laughs ", "(laughs ", "`a ", "_a_", "[S 1]",
     "é\u0301", "[(<{", "S1:"],
)  # fmt: skip
def test_time_grows_with_the_text_alone(text: str) -> None:
    began = time.perf_counter()
    lookalikes(text * (100_000 // len(text)))
    assert time.perf_counter() - began < 5  # a third of a second, on a free core
