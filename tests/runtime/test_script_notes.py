"""What is told of a script: one warning for each spelling, whole or in pieces, and nothing else changes."""

import logging
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dia.text import CUES
from dia2.cli import main
from dia2.runtime.script_notes import ScriptNotes
from dia2.runtime.script_parser import ScriptParser, check_script, parse_script

from ..support.reference import engine
from .test_lookalikes import IN_BRACKETS, LABELS, MARKED, ORDINARY, PAUSES, SOUNDS
from .test_script_parser import IDS, RATE, encode

NO_TAG = "in the script is not a speaker tag, so it is read aloud: write [S1] or [S2]"

NO_CUE = "(laughs) in the script is a cue, of which Dia2 knows none, so it is spoken as words: leave it out"


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    assert all(record.levelno == logging.WARNING and record.name == "dia2" for record in caplog.records)
    messages = [record.getMessage() for record in caplog.records]
    caplog.clear()
    return messages


def notes_on(caplog: pytest.LogCaptureFixture, *texts: str, dia: bool = False) -> list[str]:
    notes = ScriptNotes("Dia", CUES) if dia else ScriptNotes()
    for text in texts:
        notes.feed(text)
        notes.close()
    return told(caplog)


@pytest.mark.parametrize(
    ("script", "notes"),
    [
        ("[S 1] Hello. [S 2] Hi. [S 1] Yes.", [f"[S 1] {NO_TAG}", f"[S 2] {NO_TAG}"]),
        ("S1: Hello.\nS2: Hi.\nS1: Yes.", [f"S1: {NO_TAG}", f"S2: {NO_TAG}"]),
        ("[SPEAKER_00] Hello.", [f"[SPEAKER_00] {NO_TAG}"]),
        (
            "**S2:** Hello.",
            ["**S2:** in the script is not a speaker tag, so it is read aloud: write [S2], without marks"],
        ),
        (
            "**[S1]** Hello. **[S2]** Hi. **[S1]** Yes.",
            [
                f"**[S{n}]** in the script is a tag with something around it that is read aloud: write [S{n}] alone"
                for n in (1, 2)
            ],
        ),
        (
            "[S1] (laughs) Hello. (laughs)",
            [NO_CUE],
        ),
        ("[S1] Well [pause] no.", ['[pause] in the script is spoken as words: for a pause write <break time="0.4s"/>']),
        ('[S1] Well <break time="0.4s"/> no.', []),
    ],
)
def test_each_spelling_is_told_once_with_what_would_work(
    script: str, notes: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    assert notes_on(caplog, script) == notes
    check_script(script)
    assert told(caplog) == notes


def test_a_mark_inside_a_tag_hides_nothing(caplog: pytest.LogCaptureFixture) -> None:
    check_script("[S\u200b 1\u2060] Hello.\u200d (la\u00adughs)")
    assert [note.split(" in the")[0] for note in told(caplog)] == ["[S 1]", "(laughs)"]


def test_dia_is_not_told_of_the_cues_that_it_knows(caplog: pytest.LogCaptureFixture) -> None:
    assert len(CUES) == 21
    assert notes_on(caplog, " ".join(CUES), "[S1] Ha (laughs) (Sighs) (clears throat)", dia=True) == []
    assert notes_on(caplog, "(laughs) [laughs] (door closes) [S 1]", "[S 1] *sighs*", dia=True) == [
        "[laughs] in the script is not a cue that Dia knows, so it is spoken as words: write (laughs)",
        "(door closes) in the script is not a cue that Dia knows, so it is spoken as words: leave it out",
        f"[S 1] {NO_TAG}",
        "*sighs* in the script is not a cue that Dia knows, so it is spoken as words: write (sighs)",
    ]
    assert len(notes_on(caplog, 'Well <break time="0.4s"/> [s1] no.', dia=True)) == 2  # Dia has neither


def test_of_many_spellings_the_first_ten_are_told(caplog: pytest.LogCaptureFixture) -> None:
    script = " ".join([*IN_BRACKETS, *SOUNDS] * 3)
    notes = notes_on(caplog, script)
    assert [note.split(" in the")[0] for note in notes[:10]] == list(IN_BRACKETS)[:10]
    assert notes[10:] == ["the script has more that looks like tags or cues: only the first 10 are reported"]


def test_ordinary_scripts_bring_no_note(caplog: pytest.LogCaptureFixture) -> None:
    for text in ORDINARY:
        assert notes_on(caplog, text) == notes_on(caplog, text, dia=True) == []


PARTS = [
    *[s for s in IN_BRACKETS if not s.startswith("[S") and s != "[s1]"],
    *LABELS,
    *MARKED,
    *SOUNDS,
    *PAUSES,
    *ORDINARY,
]
PARTS += ["\u200b", "\u200d", "\ufeff", "[S1]", "[S2] ", "[S 1]", '<break time="0.4s"/>', "\n", ". "]


@given(
    parts=st.lists(st.sampled_from(PARTS), max_size=12),
    between=st.sampled_from(["", " "]),
    points=st.lists(st.integers(0, 900), max_size=8),
)
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_stream_cut_anywhere_is_told_the_same_and_speaks_the_same(
    caplog: pytest.LogCaptureFixture, parts: list[str], between: str, points: list[int]
) -> None:
    script = between.join(parts)
    try:
        plain = parse_script([script], encode, IDS, RATE)
    except ValueError:
        return  # an unknown tag may come of two parts
    caplog.clear()
    assert parse_script([script], encode, IDS, RATE, notes=ScriptNotes()) == plain
    whole = told(caplog)
    parser = ScriptParser(encode, IDS, RATE, notes=ScriptNotes())
    bounds = [0, *sorted(point % (len(script) + 1) for point in points), len(script)]
    assert [entry for a, b in pairwise(bounds) for entry in parser.feed(script[a:b])] + parser.close() == plain
    assert told(caplog) == whole


def test_by_the_api_a_stream_and_a_run_tell_once_and_speak_on(caplog: pytest.LogCaptureFixture) -> None:
    tts = engine("tiny4")
    result = tts.generate("[Speaker 1] Hello. [Speaker 1]", seed=1, cfg_scale=1)
    assert told(caplog) == [f"[Speaker 1] {NO_TAG}"]
    assert [word for word, _ in result.timestamps] == ["[Speaker", "1]", "Hello.", "[Speaker", "1]"]
    list(tts.stream(iter(["[Spea", "ker 1", "] Hello. [Speaker 1]"]), seed=1, cfg_scale=1))
    assert told(caplog) == [f"[Speaker 1] {NO_TAG}"]


def test_on_the_command_line_a_note_is_one_line_before_anything_is_loaded(capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--input", "[S 1] Hello. (laughs) [S 1] Yes.", "--config", "no.json", "--weights", "no.safetensors"]
    assert main(["generate", "out.wav", *given]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[:2] == [
        f"dia2: warning: [S 1] {NO_TAG}",
        f"dia2: warning: {NO_CUE}",
    ]
    assert len(lines) == 3
    assert lines[2].startswith("dia2: error: ")
