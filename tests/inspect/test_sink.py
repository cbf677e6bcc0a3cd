"""A trace's folder while it is written: what waits until it is begun, and what ends it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from dia2.common.errors import Dia2Error, UsageError
from dia2.inspect.record.sink import TraceSink
from dia2.inspect.store.layout import MANIFEST, PHASES_FILE
from dia2.inspect.store.writer import TraceWriter


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[TraceSink]:
    made = TraceSink(tmp_path / "run.dia2trace", {"result": None, "n": 1})
    yield made
    made.writer.close()


def phases(sink: TraceSink) -> list[Any]:
    return [json.loads(line) for line in (sink.writer.path / PHASES_FILE).read_text(encoding="utf-8").splitlines()]


def broken(*_: object) -> None:
    raise Dia2Error("The disk is full.")


def test_phases_wait_until_it_is_begun_and_nothing_else_is_written(sink: TraceSink) -> None:
    sink.phase({"id": 1})
    sink.save()
    assert list(sink.writer.path.iterdir()) == []
    sink.begin()
    sink.phase({"id": 2})
    assert phases(sink) == [{"id": 1}, {"id": 2}]
    assert json.loads((sink.writer.path / MANIFEST).read_text(encoding="utf-8"))["n"] == 1
    sink.manifest["n"] = 2
    sink.begin()
    assert json.loads((sink.writer.path / MANIFEST).read_text(encoding="utf-8"))["n"] == 1, "begun once"
    assert phases(sink) == [{"id": 1}, {"id": 2}]
    sink.save()
    assert json.loads((sink.writer.path / MANIFEST).read_text(encoding="utf-8"))["n"] == 2


def test_what_cannot_begin_lets_go_of_its_place(sink: TraceSink, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(TraceWriter, "manifest", broken)
        with pytest.raises(Dia2Error, match="disk is full"):
            sink.begin()
    TraceWriter(sink.writer.path).close()  # a lock that is held is refused


def test_the_first_failure_ends_it_and_the_manifest_can_still_say_so(
    sink: TraceSink, caplog: pytest.LogCaptureFixture
) -> None:
    sink.begin()
    sink.stored = 7
    written: list[int] = []
    with caplog.at_level(logging.WARNING, "dia2"):
        assert sink.attempt(written.append, 1)
        assert not sink.attempt(broken)
        assert not sink.attempt(written.append, 2)
        assert sink.attempt(sink.writer.manifest, sink.manifest)
    assert (written, sink.broken) == ([1], "The disk is full.")
    assert [record.getMessage() for record in caplog.records] == [
        "the trace ends at call 7: The disk is full. The run goes on."
    ]


def test_a_manifest_that_fails_after_the_end_is_not_told_twice(
    sink: TraceSink, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink.begin()
    sink.broken = "before"
    monkeypatch.setattr(sink.writer, "manifest", broken)
    sink.save()
    assert sink.broken == "The disk is full."
    assert not caplog.records


def test_other_faults_are_not_hidden(sink: TraceSink) -> None:
    with pytest.raises(ZeroDivisionError):
        sink.attempt(lambda: 1 // 0)


@pytest.mark.parametrize(("rate", "kept"), [
    (1, True), (65_535, True), (65_536, False), (65_540, True), (655_350, True), (655_355, False), (655_360, False),
])  # fmt: skip
def test_a_sound_is_kept_at_any_rate_that_flac_has(
    rate: int, kept: bool, sink: TraceSink, caplog: pytest.LogCaptureFixture
) -> None:
    sink.begin()
    assert sink.sound(np.full(8, 0.25, np.float32), rate, "voice-1.flac") is kept
    file = sink.writer.path / "voice-1.flac"
    assert file.exists() is kept
    if kept:
        assert soundfile.info(file).samplerate == rate
    else:
        assert [record.getMessage() for record in caplog.records] == [
            f"the trace keeps no voice-1.flac: FLAC has no rate of {rate} Hz"
        ]


def test_what_came_out_is_added(sink: TraceSink) -> None:
    sink.result(crop=3)
    sink.result(samples=5, crop=4)
    assert sink.manifest["result"] == {"crop": 4, "samples": 5}


def test_a_place_that_cannot_be_taken_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        TraceSink(tmp_path / "no" / "run.dia2trace", {})
