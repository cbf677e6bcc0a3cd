"""Subtitles: exact files for short dialogues, and cues that never overlap or run backwards."""

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dia2.common.errors import Dia2Error, UsageError
from dia2.generation import GenerationResult
from dia2.runtime.subtitles import (
    Cue,
    check_subtitle_path,
    format_subtitles,
    make_cues,
    without_markup,
    write_subtitles,
)
from tests.support.examples import examples
from tests.support.results import made_result


def result(words: Sequence[tuple[str, float, int]], duration: float) -> GenerationResult:
    """A result of (word, start, speaker) that lasts so many seconds."""
    return made_result(words, torch.zeros(round(duration * 1000)), 1000)


DIALOGUE = result([("Hello,", 0.16, 1), ("you.", 0.64, 1), ("Hi!", 1.2, 2), ("How", 1.6, 2), ("so?", 1.84, 2)], 2.8)


def test_a_dialogue_as_srt(tmp_path: Path) -> None:
    write_subtitles(tmp_path / "a.srt", DIALOGUE)
    assert (tmp_path / "a.srt").read_text(encoding="utf-8") == (
        "1\n"
        "00:00:00,160 --> 00:00:01,200\n"
        "Hello, you.\n"
        "\n"
        "2\n"
        "00:00:01,200 --> 00:00:01,600\n"
        "Hi!\n"
        "\n"
        "3\n"
        "00:00:01,600 --> 00:00:02,800\n"
        "How so?\n"
    )


def test_a_dialogue_as_vtt(tmp_path: Path) -> None:
    write_subtitles(str(tmp_path / "a.VTT"), DIALOGUE)
    assert (tmp_path / "a.VTT").read_text(encoding="utf-8") == (
        "WEBVTT\n"
        "\n"
        "00:00:00.160 --> 00:00:01.200\n"
        "<v Speaker 1>Hello, you.\n"
        "\n"
        "00:00:01.200 --> 00:00:01.600\n"
        "<v Speaker 2>Hi!\n"
        "\n"
        "00:00:01.600 --> 00:00:02.800\n"
        "<v Speaker 2>How so?\n"
    )


def test_no_words_are_no_cues() -> None:
    assert make_cues(result([], 1.0)) == []
    assert format_subtitles([], ".srt") == ""
    assert format_subtitles([], ".vtt") == "WEBVTT\n"


def test_a_new_speaker_begins_a_cue_in_the_middle_of_a_sentence() -> None:
    cues = make_cues(result([("well", 0.0, 1), ("no", 0.4, 2), ("but", 0.8, 1)], 1.0))
    assert cues == [Cue(0.0, 0.4, "well", 1), Cue(0.4, 0.8, "no", 2), Cue(0.8, 1.0, "but", 1)]


@pytest.mark.parametrize("mark", [".", "?", "!", "…"])
def test_a_sentences_end_ends_a_cue(mark: str) -> None:
    assert [cue.text for cue in make_cues(result([(f"a{mark}", 0.0, 1), ("b", 0.4, 1)], 1.0))] == [f"a{mark}", "b"]


def test_a_pause_ends_a_cue_which_does_not_stay_through_it() -> None:
    cues = make_cues(result([("a", 0.0, 1), ("b", 1.5, 1), ("c", 3.5, 1)], 9.0))
    assert cues == [Cue(0.0, 3.0, "a b", 1), Cue(3.5, 5.0, "c", 1)]


def test_a_cue_holds_two_lines_of_42_characters() -> None:
    words = [("x" * 9, 0.4 * i, 1) for i in range(20)]
    assert [len(cue.text) for cue in make_cues(result(words, 9.0))] == [79, 79, 39]
    exact = [("x" * 41, 0.0, 1), ("y" * 42, 0.4, 1), ("z", 0.8, 1)]
    assert [cue.text for cue in make_cues(result(exact, 9.0))] == ["x" * 41 + " " + "y" * 42, "z"]


def test_a_very_long_word_is_a_cue_of_its_own() -> None:
    words = [("a", 0.0, 1), ("x" * 500, 0.4, 1), ("b", 0.8, 1)]
    assert [cue.text for cue in make_cues(result(words, 9.0))] == ["a", "x" * 500, "b"]


def test_hours_minutes_and_milliseconds() -> None:
    cue = Cue(3723.0454, 36000.9996, "x", 1)
    assert format_subtitles([cue], ".srt") == "1\n01:02:03,045 --> 10:00:01,000\nx\n"
    assert format_subtitles([cue], ".vtt") == "WEBVTT\n\n01:02:03.045 --> 10:00:01.000\n<v Speaker 1>x\n"


def test_vtt_escapes_what_would_be_markup() -> None:
    cue = Cue(0.0, 1.0, "a<b>&amp; --> </v>", 2)
    assert format_subtitles([cue], ".vtt") == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.000\n<v Speaker 2>a&lt;b&gt;&amp;amp; --&gt; &lt;/v&gt;\n"
    )


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("<i>Hello</i> there.", "Hello there."),
        ("</u>so</U >", "so"),
        ('<font color="#ff0000">red</font>', "red"),
        ("<FONT color=red face='a b'>red", "red"),
        ("<c.yellow>you</c>", "you"),
        ("one<br/>two<BR>three", "one two three"),
        ("{\\an8}up {\\i1}high{\\I0}", "up high"),
        ("{\\pos(10,20)\\fnTimes New Roman}there", "there"),
        ("{y:i}a {C:$0000ff}b {f:Times New Roman}c {b:1}d", "a b c d"),
        ("<<i>b>x <{\\an8}i>y {<b>\\an8}z", "x y z"),
        ("--<i></i>>", "→"),
        # What is no markup stays, and what only looks like it keeps its words.
        ("x <3 y, 2 < 3 & 5 > 4, AT&T, a->b, <>, { a }, {hi}", "x <3 y, 2 < 3 & 5 > 4, AT&T, a->b, <>, { a }, {hi}"),
        ("a<b and c>d", "a‹b and c›d"),
        ("<laughs> <Bob Smith>", "‹laughs› ‹Bob Smith›"),
        ("{a: one two}", "(a: one two)"),
        ("{\\an8 up", "(\\an8 up"),
        ("{b: up", "(b: up"),
        ("<i", "<i"),
    ],
)  # fmt: skip
def test_srt_has_no_markup_that_a_player_would_obey(said: str, shown: str) -> None:
    assert without_markup(said) == shown
    assert format_subtitles([Cue(0.0, 1.0, said, 1)], ".srt").splitlines()[2:] == [shown]


@pytest.mark.parametrize("markup", [["<i>", "</i>"], ["<font", 'color="red">'], ["{\\an8}"], ["<B></B>"]])
def test_a_cue_without_text_is_left_out_and_the_numbers_go_on(markup: list[str]) -> None:
    """The markup is that of a cue, spread over its words."""
    middle = [(word, 1.0 + 0.4 * i, 2) for i, word in enumerate(markup)]
    cues = make_cues(result([("Hello.", 0.0, 1), *middle, ("Bye.", 3.0, 1)], 4.0))
    assert format_subtitles(cues, ".srt") == (
        "1\n00:00:00,000 --> 00:00:01,000\nHello.\n\n2\n00:00:03,000 --> 00:00:04,000\nBye.\n"
    )
    assert format_subtitles(cues, ".vtt").count("-->") == 3, "there it is text, and escaped"
    assert format_subtitles([Cue(0.0, 1.0, " ", 1)], ".vtt") == "WEBVTT\n"


def test_a_sentence_ends_behind_markup_too() -> None:
    words = [("<i>Hello.</i>", 0.0, 1), ("You?{\\an8}", 0.4, 1), ("So.", 0.8, 1)]
    assert [cue.text for cue in make_cues(result(words, 2.0))] == [word for word, *_ in words]


def read_srt(text: str) -> list[str]:
    """The texts of a SubRip file, by a reader that takes nothing that is not well-formed, and obeys nothing."""
    texts = []
    for number, block in enumerate(text.strip("\n").split("\n\n") if text else [], 1):
        first, times, *rows = block.split("\n")
        assert first == str(number)
        found = re.fullmatch(r"(\d\d):(\d\d):(\d\d),(\d{3}) --> (\d\d):(\d\d):(\d\d),(\d{3})", times)
        assert found, times
        h, m, s, ms, *end = map(int, found.groups())
        assert (h, m, s, ms) < tuple(end)
        assert len(rows) == 1
        assert rows[0].strip()
        assert not re.search(r"-->|</?[a-z][^<>]*>|\{\\|\{[a-z]:", rows[0], re.IGNORECASE), rows
        texts += rows
    return texts


PIECES = st.sampled_from([*"<>/{}\\:&=\"' -.", "<i>", "</B>", "<font", 'color="red"', "{\\an8}", "{y:", "-->", "<br"])


@given(st.lists(st.lists(PIECES | st.text("abc ß", max_size=3), max_size=8).map("".join).filter(str.strip), max_size=9))
@settings(max_examples=examples(300), deadline=None)
def test_whatever_is_said_a_strict_reader_reads_it(said: list[str]) -> None:
    words = [(text, 0.4 * i, 1 + i % 3 % 2) for i, text in enumerate(said)]
    read_srt(format_subtitles(make_cues(result(words, 5.0)), ".srt"))


MARKUP = ["<i>", "</I>", '<font color="red">', "</font>", "{\\an8}", "{y:i}", "<c.loud>"]


@given(st.lists(st.tuples(st.sampled_from(["well", "no.", "<3", "&", "a>b"]), st.sampled_from([*MARKUP, ""]))))
@settings(max_examples=examples(100), deadline=None)
def test_every_word_is_shown_without_its_markup(said: list[tuple[str, str]]) -> None:
    pieces = [piece for word, markup in said for piece in (markup + word + markup).split()]  # as a script is split
    words = [(piece, 0.4 * i, 1) for i, piece in enumerate(pieces)]
    shown = read_srt(format_subtitles(make_cues(result(words, 50.0)), ".srt"))
    assert " ".join(shown).split() == [word for word, _ in said]


def test_srt_has_no_arrow_but_that_between_the_times() -> None:
    text = format_subtitles([Cue(0.0, 1.0, "00:00:01,000 --> 00:00:02,000 ---->>", 1)], ".srt")
    assert text.count("-->") == 1
    assert text.endswith("\n00:00:01,000 → 00:00:02,000 --→>\n")


@pytest.mark.parametrize("suffix", [".srt", ".vtt"])
@pytest.mark.parametrize("word", ["a\n\nb", "a\n\n2\n00:00:05,000 --> 00:00:06,000\nb", "a\r\rb", "a\r\n\r\nb"])
def test_line_breaks_in_a_prefixs_word_do_not_break_the_cue(word: str, suffix: str) -> None:
    lines = re.split("[\r\n]", format_subtitles(make_cues(result([(word, 0.0, 1)], 1.0)), suffix))
    assert len(lines) == (5 if suffix == ".vtt" else 4)  # the last is empty: the file ends with a line's end


@st.composite
def dialogues(draw: st.DrawFn) -> list[tuple[str, float, int]]:
    """Words with starts and speakers; no two begin in the same frame."""
    words, frame = [], draw(st.integers(0, 30))
    for _ in range(draw(st.integers(0, 20))):
        text = draw(st.sampled_from(["a", "b.", "word", "x" * 50]))
        words.append((text, frame / 12.5, draw(st.sampled_from([1, 2]))))
        frame += draw(st.integers(1, 40))
    return words


@given(dialogues(), st.floats(0.04, 9))
@settings(max_examples=examples(100), deadline=None)
def test_cues_hold_all_words_in_order_and_never_overlap(words: list[tuple[str, float, int]], rest: float) -> None:
    duration = words[-1][1] + rest if words else rest
    cues = make_cues(result(words, duration))
    assert " ".join(cue.text for cue in cues).split() == [text for text, *_ in words]
    assert all(cue.start < cue.end for cue in cues)
    assert all(cue.end <= following.start for cue, following in pairwise(cues))
    speakers = {start: speaker for _, start, speaker in words}
    assert all(cue.speaker == speakers[cue.start] for cue in cues)


@given(dialogues())
@settings(max_examples=examples(100), deadline=None)
def test_times_that_are_written_are_ordered_too(words: list[tuple[str, float, int]]) -> None:
    text = format_subtitles(make_cues(result(words, 120.0)), ".srt")
    clocks = re.findall(r"(\d\d):(\d\d):(\d\d),(\d\d\d)", text)
    seconds = [int(h) * 3600 + int(m) * 60 + int(s) + int(ms) / 1000 for h, m, s, ms in clocks]
    assert seconds == sorted(seconds)


def test_a_word_past_the_end_of_the_audio_makes_no_empty_cue() -> None:
    # With the context used up, words are begun whose frames are not complete any more.
    words = [("one.", 0.4, 1), ("two.", 1.2, 1)]
    assert all(cue.end > cue.start for cue in make_cues(result(words, 1.0)))


@pytest.mark.parametrize("path", ["a.srt", "a.vtt", "A.SRT", "dir.d/a.Vtt"])
def test_the_two_formats_names_pass(path: str) -> None:
    check_subtitle_path(path)
    check_subtitle_path(Path(path))


@pytest.mark.parametrize("path", ["a.txt", "a", "srt", ".srt", "a.srt.gz", "a.ass"])
def test_another_format_is_refused_and_nothing_written(path: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as error:
        write_subtitles(tmp_path / path, DIALOGUE)
    assert str(error.value) == f"Subtitles {tmp_path / path} must end in .srt or .vtt, which says their format."
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(Dia2Error, match="could not be written"):
        write_subtitles(tmp_path / "no" / "a.srt", DIALOGUE)
