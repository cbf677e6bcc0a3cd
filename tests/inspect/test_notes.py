"""Notes pinned to calls: kept beside the trace, from Python and from the page; whoever wrote the file."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dia2.cli import main
from dia2.common.errors import Dia2Error, TraceError, UsageError
from dia2.inspect import load, sample
from dia2.inspect.store.layout import MANIFEST, NOTES_FILE
from dia2.inspect.store.notes import MAX_NOTE, MAX_NOTES, CallNote
from dia2.inspect.store.writer import TraceWriter
from dia2.inspect.trace.trace import Trace
from dia2.inspect.views.explorer.payload import payload
from dia2.inspect.views.explorer.widget import LiveExplorer

from ..support.traces import check_message, copied, recorded, recorded_dia, recorded_quickly
from .test_explorer import opened
from .test_explorer_messages import asked


@pytest.fixture
def trace(tmp_path: Path) -> Trace[Any]:
    return load(copied(tmp_path / "run.dia2trace", recorded_quickly))


def written(trace: Trace[Any], content: Any) -> Trace[Any]:
    """The trace with such a file of notes."""
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    (trace.path / NOTES_FILE).write_bytes(data)
    return trace


def file_of(*notes: Any, **changes: Any) -> dict[str, Any]:
    listed = [{"call": call, "text": text} for call, text in notes]
    return {"format": "dia2notes", "version": 1, "trace": "run", "notes": listed} | changes


def test_a_file_of_notes_is_one_to_read(trace: Trace[Any]) -> None:
    trace.note(3, "für später")
    assert '"text": "für später"\n' in (trace.path / NOTES_FILE).read_text("utf-8")


def test_notes_are_written_changed_and_taken_away(trace: Trace[Any]) -> None:
    assert trace.notes == []
    trace.note(7, "seven")
    trace.note(2, "two\nlines")
    trace.note(7, "SEVEN")
    assert trace.notes == [CallNote(2, "two\nlines"), CallNote(7, "SEVEN")] == load(trace.path).notes
    assert json.loads((trace.path / NOTES_FILE).read_text(encoding="utf-8")) == file_of(
        (2, "two\nlines"), (7, "SEVEN"), trace="run.dia2trace"
    )
    trace.note(2, "  ")
    trace.note(5, "")  # there was none
    assert trace.notes == [CallNote(7, "SEVEN")]
    trace.note(7, "")
    assert not (trace.path / NOTES_FILE).exists()


def test_a_run_of_any_family_has_notes(tmp_path: Path) -> None:
    trace = load(copied(tmp_path / "run.dia2trace", recorded_dia))
    trace.note(3, "three")
    assert load(trace.path).notes == [CallNote(3, "three")]
    assert opened(payload(trace, script=1))[0]["notes"] == [{"call": 3, "text": "three"}]


def test_the_sample_of_the_package_takes_none() -> None:
    with pytest.raises(UsageError, match="belongs to the package: copy it"):
        sample().note(0, "a")
    assert sample().notes == []


def test_what_steers_a_terminal_or_turns_lines_around_is_taken_out(trace: Trace[Any]) -> None:
    trace.note(0, "\x1b[31ma\u202eb\tc\r\n\x00d  \n\n")
    assert trace.notes == [CallNote(0, "�[31ma�b c\n�d")]
    assert written(trace, file_of((0, "\x07\ud800x"), (1, " \n "))).notes == [CallNote(0, "��x")]


def test_joiners_stay_that_scripts_and_emoji_need(trace: Trace[Any], capsys: pytest.CaptureFixture[str]) -> None:
    text = "family 👨\u200d👩\u200d👧, heart ❤\ufe0f, and می\u200cخواهم"
    trace.note(0, text)
    assert load(trace.path).notes == [CallNote(0, text)]
    assert main(["trace", "show", str(trace.path)]) == 0
    assert "\u200d" not in capsys.readouterr().out


@pytest.mark.parametrize("text", [None, 5, b"a", ["a"], float("nan"), "x" * (MAX_NOTE + 1)])
def test_a_note_is_a_text_that_is_not_too_long(trace: Trace[Any], text: Any) -> None:
    with pytest.raises(UsageError, match="note"):
        trace.note(0, text)
    assert not (trace.path / NOTES_FILE).exists()


@pytest.mark.parametrize("call", [-1, 10**30, True, "0", 1.0, None])
def test_a_note_is_of_a_call_that_is_there(trace: Trace[Any], call: Any) -> None:
    with pytest.raises((TraceError, UsageError)):
        trace.note(call, "a")


def test_a_trace_keeps_as_many_notes_as_it_may_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trace = load(copied(tmp_path / "run.dia2trace", recorded_quickly))
    monkeypatch.setattr("dia2.inspect.store.notes.MAX_NOTES", 3)
    for call in range(3):
        trace.note(call, "x" * MAX_NOTE)
    with pytest.raises(UsageError, match="keeps 3 notes"):
        trace.note(3, "one more")
    trace.note(2, "another text")
    assert [note.call for note in trace.notes] == [0, 1, 2]


BAD: dict[str, Any] = {
    "no JSON": b"{",
    "no text": b"\xff\xfe",
    "a list": [],
    "a number": 5,
    "too deep": b"[" * 100_000,
    "NaN": b'{"format": "dia2notes", "version": 1, "notes": [{"call": NaN, "text": "a"}]}',
    "another format": file_of(format="dia2trace"),
    "no version": {"format": "dia2notes", "notes": []},
    "a later version": file_of(version=2),
    "a version that is true": file_of(version=True),
    "a huge version": file_of(version=10**400),
    "no notes": {"format": "dia2notes", "version": 1},
    "notes that are no list": file_of(notes={"0": "a"}),
    "a note that is a text": file_of(notes=["a"]),
    "a note without a call": file_of(notes=[{"text": "a"}]),
    "a note without a text": file_of(notes=[{"call": 1}]),
    "an empty text": file_of((0, "")),
    "a text that is too long": file_of((0, "x" * (MAX_NOTE + 1))),
    "a text that is a number": file_of((0, 5)),
    "a call below 0": file_of((-1, "a")),
    "a call that is not there": file_of((10_000, "a")),
    "a huge call": file_of((10**30, "a")),
    "a call that is a text": file_of(("0", "a")),
    "a call that is true": file_of((True, "a")),
    "a call that is a fraction": file_of((0.5, "a")),
    "two notes of a call": file_of((0, "a"), (0, "b")),
    "too many": file_of(*((i, "a") for i in range(MAX_NOTES + 1))),
    "too large": b" " * ((16 << 20) + 1),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_file_that_somebody_else_wrote_is_checked(trace: Trace[Any], kind: str, tmp_path: Path) -> None:
    outside = tmp_path / "notes.json"
    outside.write_bytes(BAD[kind] if isinstance(BAD[kind], bytes) else json.dumps(BAD[kind]).encode())
    with pytest.raises(TraceError) as caught:
        trace.import_notes(outside)
    check_message(caught.value)
    assert not (trace.path / NOTES_FILE).exists()
    written(trace, BAD[kind])
    questions: list[Callable[[], object]] = [lambda: trace.notes, lambda: trace.note(0, "a")]
    for question in questions:
        with pytest.raises(TraceError) as caught:
            question()
        check_message(caught.value)
    assert payload(trace, notes=False)  # a way round it


def test_links_are_not_followed(trace: Trace[Any], tmp_path: Path) -> None:
    secret = tmp_path / "secret.json"
    secret.write_text(json.dumps(file_of((0, "secret"))), encoding="utf-8")
    (trace.path / NOTES_FILE).symlink_to(secret)
    for question in (lambda: trace.notes, lambda: trace.note(0, "a")):
        with pytest.raises(TraceError, match="is a link"):
            question()
    assert json.loads(secret.read_text(encoding="utf-8")) == file_of((0, "secret"))


def test_what_is_unknown_is_left_alone(trace: Trace[Any]) -> None:
    content = file_of((1, "a"), author="x")
    content["notes"][0]["colour"] = "red"
    assert written(trace, content).notes == [CallNote(1, "a")]


def test_the_file_is_written_whole_or_not_at_all(trace: Trace[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    trace.note(1, "before")
    before = (trace.path / NOTES_FILE).read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("dia2.common.files.os.fsync", full)
        with pytest.raises(Dia2Error, match="No space left"):
            trace.note(2, "after")
    assert (trace.path / NOTES_FILE).read_bytes() == before
    assert not list(trace.path.glob(".dia2-*"))


def test_threads_lose_no_note(trace: Trace[Any]) -> None:
    threads = [threading.Thread(target=trace.note, args=(call, f"note {call}")) for call in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [note.text for note in trace.notes] == [f"note {call}" for call in range(12)]


def test_downloaded_notes_come_in(trace: Trace[Any], tmp_path: Path) -> None:
    trace.note(1, "one")
    trace.note(2, "two")
    file = tmp_path / "run.notes.json"
    file.write_text(json.dumps(file_of((2, "TWO"), (3, "three"))), encoding="utf-8")
    assert trace.import_notes(file) == [CallNote(1, "one"), CallNote(2, "TWO"), CallNote(3, "three")] == trace.notes
    with pytest.raises(TraceError, match="cannot be read"):
        trace.import_notes(tmp_path / "none.json")


def test_a_folder_with_notes_is_still_a_trace_and_can_be_replaced(trace: Trace[Any]) -> None:
    trace.note(1, "of the former run")
    manifest = (trace.path / MANIFEST).read_bytes()
    for number in (1, 2):
        writer = TraceWriter(trace.path)
        with pytest.warns(UserWarning, match=rf"notes of the run that was here are kept as .*notes-{number}\.json"):
            writer.begin()
        writer.close()
        assert not (trace.path / NOTES_FILE).exists()
        (trace.path / MANIFEST).write_bytes(manifest)
        written(trace, file_of((1, "of the second run")))
    kept = [json.loads((trace.path / f"notes-{n}.json").read_text(encoding="utf-8"))["notes"] for n in (1, 2)]
    assert [notes[0]["text"] for notes in kept] == ["of the former run", "of the second run"]


def test_a_recorder_that_was_killed_at_once_after_that_can_be_replaced_too(tmp_path: Path) -> None:
    folder = tmp_path / "run.dia2trace"
    folder.mkdir()
    (folder / "phases.jsonl").write_text("", encoding="utf-8")
    (folder / "notes-1.json").write_text("{}", encoding="utf-8")
    writer = TraceWriter(folder)
    writer.begin()
    writer.close()
    assert (folder / "notes-1.json").exists()


def test_notes_of_a_longer_run_are_refused_by_the_last_of_them(trace: Trace[Any]) -> None:
    written(trace, file_of((3, "here"), (999, "there"), (0, "and here")))
    with pytest.raises(TraceError, match=rf"has a note of call 999, and the trace has {len(trace)} calls\.$"):
        trace.notes  # noqa: B018


def test_redacted_text_takes_the_notes_with_it(tmp_path: Path) -> None:
    trace = load(copied(tmp_path / "run.dia2trace", recorded))
    trace.note(1, "she says Xylophone")
    voiceless = trace.redact(tmp_path / "voiceless", voice=True)
    assert voiceless.notes == trace.notes
    for copy in (trace.redact(tmp_path / "silent", text=True), trace.redact(tmp_path / "both", voice=True, text=True)):
        assert copy.notes == []
        assert not (copy.path / NOTES_FILE).exists()


# What shows them


def test_notes_that_cannot_be_read_hide_nothing(trace: Trace[Any], tmp_path: Path) -> None:
    written(trace, b"{")
    with pytest.warns(UserWarning, match="notes are not shown: .*cannot be read"):
        assert "note at call" not in trace.report("show")
    with pytest.warns(UserWarning, match="notes are not shown"):
        assert opened(payload(trace))[0]["notes"] == []
    with pytest.raises(TraceError, match="cannot be read"):
        trace.note(1, "one")
    assert (trace.path / NOTES_FILE).read_bytes() == b"{"


def test_nothing_is_redacted_without_notes_that_belong_to_it(tmp_path: Path) -> None:
    trace = load(copied(tmp_path / "run.dia2trace", recorded))
    written(trace, b"{")
    with pytest.raises(TraceError, match="cannot be read"):
        trace.redact(tmp_path / "copy", voice=True)
    assert not (tmp_path / "copy").exists()


def test_a_page_has_the_notes_unless_they_are_left_out(trace: Trace[Any], tmp_path: Path) -> None:
    trace.note(1, "<script>alert(1)</script>")
    assert opened(payload(trace))[0]["notes"] == [{"call": 1, "text": "<script>alert(1)</script>"}]
    assert opened(payload(trace, notes=False))[0]["notes"] == []
    sizes = [trace.to_html(tmp_path / name, notes=notes).stat().st_size for name, notes in (("a", True), ("b", False))]
    assert sizes[0] > sizes[1]
    assert "alert" not in (tmp_path / "a").read_text(encoding="utf-8")  # packed


def test_the_command_leaves_them_out(trace: Trace[Any], tmp_path: Path) -> None:
    trace.note(1, "a")
    trace.to_html(tmp_path / "without.html", notes=False)
    for flags, same in (([], False), (["--no-notes"], True)):
        assert main(["trace", "html", str(trace.path), "-o", str(tmp_path / "page.html"), *flags]) == 0
        assert ((tmp_path / "page.html").read_bytes() == (tmp_path / "without.html").read_bytes()) is same


def test_show_lists_the_first_of_them(trace: Trace[Any], capsys: pytest.CaptureFixture[str]) -> None:
    for call in range(7):
        trace.note(call, f"note\n{call}" if call else "y" * 300)
    assert main(["trace", "show", str(trace.path), "--width", "60"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "note" in line]
    assert lines[0].startswith("  note at call 0  yyy")
    assert len(lines[0]) == 60
    assert lines[1:] == [f"  note at call {i}  note {i}" for i in range(1, 5)] + [
        "  and 2 more notes: --json lists all"
    ]
    assert main(["trace", "show", str(trace.path), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["notes"] == [{"call": note.call, "text": note.text} for note in trace.notes]


# What the page sends


def test_a_note_from_the_page_is_kept_and_answered(trace: Trace[Any]) -> None:
    trace.note(2, "two")
    page = trace.explore()
    assert page._notes == [{"call": 2, "text": "two"}]
    [(answer, buffers)] = asked(page, {"kind": "note", "key": "note 1", "call": 5, "text": "five"})
    assert (answer, buffers) == ({"kind": "noted", "key": "note 1"}, [])
    assert trace.notes == [CallNote(2, "two"), CallNote(5, "five")]
    assert page._notes == [{"call": 2, "text": "two"}, {"call": 5, "text": "five"}]
    list(asked(page, {"kind": "note", "key": "note 2", "call": 2, "text": ""}))
    assert page._notes == [{"call": 5, "text": "five"}]


@pytest.mark.parametrize(
    ("call", "text"),
    [(None, "a"), ("1", "a"), (-1, "a"), (10**6, "a"), (True, "a"), (1, None), (1, ["a"]), (1, "x" * 2001), (1.5, "a")],
)
def test_a_bad_note_from_the_page_is_refused_in_a_line(trace: Trace[Any], call: Any, text: Any) -> None:
    page = trace.explore()
    [(answer, buffers)] = asked(page, {"kind": "note", "key": "k", "call": call, "text": text})
    assert (answer["kind"], answer["key"], buffers) == ("noted", "k", [])
    assert 0 < len(answer["error"]) <= 1000
    assert answer["error"].isprintable()
    assert not (trace.path / NOTES_FILE).exists()


def test_a_run_that_goes_on_keeps_no_notes_yet(trace: Trace[Any]) -> None:
    page = LiveExplorer()
    [(answer, _)] = asked(page, {"kind": "note", "key": "k", "call": 0, "text": "a"})
    assert answer["error"] == "A note can be kept once the run is over."
    trace.note(1, "one")
    page.finish(trace)
    assert page._notes == [{"call": 1, "text": "one"}]
    [(answer, _)] = asked(page, {"kind": "note", "key": "k", "call": 0, "text": "a"})
    assert "error" not in answer
    assert trace.notes == [CallNote(0, "a"), CallNote(1, "one")]
