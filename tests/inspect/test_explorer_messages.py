"""What the page, or a caller, asks the explorer for: every question is answered by a sound or by a line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import soundfile

from dia2.common.errors import TraceError, UsageError
from dia2.inspect import Dia2Trace, follow, load
from dia2.inspect.store.layout import AUDIO_FILE
from dia2.inspect.views.explorer import to_html
from dia2.inspect.views.explorer.payload import payload
from dia2.inspect.views.explorer.sound import RATES, codebook_sound, encode, playable
from dia2.inspect.views.explorer.view import view_of
from dia2.inspect.views.explorer.widget import Explorer, LiveExplorer

from ..support.reference import engine
from ..support.traces import copied, recorded, recorded_dia

SCRIPT = "[S1] Hello."
BAD: list[Any] = [
    None,
    [],
    [[]],
    [0, [1]],
    [-1],
    [4],
    [10**30],
    [True],
    [0.0],
    ["0"],
    [float("nan")],
    "01",
    b"\0",
    {"0": 1},
    0,
    3.5,
    True,
    list(range(1_000_000)),
    [0] * 1_000_000,
    ["x" * 1_000_000],
]


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Dia2Trace:
    path = tmp_path_factory.mktemp("messages") / "run.dia2trace"
    engine("tiny4").generate(SCRIPT, seed=1, trace=path)
    return Dia2Trace(path)


def asked(page: Any, content: Any) -> Iterator[tuple[Any, list[bytes]]]:
    """The answers to a message."""
    sent: list[tuple[Any, list[bytes]]] = []
    page.send = lambda answer, buffers=(): sent.append((answer, list(buffers)))
    page._handle_custom_msg(content, [])
    yield from sent


def refused(page: Any, content: Any) -> str:
    """The one answer to a question that cannot be answered by a sound."""
    [(answer, buffers)] = asked(page, content)
    assert (answer["kind"], buffers) == ("sound", [])
    json.dumps(answer, allow_nan=False)
    error: str = answer["error"]
    assert 0 < len(error) <= 1000
    assert error.isprintable(), "one line"
    return error


def test_every_choice_of_codebooks_is_answered(trace: Dia2Trace) -> None:
    page = trace.explore(tts=engine("tiny4"))
    [(answer, buffers)] = asked(page, {"kind": "hear", "key": "0 1", "books": [0, 1]})
    assert (answer, len(buffers)) == ({"kind": "sound", "key": "0 1"}, 1)
    for books in BAD:
        error = refused(page, {"kind": "hear", "key": "k", "books": books})
        assert error.startswith("The codebooks to hear must be some of 0 … 3, not ")
    assert "not None" in refused(page, {"kind": "hear", "key": "k"})
    others: list[Any] = [{"kind": "see", "key": "k"}, {}, [], None, "hear", 7]
    for other in others:
        assert not list(asked(page, other))


@pytest.mark.parametrize("key", [None, "k", "x" * 10_000, 7, 10**30, ["a"], {"a": 1}, True])
def test_an_answer_has_its_key(trace: Dia2Trace, key: Any) -> None:
    page = trace.explore(tts=engine("tiny4"))
    for books in ([0], []):
        [(answer, _)] = asked(page, {"kind": "hear", "key": key, "books": books})
        assert answer["key"] == key


def test_a_key_that_no_message_can_hold_is_none(trace: Dia2Trace) -> None:
    page = trace.explore(tts=engine("tiny4"))
    for key in (float("nan"), [float("inf")], {1, 2}, object()):
        [(answer, _)] = asked(page, {"kind": "hear", "key": key, "books": []})
        assert answer["key"] is None


def test_pages_that_cannot_decode_say_so(trace: Dia2Trace, tmp_path: Path) -> None:
    pages: list[Any] = [trace.explore(), load(recorded_dia()).explore(), LiveExplorer()]
    for page in pages:
        assert "by trace.explore(tts=…)" in refused(page, {"kind": "hear", "key": "k", "books": [0]})
    with follow(tmp_path / "run") as live:
        assert "tts=" in refused(live, {"kind": "hear", "key": "k", "books": [0]})
        engine("tiny4").generate(SCRIPT, seed=1)
    lab = trace.lab(engine("tiny4"))
    assert "must be some of" in refused(lab._shown.children[0], {"kind": "hear", "key": "k", "books": [[]]})


def test_a_fault_and_an_interrupt_are_answered_too(trace: Dia2Trace, monkeypatch: pytest.MonkeyPatch) -> None:
    page = trace.explore(tts=engine("tiny4"))
    sent: list[Any] = []
    page.send = lambda answer, buffers=(): sent.append(answer)
    for error in (RuntimeError("a fault\nof ours"), KeyboardInterrupt()):

        def fail(*_: object, error: BaseException = error) -> None:
            raise error

        monkeypatch.setattr("dia2.inspect.views.explorer.widget.codebook_sound", fail)
        with pytest.raises(type(error)):
            Explorer._answer(page, page, {"kind": "hear", "key": "k", "books": [0]}, [])
    assert [answer["error"] for answer in sent] == ["RuntimeError: a fault", "KeyboardInterrupt: KeyboardInterrupt"]


def test_a_lab_says_what_its_controls_cannot_do(trace: Dia2Trace) -> None:
    lab = trace.lab(engine("tiny4"))
    lab.cfg.set_state({"value": float("nan")})
    lab.fork()
    assert lab.told.value
    assert len(lab.told.value) <= 1000
    assert not lab.button.disabled


@pytest.mark.parametrize("books", [*([value] for value in BAD if value is not None), "01", 5, {0: [1]}, [[0]] * 129])
def test_books_of_a_file_are_refused_in_a_line(trace: Dia2Trace, tmp_path: Path, books: Any) -> None:
    with pytest.raises(UsageError) as caught:
        to_html(trace, tmp_path / "a.html", tts=engine("tiny4"), books=books)
    assert len(str(caught.value)) <= 1000
    assert not (tmp_path / "a.html").exists()


def test_numbers_of_numpy_name_codebooks(trace: Dia2Trace) -> None:
    tts, numbers = engine("tiny4"), cast(list[int], list(np.arange(4)) * 2)
    whole = codebook_sound(trace, tts, range(4))
    assert codebook_sound(trace, tts, np.arange(4)[::-1].tolist()).data == whole.data
    assert codebook_sound(trace, tts, numbers).label == "all codebooks"


# Rates


@pytest.mark.parametrize("rate", [1, 999, 8000, 22_051, 24_000, 96_000, 192_000, 655_350])
@pytest.mark.parametrize("source", [recorded, recorded_dia], ids=["dia2", "dia"])
def test_a_sound_of_any_rate_is_shown_as_long_as_it_is(tmp_path: Path, source: Any, rate: int) -> None:
    path = copied(tmp_path / "run.dia2trace", source)
    name = AUDIO_FILE if source is recorded else "audio-1.flac"
    (path / name).unlink()
    count = max(4, rate // 4)
    soundfile.write(path / name, np.zeros(count, np.int16), rate, format="FLAC", subtype="PCM_16")
    trace = load(path)
    view = view_of(trace)
    assert view.header["seconds"] == pytest.approx(count / rate, abs=1e-3)
    assert len(view.columns["peaks"]) == pytest.approx(100 * count / rate, abs=2)
    assert payload(trace)
    assert trace.to_html(tmp_path / "a.html").exists()


def test_a_sound_far_longer_than_any_run_is_refused(tmp_path: Path) -> None:
    path = copied(tmp_path / "run.dia2trace")
    (path / AUDIO_FILE).unlink()
    soundfile.write(path / AUDIO_FILE, np.zeros(4000, np.int16), 1, format="FLAC", subtype="PCM_16")
    with pytest.raises(TraceError, match="A sound of 4,000 samples at a rate of 1 Hz is too long"):
        load(path).to_html(tmp_path / "a.html")


def test_rates_that_the_format_has_are_left_alone() -> None:
    samples = np.linspace(-1, 1, 50, dtype=np.float32)
    for rate in RATES:
        assert playable(samples, rate) == (samples, rate)
        assert encode(samples, rate)
    assert [playable(samples, rate)[1] for rate in (1, 8001, 47_999, 48_001)] == [8000, 11_025, 48_000, 48_000]


def test_a_codec_of_another_rate_is_recorded_and_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tts = engine("tiny4")
    for rate, kept in ((20_000, True), (96_001, False), (700_000, False)):
        monkeypatch.setattr(tts.runtime.mimi, "sample_rate", rate)
        path = tmp_path / str(rate)
        tts.generate(SCRIPT, seed=1, trace=path)
        trace = Dia2Trace.load(path)
        assert trace.complete
        assert (trace.audio is not None) == kept
        assert kept or f"the trace keeps no audio.flac: FLAC has no rate of {rate} Hz" in caplog.text
        assert trace.to_html(tmp_path / "a.html", tts=tts, books=[[0]]).exists()
