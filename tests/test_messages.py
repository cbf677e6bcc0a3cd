"""No message of this project steers a terminal, takes two lines, or repeats a file's content at length."""

import logging
import pickle
import re
import unicodedata
import warnings
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dia2.common.errors import CheckpointError, Dia2Error, TraceError, UsageError
from dia2.common.messages import LONGEST, printable, sentence, warn

ROOT = Path(__file__).parents[1]
HOSTILE = "\x1b[2J\u202e\u2028a\r\nb\x9b\u200b\udc80"


def steers(text: str) -> bool:
    return any(unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") for char in text)


@given(st.text(st.characters(), max_size=50))
def test_a_sentence_never_steers_and_keeps_its_length(text: str) -> None:
    made = sentence(text)
    assert not steers(made)
    assert len(made) == len(text)
    assert sentence(made) == made
    assert printable(made) == made


def test_a_sentence_has_one_line_and_keeps_what_can_be_seen() -> None:
    assert sentence("a\nb\r\nc\x1b[31m") == "a b  c�[31m"
    assert sentence("naïve 語 – “ok”\u00a0…") == "naïve 語 – “ok”\u00a0…"


def test_a_long_message_keeps_how_it_begins_and_ends() -> None:
    made = sentence(f"File {'x' * 100_000} is damaged: download it again.")
    assert len(made) == LONGEST == 1000
    assert made.startswith("File xxx")
    assert " … " in made
    assert made.endswith("is damaged: download it again.")
    assert sentence("y" * LONGEST) == "y" * LONGEST


@pytest.mark.parametrize("kind", [Dia2Error, UsageError, TraceError, CheckpointError])
def test_an_error_is_a_sentence_and_can_be_pickled(kind: type[Dia2Error]) -> None:
    error = kind(f"{HOSTILE} is no file: {'x' * 5000} give another.")
    assert not steers(str(error))
    assert len(str(error)) <= LONGEST
    assert str(error).endswith("give another.")
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy)) == (kind, str(error))


def test_a_line_of_the_log_is_a_sentence(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "dia2")
    logger = logging.getLogger("dia2")
    logger.info("loading %s on %s", HOSTILE, "cpu")
    logger.warning("%d frames of %s", 3, "a.wav")
    hostile, plain = caplog.records
    assert not steers(hostile.getMessage())
    assert hostile.getMessage().endswith(" on cpu")
    assert (plain.msg, plain.args) == ("%d frames of %s", (3, "a.wav"))  # nothing to change


def test_a_warning_is_a_sentence_and_points_to_the_caller() -> None:
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        warn(f"{HOSTILE} is unknown")
    (warning,) = found
    assert not steers(str(warning.message))
    assert warning.filename == __file__


def test_every_module_warns_and_logs_by_these_ways_alone() -> None:
    for path in [*ROOT.glob("dia2/**/*.py"), *ROOT.glob("dia/**/*.py")]:
        text = path.read_text(encoding="utf-8")
        if path.name not in {"messages.py", "moved.py"}:  # an old address warns whoever imports it
            assert "warnings.warn(" not in text, path
        named = re.findall(r"getLogger\(([^)]*)\)(?!\.setLevel)", text)  # a library may be told to be quiet
        assert set(named) <= {'"dia2"'}, path
