"""What the command line prints, to the character, and that no data can steer the terminal."""

import io
import json
import re
import sys
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from rich.console import Console

from dia2.common.messages import printable
from dia2.common.terminal.summary import print_summary, summary_json, tell, word_rows
from dia2.generation import GenerationResult
from tests.support.results import made_result

GLUE = "\u00a0"  # stands between a word and its time
HOSTILE = "\x1b[31mred \x07 \x9b2J \u202eevil\u202c \u200b\u2066x\u2069 \r\n\t\0"


def result(words: Sequence[tuple[str, float, int]], seconds: float = 2.0) -> GenerationResult:
    """A result of (word, start, speaker): 5 seconds, 60 frames."""
    return made_result(words, torch.zeros(5000), 1000, seed=7, crop=3, frames=60, seconds=seconds)


def summary(words: Sequence[tuple[str, float, int]], output: str = "out.wav", seconds: float = 2.0) -> list[str]:
    """The printed lines, without the spaces that fill them up."""
    file = io.StringIO()
    print_summary(result(words, seconds), output, Console(file=file, width=80))
    return [line.rstrip() for line in file.getvalue().splitlines()]


def test_a_summary_has_a_line_of_facts_and_a_row_per_turn() -> None:
    words = [("Hello,", 0.16, 1), ("you.", 0.64, 1), ("Hi!", 1.2, 2), ("Well", 12.6, 1)]
    assert summary(words) == [
        "out.wav: 5.00 s of audio · 60 frames · 30.0 frames/s · 2.50 × real time · seed 7",
        " time  who  words, each with its second",
        f" 0.16  S1   Hello,{GLUE}0.16 you.{GLUE}0.64",
        f" 1.20  S2   Hi!{GLUE}1.20",
        f"12.60  S1   Well{GLUE}12.60",
    ]


def test_long_turns_wrap_between_words_and_never_between_a_word_and_its_time() -> None:
    lines = summary([("word", 0.4 * i, 1) for i in range(40)])[2:]
    assert len(lines) > 2
    assert max(map(len, lines)) <= 80
    rows = [line[11:] for line in lines]  # without the columns before
    assert all(row.startswith("word") for row in rows)
    assert all(re.search(r"\d\.\d\d$", row) for row in rows)


def test_a_summary_without_words_has_no_rows() -> None:
    assert summary([])[1:] == ["time  who  words, each with its second"]


def test_a_run_that_took_no_time_divides_by_nothing() -> None:
    assert "0.0 frames/s · 0.00 × real time" in summary([], seconds=0.0)[0]


def test_a_long_output_path_stays_in_one_line() -> None:
    path = "a/very/long/folder/" * 10 + "out.wav"
    assert summary([], path)[0].startswith(f"{path}: 5.00 s of audio")


def test_hostile_words_and_paths_are_printed_as_text() -> None:
    words = [
        ("\x1b[31mred\x1b[0m", 0.0, 1),
        ("[bold]", 0.4, 1),
        ("[/]", 0.8, 1),
        (":smile:", 1.2, 1),
        ("\u202ecba", 1.6, 1),
    ]
    assert summary(words, "[red]\x1b]0;title\x07.wav") == [
        "[red]�]0;title�.wav: 5.00 s of audio · 60 frames · 30.0 frames/s · 2.50 × real time · seed 7",
        "time  who  words, each with its second",
        f"0.00  S1   �[31mred�[0m{GLUE}0.00 [bold]{GLUE}0.40 [/]{GLUE}0.80 :smile:{GLUE}1.20 �cba{GLUE}1.60",
    ]


def test_line_breaks_in_a_prefixs_word_do_not_break_the_row() -> None:
    assert summary([("a\nb\r\u2028\u2029c", 0.0, 1)])[2:] == [f"0.00  S1   a�b���c{GLUE}0.00"]


def test_no_escape_code_reaches_a_file_and_only_riches_own_a_terminal() -> None:
    file = io.StringIO()
    print_summary(
        result([(HOSTILE, 0.0, 2)]), HOSTILE, Console(file=file, width=80, force_terminal=True, color_system="standard")
    )
    text = file.getvalue()
    assert "\x1b[35mS2" in text
    for hostile in ("\x1b[31m", "\x07", "\x9b", "\u202e", "\u2066", "\r", "\0"):
        assert hostile not in text


@given(st.text(st.characters(exclude_categories=()), max_size=40))
@example("\u2028\u2029")
@example(HOSTILE)
def test_printable_text_has_no_character_that_steers_a_terminal(text: str) -> None:
    shown = printable(text)
    assert len(shown) == len(text)
    for before, after in zip(text, shown, strict=True):
        assert after == ("�" if unicodedata.category(before) in ("Cc", "Cf", "Cs", "Zl", "Zp") else before)
    shown.encode()  # no lone surrogate is left


@pytest.mark.parametrize("text", ["Grüße, 语 שלום! 👋🏽", "a  b", "[bold]", "100 % \\n", "�"])
def test_ordinary_text_is_printed_as_it_is(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize("kind", ["error", "warning", "note"])
def test_a_message_is_one_line_on_standard_error(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    tell(kind, "No  file\n[bold]a.wav[/]\x1b[2J:\tgive " + "one " * 50)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"dia2: {kind}: No file [bold]a.wav[/]�[2J: give " + " ".join(["one"] * 50) + "\n"


def test_the_json_summary_has_all_facts() -> None:
    text = summary_json(result([("Grüße,", 0.16, 1), ("Hi!", 1.2, 2)]), Path("a/out.wav"))
    assert "\n" not in text
    assert json.loads(text) == {
        "output": "a/out.wav",
        "sample_rate": 1000,
        "duration": 5.0,
        "frames": 60,
        "seconds": 2.0,
        "speaking_seconds": None,
        "seed": 7,
        "stop_reason": "end",
        "unspoken": 0,
        "first_word_frame": 3,
        "crop": 3,
        "peak_host_bytes": 400_000_000,
        "peak_device_bytes": None,
        "products": None,
        "words": [
            {"text": "Grüße,", "start": 0.16, "speaker": 1},
            {"text": "Hi!", "start": 1.2, "speaker": 2},
        ],
    }


def test_the_json_summary_of_hostile_words_is_one_line_of_json_without_controls() -> None:
    text = summary_json(result([(HOSTILE, 0.0, 1)]), HOSTILE)
    assert json.loads(text)["words"][0]["text"] == HOSTILE
    assert not [char for char in text if unicodedata.category(char) == "Cc" and char < "\x7f"]
    assert len(text.split("\n")) == 1


def test_the_json_summary_can_be_written_even_if_the_output_has_a_name_of_no_encoding() -> None:
    name = "caf\udce9.wav"  # as Python reads a file name of other than UTF-8
    text = summary_json(result([]), name)
    text.encode(sys.getdefaultencoding())
    assert json.loads(text)["output"] == name


def test_word_rows_keep_the_order() -> None:
    assert word_rows(result([("b", 1.0, 2), ("a", 2.0, 1)])) == [
        {"text": "b", "start": 1.0, "speaker": 2},
        {"text": "a", "start": 2.0, "speaker": 1},
    ]
