"""Recordings of a prefix in a trace: kept as they went into the codec, read as hostile, taken out where asked for."""

from __future__ import annotations

import io
import json
import logging
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dia2.adapter.layout import PREFIX_FILE, recording_name
from dia2.adapter.manifest import parse_manifest
from dia2.adapter.trace import Dia2Trace
from dia2.cli import main
from dia2.common.errors import Dia2Error, TraceError, UsageError
from dia2.common.hooks import Span
from dia2.common.wording import counted
from dia2.inspect import follow, plots, record
from dia2.inspect.record.sink import TraceSink
from dia2.inspect.store.layout import MANIFEST
from dia2.inspect.store.manifest import read_raw_manifest
from dia2.inspect.store.sound import read_exactly
from dia2.inspect.store.writer import TraceWriter
from dia2.runtime.audio_io import read_sound
from dia2.runtime.voice_file import load_voice

from ..support.reference import Case, engine
from ..support.traces import check_message, copied, recorded_quickly, replace, with_manifest

CASE = Case("tiny3", "prefix2")
SCRIPT = "[S1] Hi you. [S2] No."
STEP = 1 / 32_768  # of 16 bits
FILES = ["prefix-1.flac", "prefix-2.flac"]


def codec_gets(speaker: int) -> np.ndarray:
    return read_sound(CASE.folder / f"spk{speaker}.wav", 24_000).samples.numpy()


def sounds_of(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.glob("prefix-*.flac"))


@pytest.fixture(scope="module")
def trace() -> Dia2Trace:
    return Dia2Trace(recorded_quickly())


# Kept


def test_they_are_what_the_codec_was_given(trace: Dia2Trace) -> None:
    first, second = trace.recordings
    assert (first.speaker, first.first, first.calls, first.rate, first.name) == (1, 0, 20, 24_000, "spk1.wav")
    assert (second.speaker, second.first, second.calls, second.rate, second.name) == (2, 20, 13, 24_000, "spk2.wav")
    assert first.calls + second.calls == trace.warmup_calls
    for recording in trace.recordings:
        wanted = codec_gets(recording.speaker)
        assert recording.samples.dtype == np.float32
        assert len(recording.samples) == recording.length == len(wanted)
        assert recording.seconds == len(wanted) / 24_000
        assert np.abs(recording.samples - wanted).max() <= STEP / 2
        assert np.abs(wanted).max() > 0.4


def test_samples_are_read_when_they_are_asked_for(tmp_path: Path) -> None:
    trace = Dia2Trace(copied(tmp_path / "t", recorded_quickly))
    (recording, _) = trace.recordings
    (trace.path / recording.file).unlink()
    assert recording.seconds == 1.6
    with pytest.raises(TraceError, match=r"prefix-1\.flac is missing"):
        _ = recording.samples


def test_a_run_without_a_prefix_has_none(tmp_path: Path) -> None:
    engine("tiny3").generate(SCRIPT, CASE.config(seed=1, prefix=None), trace=tmp_path / "t")
    assert Dia2Trace(tmp_path / "t").recordings == []
    assert sounds_of(tmp_path / "t") == []


def test_of_a_voice_file_what_the_codec_makes_of_its_codes_is_kept(tmp_path: Path) -> None:
    config, tts = CASE.config(seed=1), engine("tiny3")
    assert config.prefix is not None
    assert config.prefix.speaker_1 is not None
    tts.save_voice(config.prefix.speaker_1, tmp_path / "a.voice", words=config.prefix.words_1)
    tts.generate(SCRIPT, config, prefix_speaker_1=tmp_path / "a.voice", prefix_words_1=None, trace=tmp_path / "t")
    first, second = Dia2Trace(tmp_path / "t").recordings
    assert [(kept.speaker, kept.first, kept.calls) for kept in (first, second)] == [(1, 0, 20), (2, 20, 13)]
    assert sounds_of(tmp_path / "t") == ["prefix-1.flac", "prefix-2.flac"]
    decoded = tts.runtime.mimi.decode(load_voice(tmp_path / "a.voice", tts.runtime.mimi).codes)
    assert np.abs(first.samples - decoded.numpy()[: first.length]).max() <= 2**-15


def test_voices_that_were_read_before_the_run_are_not_its_own(tmp_path: Path) -> None:
    """A voice that is saved in the block of `record` passes the same phase as one of a prefix."""
    config, tts = CASE.config(seed=1), engine("tiny3")
    assert config.prefix is not None
    assert config.prefix.speaker_2 is not None
    for cloned in (True, False):
        with record(tmp_path / "t"):
            tts.save_voice(config.prefix.speaker_2, tmp_path / "b.voice", words=config.prefix.words_2)
            tts.generate(SCRIPT, config if cloned else CASE.config(seed=1, prefix=None))
        made = Dia2Trace(tmp_path / "t")
        assert [recording.calls for recording in made.recordings] == ([20, 13] if cloned else [])
        assert made.run.voice_frames == ([20, 13] if cloned else [])
        assert made.prefix is None or np.isfinite(made.prefix.rms).all()


def test_nobody_has_to_keep_them(tmp_path: Path, trace: Dia2Trace) -> None:
    with record(tmp_path / "t", prefix_sound=False):
        engine("tiny3").generate(SCRIPT, CASE.config(seed=1))
    kept = Dia2Trace(tmp_path / "t")
    assert kept.recordings == []
    assert sounds_of(tmp_path / "t") == []
    assert trace.prefix is not None
    assert kept.prefix is not None
    assert np.array_equal(kept.prefix.rms, trace.prefix.rms)  # the doctor goes by it
    assert kept.diagnose() == trace.diagnose()


def test_a_run_that_is_followed_can_leave_them_out(tmp_path: Path) -> None:
    for kept in (True, False):
        with follow(tmp_path / "t", prefix_sound=kept) as explorer:
            engine("tiny3").generate(SCRIPT, CASE.config(seed=1))
        assert sounds_of(tmp_path / "t") == (FILES if kept else [])
        assert ("; contains the recording of speaker 1 (1.6 s)" in repr(explorer)) == kept


@pytest.mark.parametrize("flags", [[], ["--no-prefix-sound"]])
def test_on_the_command_line(flags: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dia2.cli.open_checkpoint", lambda _: engine("tiny3"))
    command = ["generate", str(tmp_path / "o.wav"), "--input", SCRIPT, "--quiet", "--trace", str(tmp_path / "t")]
    command += ["--prefix-speaker-1", str(CASE.folder / "spk1.wav")]
    command += ["--prefix-words-1", str(CASE.folder / CASE.expected["words"][0])]
    assert main([*command, *flags]) == 0
    assert sounds_of(tmp_path / "t") == ([] if flags else ["prefix-1.flac"])


def test_the_flag_needs_a_trace(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", str(tmp_path / "o.wav"), "--input", SCRIPT, "--no-prefix-sound"]) == 2
    told = "dia2: error: --no-prefix-sound says what a trace holds: give --trace FOLDER too.\n"
    assert capsys.readouterr().err == told


class _StopError(RuntimeError):
    pass


def test_a_run_that_dies_early_has_them_already(tmp_path: Path) -> None:
    """They stand in the manifest before the first call: a kill loses none of them."""
    seen: list[list[int]] = []

    class Killer:
        points = frozenset({"warmup"})

        def begin(self, span: Span, /) -> None:
            seen.append([recording.length for recording in Dia2Trace(tmp_path / "t").recordings])
            raise _StopError

        def end(self, span: Span, /) -> None: ...

        def frames(self, frames: Any, /) -> None: ...

    with pytest.raises(_StopError), record(tmp_path / "t"):
        engine("tiny3").generate(SCRIPT, CASE.config(seed=1), observer=Killer())
    assert seen == [[38_400, 24_960]]
    trace = Dia2Trace(tmp_path / "t")
    assert trace.manifest.status == "failed"
    assert [len(recording.samples) for recording in trace.recordings] == [38_400, 24_960]


def test_a_full_disk_does_not_stop_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    audio = TraceWriter.audio

    def full(self: TraceWriter, waveform: np.ndarray, rate: int, name: str = "audio.flac") -> None:
        if name == "prefix-2.flac":
            raise Dia2Error("prefix-2.flac could not be written (the disk is full).")
        audio(self, waveform, rate, name)

    monkeypatch.setattr(TraceWriter, "audio", full)
    with caplog.at_level(logging.WARNING, "dia2"):
        result = engine("tiny3").generate(SCRIPT, CASE.config(seed=1), trace=tmp_path / "t")
    assert len(result.waveform)
    assert "the trace ends at call 0: prefix-2.flac could not be written" in caplog.text
    trace = Dia2Trace(tmp_path / "t")
    assert [recording.file for recording in trace.recordings] == ["prefix-1.flac"]
    assert trace.state.startswith("partial: prefix-2.flac could not be written")


def test_an_older_trace_is_replaced_with_all_of_its_recordings(tmp_path: Path) -> None:
    path = copied(tmp_path / "t", recorded_quickly)
    engine("tiny3").generate(SCRIPT, CASE.config(seed=1, prefix=None), trace=path)
    assert sounds_of(path) == []


@settings(max_examples=40, deadline=None)
@given(arrays(np.float32, st.integers(1, 3000), elements=st.floats(-3, 3, width=32)), st.sampled_from([8_000, 24_000]))
def test_any_sound_comes_back_to_16_bits(
    tmp_path_factory: pytest.TempPathFactory, samples: np.ndarray, rate: int
) -> None:
    """What is louder than ±1 is cut there."""
    sink = TraceSink(tmp_path_factory.mktemp("sink") / "t", {"status": "running"})
    sink.begin()
    assert sink.sound(samples, rate, "prefix-1.flac")
    sink.writer.close()
    read = read_exactly(sink.writer.path, "prefix-1.flac", len(samples), rate)
    assert np.abs(read * STEP - np.clip(samples, -1, 1)).max() <= STEP


# Forks and redacted copies


def test_a_fork_has_what_its_trace_has(trace: Dia2Trace, tmp_path: Path) -> None:
    source = trace
    for number in range(2):  # a fork of the fork, too
        source.fork(engine("tiny3"), 40, path=tmp_path / str(number))
        source = Dia2Trace(tmp_path / str(number))
        assert [recording.name for recording in source.recordings] == ["spk1.wav", "spk2.wav"]
        for old, new in zip(trace.recordings, source.recordings, strict=True):
            assert np.array_equal(old.whole_numbers, new.whole_numbers)
    with record(tmp_path / "without", prefix_sound=False):
        engine("tiny3").generate(SCRIPT, CASE.config(seed=1))
    Dia2Trace(tmp_path / "without").fork(engine("tiny3"), 40, path=tmp_path / "fork")
    assert Dia2Trace(tmp_path / "fork").recordings == []
    assert sounds_of(tmp_path / "fork") == []


def test_a_fork_keeps_the_only_recording_with_its_speaker(trace: Dia2Trace, tmp_path: Path) -> None:
    path = with_manifest(trace.path, tmp_path, recordings=[{"speaker": 2, "samples": 24_960}])
    Dia2Trace(path).fork(engine("tiny3"), 40, path=tmp_path / "fork")
    (second,) = Dia2Trace(tmp_path / "fork").recordings
    assert (second.speaker, second.first) == (2, 20)
    assert np.array_equal(second.whole_numbers, trace.recordings[1].whole_numbers)


def test_redacting_the_voice_takes_them_out(trace: Dia2Trace, tmp_path: Path) -> None:
    copy = trace.redact(tmp_path / "copy", voice=True)
    assert copy.recordings == []
    assert {file.name for file in copy.path.iterdir() if file.suffix == ".flac"} == set()
    assert read_raw_manifest(copy.path)["recordings"] == []
    again = copy.redact(tmp_path / "again", text=True)  # of a copy that has none
    assert again.recordings == []


@pytest.mark.parametrize("missing", [True, False])
def test_redacting_an_older_trace(trace: Dia2Trace, tmp_path: Path, missing: bool) -> None:
    """Files that its manifest does not name do not come along."""
    path = with_manifest(trace.path, tmp_path, recordings=None)
    if missing:
        for name in FILES:
            (path / name).unlink()
    assert Dia2Trace(path).recordings == []
    for voice in (True, False):
        copy = Dia2Trace(path).redact(tmp_path / "copy", voice=voice, text=True)
        assert copy.recordings == []
        assert sounds_of(copy.path) == []


def test_redacting_the_text_leaves_the_sound_and_not_the_name(trace: Dia2Trace, tmp_path: Path) -> None:
    copy = trace.redact(tmp_path / "copy", text=True)
    for old, new in zip(trace.recordings, copy.recordings, strict=True):
        assert np.array_equal(old.whole_numbers, new.whole_numbers)
        assert (new.name, new.speaker, new.first, new.calls) == ("", old.speaker, old.first, old.calls)


def test_the_name_is_that_of_the_file_on_any_system(trace: Dia2Trace, tmp_path: Path) -> None:
    raw = read_raw_manifest(trace.path)
    raw["run"]["config"]["prefix"] |= {"speaker_1": "C:\\voices\\anna.wav", "speaker_2": "/home/me/ben.wav"}
    path = with_manifest(trace.path, tmp_path, **raw)
    assert [recording.name for recording in Dia2Trace(path).recordings] == ["anna.wav", "ben.wav"]


# Drawn


def test_a_recording_is_drawn_with_its_words_where_it_says_them(trace: Dia2Trace) -> None:
    for recording in trace.recordings:
        figure = plots.waveform(trace, recording=recording.speaker)
        spoken = [word for word in trace.run.spoken if word.speaker == recording.speaker]
        words = trace.recorded_words(recording)
        assert [word.text for word in words] == [word.text for word in spoken]
        assert [word.seconds for word in words] == pytest.approx([word.start for word in spoken])
        peak = np.abs(recording.samples).max()
        assert plots.describe(figure).startswith(
            f"Recording of speaker {recording.speaker}: {recording.seconds:.2f} s at 24 kHz · peak {peak:.2f} · "
            f"{counted(len(words), 'word')}"
        )
        assert figure.axes[-1].get_xlim()[1] == pytest.approx(recording.seconds)
        part = plots.waveform(trace, 0.5, 1.0, recording=recording.speaker)
        assert [axes.get_xlim() for axes in part.axes] == [(0.5, 1.0)]


def test_a_recording_that_is_not_there_cannot_be_drawn(trace: Dia2Trace, tmp_path: Path) -> None:
    with pytest.raises(TraceError, match=r"keeps no recording of speaker 3, only of speaker 1 and 2\."):
        plots.waveform(trace, recording=3)
    with pytest.raises(UsageError, match="speaker is a whole number"):
        plots.waveform(trace, recording="anna")  # type: ignore[arg-type]
    copy = trace.redact(tmp_path / "copy", voice=True)
    with pytest.raises(TraceError, match=r"keeps no recording of speaker 1, and of nobody else\."):
        plots.waveform(copy, recording=1)


# From anybody


def one(speaker: object = 1, samples: object = 38_400) -> dict[str, object]:
    return {"speaker": speaker, "samples": samples}


@pytest.mark.parametrize(
    "recordings",
    [
        "prefix-1.flac",
        ["prefix-1.flac"],
        [one(0)],
        [one(3)],
        [one("1")],
        [one(1), one(1)],
        [one(2, 24_960), one(1)],
        [one(1), one(2, 24_960), one(2, 24_960)],
        [one(1, -1)],
        [one(1, 0)],
        [one(1, 38_400 + 1_921)],
        [one(1, 38_400 - 1_921)],
        [one(1, 2**70)],
        [one(2)],
        [{"speaker": 1}],
        [{"samples": 38_400}],
    ],
    ids=str,
)
def test_a_manifest_that_no_run_writes_is_refused(trace: Dia2Trace, recordings: object) -> None:
    with pytest.raises(TraceError, match="recordings"):
        parse_manifest(read_raw_manifest(trace.path) | {"recordings": recordings}, trace.path)


def test_a_manifest_that_a_run_may_write_is_read(trace: Dia2Trace) -> None:
    """A recording can end within a frame; what a later dia2 adds is left unread."""
    raw = read_raw_manifest(trace.path)
    for samples in (38_400 - 1_919, 38_400, 38_400 + 1_920):
        read = parse_manifest(raw | {"recordings": [one(1, samples) | {"later": "?"}]}, trace.path)
        assert read.recordings[0].samples == samples


def test_a_recording_of_a_speaker_without_frames_is_refused(trace: Dia2Trace) -> None:
    raw = read_raw_manifest(trace.path)
    raw["run"]["voice_frames"] = [33]
    for entry in raw["run"]["entries"][: raw["run"]["prefix_words"]]:
        entry[3] = 1
    for word in raw["run"]["spoken"]:
        word["speaker"] = 1
    assert parse_manifest(raw | {"recordings": [one(1, 33 * 1_920)]}, trace.path).recordings
    with pytest.raises(TraceError, match="recordings is"):
        parse_manifest(raw | {"recordings": [one(2, 24_960)]}, trace.path)


def test_a_run_that_never_began_has_none(trace: Dia2Trace, tmp_path: Path) -> None:
    path = with_manifest(trace.path, tmp_path, run=None, calls=0, draws=[], audio=None)
    assert len(parse_manifest(read_raw_manifest(path), path).recordings) == 2
    assert Dia2Trace(path).recordings == []


def written(samples: np.ndarray, rate: int = 24_000, format_: str = "FLAC") -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=format_, subtype="PCM_16" if format_ != "OGG" else None)
    return buffer.getvalue()


def claiming(samples: int) -> bytes:
    """A file of fewer samples than its header says."""
    content = bytearray(written(SILENCE[:38_000]))
    facts = int.from_bytes(content[21:26], "big")
    assert facts % (1 << 36) == 38_000
    content[21:26] = (facts - 38_000 + samples).to_bytes(5, "big")
    return bytes(content)


SILENCE = np.zeros(38_400, np.float32)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (written(SILENCE, 48_000), "holds 38,400 samples at 48,000 Hz, not 38,400 at 24,000"),
        (written(SILENCE[:-1]), "holds 38,399 samples at 24,000 Hz, not 38,400 at 24,000"),
        (written(np.zeros(38_401)), "holds 38,401 samples"),
        (written(np.zeros((38_400, 2))), "is not the audio of a run"),
        (written(SILENCE, format_="WAV"), "is not the audio of a run"),
        (written(SILENCE, format_="OGG"), "is not the audio of a run"),
        (claiming(38_400), "cannot be read"),
        (b"", "cannot be read"),
        (b"no sound", "cannot be read"),
    ],
)
def test_a_file_that_is_none_of_the_manifest_is_refused(tmp_path: Path, content: bytes, told: str) -> None:
    trace = Dia2Trace(copied(tmp_path / "t", recorded_quickly))
    replace(trace.path / "prefix-1.flac", content)
    with pytest.raises(TraceError, match="the trace is damaged") as error:
        _ = trace.recordings[0].samples
    check_message(error.value)
    assert told in str(error.value)
    with pytest.raises(TraceError, match="the trace is damaged"):
        trace.fork(engine("tiny3"), 40, path=tmp_path / "fork")


@pytest.mark.parametrize(
    "put", [lambda file: file.symlink_to(CASE.folder / "spk1.wav"), Path.mkdir], ids=["link", "folder"]
)
def test_what_is_no_file_is_refused(tmp_path: Path, put: Callable[[Path], object]) -> None:
    trace = Dia2Trace(copied(tmp_path / "t", recorded_quickly))
    (trace.path / "prefix-1.flac").unlink()
    put(trace.path / "prefix-1.flac")
    with pytest.raises(TraceError, match="missing or far too large"):
        _ = trace.recordings[0].samples


def test_damaged_bytes_give_samples_or_an_error(tmp_path: Path) -> None:
    chance, original = random.Random(4), (recorded_quickly() / "prefix-1.flac").read_bytes()
    folder = copied(tmp_path / "t", recorded_quickly)
    refused = 0
    for _ in range(120):
        content = bytearray(original)
        content[chance.randrange(chance.choice((42, len(content))))] ^= 1 << chance.randrange(8)
        replace(folder / "prefix-1.flac", bytes(content[: chance.choice((None, chance.randrange(len(content))))]))
        try:
            samples = Dia2Trace(folder).recordings[0].samples
        except TraceError as error:
            check_message(error)
            refused += 1
        else:
            assert samples.shape == (38_400,)
            assert np.abs(samples).max() <= 1
    assert 40 < refused < 120


def test_the_trace_looks_the_same_to_who_asks_for_no_recording(trace: Dia2Trace, tmp_path: Path) -> None:
    """An earlier dia2 leaves the field unread: nothing else of the folder says what it held before."""
    raw = read_raw_manifest(trace.path)
    assert raw["version"] == 1
    del raw["recordings"]
    path = copied(tmp_path / "t", recorded_quickly)
    replace(path / MANIFEST, json.dumps(raw).encode())
    old = Dia2Trace(path)
    assert old.recordings == []
    assert trace.diff(old).same
    assert recording_name(1) in {file.name for file in path.iterdir()}
    assert PREFIX_FILE in {file.name for file in path.iterdir()}
