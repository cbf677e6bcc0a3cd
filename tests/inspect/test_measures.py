"""Measures: each number where it is known exactly, and what a trace does not tell."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile

from dia2 import Dia2
from dia2.adapter import ADAPTER
from dia2.common.errors import TraceError
from dia2.inspect import Dia2Trace, load, record, sample
from dia2.inspect.schema.adapter import adapters
from dia2.inspect.schema.measure import Measure, Measures, Value
from dia2.inspect.store.layout import AUDIO_FILE, MANIFEST
from dia2.inspect.trace.measured import COMMON, measures_of

from ..support.reference import Case, engine
from ..support.traces import recorded, recorded_dia

STEP = 1920  # samples of a frame of nano
RATE = 12.5
LOUD, QUIET = 0.5, 0.0


# --- What a measure is


def test_a_value_is_pythons_own_number_or_none() -> None:
    whole, real = Measure("n", "frame", "int", "So many."), Measure("s", "s", "float", "So long.")
    told: list[Value] = [whole.value(np.int64(3)), real.value(np.float32(0.5)), real.value(2)]  # type: ignore[arg-type]  # numpy's
    assert [(type(value), value) for value in told] == [(int, 3), (float, 0.5), (float, 2.0)]
    for nothing in (None, float("nan"), float("inf")):
        assert (whole.value(nothing), real.value(nothing)) == (None, None)
    assert str(real.value(-0.0)) == "0.0"


def test_a_table_has_a_value_for_every_column_in_their_order() -> None:
    first, second = Measure("b", "s", "float", "One."), Measure("a", "bit", "int", "Two.")
    measures = Measures(lambda trace, script: (trace, script), ((first, lambda of: of[0]), (second, lambda of: of[1])))
    assert measures.columns == (first, second)
    assert list(measures(7, 2).items()) == [("b", 7.0), ("a", 2)]
    assert measures(7)["a"] == 0


@pytest.mark.parametrize("family", ["dia2", "dia"])
def test_columns_are_declared_whole(family: str) -> None:
    columns = adapters()[family].load("measures").columns
    names = [column.name for column in columns]
    assert len(set(names)) == len(names) > 5
    for column in columns:
        assert column.name.isidentifier()
        assert column.kind in ("int", "float")
        assert column.unit
        assert column.what.endswith(".")


# --- The sample


def bits_of(trace: Dia2Trace, name: str, call: int) -> list[float]:
    """What the draws of a call cost whose names begin so, from the chances that its frame tells."""
    return [-np.log2(draw.probability) for draw in trace.draws(call) if draw.name.startswith(name)]


def test_the_sample_is_measured() -> None:
    trace = sample()
    codes = [np.mean(bits_of(trace, "cb", call) + bits_of(trace, "dep", call)) for call in range(len(trace))]
    actions = [bits_of(trace, "action", call)[0] for call in range(len(trace))]
    told = trace.measures()
    assert list(told) == [column.name for column in ADAPTER.load("measures").columns]
    assert told == {
        "calls": 77,
        "frames": 77,
        "audio_seconds": 5.68,
        "clipping": 0.0,
        "codes_surprise": pytest.approx(np.mean(codes), rel=1e-6),
        "codes_surprise_worst": pytest.approx(np.max(codes), rel=1e-6),
        "longest_silence": 6 / RATE,
        "repeats": 0,
        "words_asked": 13,
        "words_spoken": 13,
        "words_cut": 0,
        "seconds_per_word": pytest.approx(5.68 / 13),
        "action_surprise": pytest.approx(np.mean(actions), rel=1e-5),
        "action_surprise_worst": pytest.approx(np.max(actions), rel=1e-6),
        "prefix_drift": None,
    }
    assert all(type(told[c.name]).__name__ == c.kind for c in measures_of(trace).columns if c.name != "prefix_drift")


# --- Sound that is made by hand


def frames(*levels: tuple[int, float]) -> np.ndarray:
    """Sound of so many frames at each of the levels, its samples up and down."""
    parts = [np.full(count * STEP, level, np.float32) for count, level in levels]
    sound: np.ndarray = np.concatenate(parts)
    sound[::2] *= -1
    return sound


def sounding(folder: Path, sound: np.ndarray, source: Path | None = None, **result: object) -> Dia2Trace:
    """A copy of the sample, or of another run, with other sound, and with other facts of what came out."""
    path = folder / "run.dia2trace"
    shutil.copytree(source or sample().path, path)
    manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    manifest["result"] |= {"samples": len(sound)} | result
    (path / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    soundfile.write(path / AUDIO_FILE, sound, 24000, format="FLAC", subtype="PCM_16")
    return Dia2Trace(path)


@pytest.mark.parametrize(("levels", "seconds"), [
    ([(71, LOUD)], 0.0),
    ([(10, LOUD), (3, QUIET), (20, LOUD), (9, QUIET), (29, LOUD)], 9 / RATE),
    ([(14, QUIET), (40, LOUD), (3, QUIET), (14, LOUD)], 14 / RATE),
    ([(31, LOUD), (1, QUIET), (19, LOUD), (20, QUIET)], 1 / RATE),
    ([(71, QUIET)], 71 / RATE),
])  # fmt: skip
def test_the_longest_silence_is_before_the_last_sound(
    levels: list[tuple[int, float]], seconds: float, tmp_path: Path
) -> None:
    told = sounding(tmp_path, frames(*levels)).measures()
    assert told["longest_silence"] == pytest.approx(seconds)
    assert told["audio_seconds"] == 71 / RATE


def test_samples_at_full_scale_are_clipped(tmp_path: Path) -> None:
    sound = frames((71, LOUD))
    sound[5:305:3] = 1.0  # which is stored one step below
    sound[1000:1006:2] = -1.0
    sound[2000:2100] = 1 - 2 * 2.0**-15
    assert sounding(tmp_path, sound).measures()["clipping"] == 103 / len(sound)


@pytest.mark.parametrize(("seconds", "end", "spoken", "cut"), [
    (5.68, (LOUD, QUIET), 13, 0),
    (5.68, (QUIET, LOUD), 13, 0),
    (5.68, (LOUD, LOUD), 13, 1),
    (3.44, (LOUD, QUIET), 9, 4),  # “thank” begins where the audio ends
    (3.52, (LOUD, QUIET), 10, 3),
    (3.52, (LOUD, LOUD), 10, 4),
])  # fmt: skip
def test_words_are_cut_that_the_audio_has_no_room_for(
    seconds: float, end: tuple[float, float], spoken: int, cut: int, tmp_path: Path
) -> None:
    count = round(seconds * RATE)
    told = sounding(tmp_path, frames((count - 2, LOUD), *((1, level) for level in end))).measures()
    assert (told["words_asked"], told["words_spoken"], told["words_cut"]) == (13, spoken, cut)
    assert told["seconds_per_word"] == pytest.approx(seconds / spoken)


def test_audio_without_a_word_has_no_pace(tmp_path: Path) -> None:
    trace = sounding(tmp_path, frames((4, LOUD)))
    vars(trace)["words"] = [replace(word, seconds=9.0) for word in trace.words]
    told = trace.measures()
    assert (told["words_spoken"], told["words_cut"], told["seconds_per_word"]) == (0, 13, None)


def test_a_silent_run_ends_in_no_words_sound(tmp_path: Path) -> None:
    told = sounding(tmp_path, frames((71, QUIET))).measures()
    assert (told["words_spoken"], told["words_cut"], told["repeats"]) == (13, 0, 0)


@pytest.mark.parametrize(("last", "levels", "count"), [
    (39, [(71, LOUD)], 0),
    (40, [(71, LOUD)], 11),
    (49, [(71, LOUD)], 20),
    (49, [(30, LOUD), (8, QUIET), (33, LOUD)], 0),
    (49, [(25, QUIET), (46, LOUD)], 20),
    (49, [(26, QUIET), (45, LOUD)], 19),
])  # fmt: skip
def test_frames_repeat_that_sound(last: int, levels: list[tuple[int, float]], count: int, tmp_path: Path) -> None:
    """The codes of call 30 stand up to call `last`; codebook 0 of it is of frame 25."""
    trace = sounding(tmp_path, frames(*levels))
    codes = np.arange(77 * 8, dtype=np.int32).reshape(77, 8)
    codes[31 : last + 1] = codes[30]
    trace._columns["codes"] = codes
    assert trace.measures()["repeats"] == count


def test_what_was_given_is_not_measured(tmp_path: Path) -> None:
    """Of a prefix that is heard in the audio neither samples nor pauses nor words count."""
    case = Case("tiny4", "prefix2_include")
    with record(tmp_path / "made"):
        engine("tiny4").generate("[S1] Hi you. [S2] No.", case.config(seed=1))
    made = Dia2Trace.load(tmp_path / "made")
    step = round(made.model.sample_rate / made.model.frame_rate)
    given = made.given_samples() // step
    assert given == made.run.prefix_frames > 30
    sound = frames((5, 1.0), (given - 7, QUIET), (5, QUIET), (12, LOUD), (2, QUIET), (3, LOUD)).astype(np.float32)
    assert step == STEP
    trace = sounding(tmp_path, sound, made.path)
    told = trace.measures()
    assert told["clipping"] == 0.0
    assert told["longest_silence"] == pytest.approx(3 / RATE), "two frames of that pause are the prefix's"
    assert told["audio_seconds"] == pytest.approx((given + 20) / RATE)
    spoken = [w for w in trace.words if not w.prefix and w.seconds is not None and w.seconds < (given + 20) / RATE]
    assert told["words_asked"] == 3
    assert told["words_spoken"] == len(spoken) > 0
    assert told["seconds_per_word"] == pytest.approx(20 / RATE / len(spoken))
    assert told["calls"] == len(trace)
    assert told["frames"] == len(trace) - trace.warmup_calls < len(trace)
    (tmp_path / "given").mkdir()
    told = sounding(tmp_path / "given", frames((given, 1.0)), made.path).measures()
    assert (told["clipping"], told["longest_silence"]) == (None, None), "all of it was given"


# --- The prefix


@pytest.fixture(scope="module")
def clones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clones of nano's own voice: by its words as they sound, and by words of which the last come late."""
    folder, tts = tmp_path_factory.mktemp("clones"), Dia2.nano()
    said = tts.generate(
        "[S1] Good morning. How are you today? I had some bread. It is a fine day.",
        seed=10,
        output_wav=folder / "me.wav",
    )
    for name, late in (("right", 0.0), ("late", 0.4)):
        words = [{"text": word.text, "start": word.seconds + late * (i > 4)} for i, word in enumerate(said.words)]
        with record(folder / name):
            tts.generate("[S1] Yes.", seed=1, prefix_speaker_1=folder / "me.wav", prefix_words_1=words)
    return folder


def test_drift_is_that_of_the_word_farthest_from_its_sound(clones: Path) -> None:
    assert load(clones / "right").measures()["prefix_drift"] == 0.0
    assert load(clones / "late").measures()["prefix_drift"] == pytest.approx(0.4, abs=1 / RATE)


@pytest.mark.parametrize(("drifts", "told"), [
    ([[0.1, None], [-0.4, 0.3]], -0.4), ([[None], [0.25]], 0.25), ([[None]], None), ([], None),
])  # fmt: skip
def test_drift_keeps_its_side(
    drifts: list[list[float | None]], told: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dia2.adapter.measures.fits", lambda _: [SimpleNamespace(drift=drift) for drift in drifts])
    assert sample().measures()["prefix_drift"] == told


# --- What a trace does not tell


SURPRISES = {"codes_surprise", "codes_surprise_worst", "action_surprise", "action_surprise_worst"}


def unknown(trace: Any) -> set[str]:
    return {name for name, value in trace.measures().items() if value is None}


def test_a_run_without_chances_has_no_surprise(tmp_path: Path) -> None:
    for level in ("tokens", "topk"):
        with record(tmp_path / level, level=level):
            engine("tiny4").generate("[S1] Hi you.", Case("tiny4", "plain_cfg2").config(seed=1))
    known = {"prefix_drift"}
    assert unknown(load(tmp_path / "topk")) == known
    assert unknown(load(tmp_path / "tokens")) == known | SURPRISES


def test_draws_that_were_not_recorded_have_no_surprise(tmp_path: Path) -> None:
    with record(tmp_path / "run", hooks="draw.action"):
        engine("tiny4").generate("[S1] Hi you.", Case("tiny4", "plain_cfg2").config(seed=1))
    assert unknown(load(tmp_path / "run")) & SURPRISES == {"codes_surprise", "codes_surprise_worst"}
    with record(tmp_path / "run", hooks="draw.dep.1"):
        engine("tiny4").generate("[S1] Hi you.", Case("tiny4", "plain_cfg2").config(seed=1))
    assert unknown(load(tmp_path / "run")) & SURPRISES == {"action_surprise", "action_surprise_worst"}


def test_a_redacted_run_tells_what_is_left(clones: Path, tmp_path: Path) -> None:
    trace: Any = load(clones / "late")
    whole = trace.measures()
    assert trace.redact(tmp_path / "text", text=True).measures() == whole
    mute = trace.redact(tmp_path / "voice", voice=True)
    gone = {"clipping", "longest_silence", "repeats", "words_cut", "prefix_drift"}
    assert unknown(mute) == gone | {"codes_surprise", "codes_surprise_worst"}
    assert {name: value for name, value in mute.measures().items() if value is not None}.items() <= whole.items()


def changed(folder: Path, source: Path | None = None, **manifest: object) -> Any:
    path = folder / "run.dia2trace"
    shutil.copytree(source or sample().path, path)
    known = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    (path / MANIFEST).write_text(json.dumps(known | manifest), encoding="utf-8")
    return load(path)


def test_a_run_that_was_killed_has_what_is_there_of_it(tmp_path: Path) -> None:
    trace = changed(tmp_path, status="running", result=None, audio=None)
    sound = {"audio_seconds", "clipping", "longest_silence", "repeats", "words_spoken", "words_cut"}
    assert unknown(trace) == sound | {"seconds_per_word", "prefix_drift"}
    assert trace.measures()["words_asked"] == 13


def test_a_run_that_never_began_has_its_row(tmp_path: Path) -> None:
    for family, source, more in (("dia2", sample().path, {}), ("dia", recorded_dia(), {"audio": None, "result": None})):
        (tmp_path / family).mkdir()
        trace = changed(tmp_path / family, source, status="failed", error="no memory", run=None, **more)
        known = {name: value for name, value in trace.measures().items() if value is not None}
        assert known == {"calls": 0, "frames": 0}


def test_damage_is_told(tmp_path: Path) -> None:
    trace = changed(tmp_path)
    (trace.path / AUDIO_FILE).write_bytes(b"noise")
    with pytest.raises(TraceError, match=r"audio\.flac cannot be read"):
        trace.measures()


# --- Other families


def test_scripts_of_dia_are_measured_one_by_one() -> None:
    trace: Any = load(recorded_dia())
    for script in (0, 1):
        told, (heard, rate) = trace.measures(script), trace.audio(script)
        assert list(told) == [column.name for column in measures_of(trace).columns]
        count = len(trace.codes(script))
        assert (told["calls"], told["frames"], told["audio_seconds"]) == (len(trace), count, len(heard) / rate)
        end = trace.run.prefill_steps[script] + count - 1 + trace.model.max_delay  # row of its last code
        bits = trace.surprise(script)[trace.prefill_calls : end]
        assert told["codes_surprise"] == pytest.approx(bits.mean())
        assert told["codes_surprise_worst"] == pytest.approx(bits.max())
    assert trace.measures(0) != trace.measures(1)
    with pytest.raises(TraceError, match="There is no script 2"):
        trace.measures(2)


def test_what_comes_after_a_scripts_end_is_not_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    trace: Any = load(recorded_dia())
    codes, whole = trace.codes(1), trace.measures(1)
    monkeypatch.setattr(type(trace), "codes", lambda self, script: codes[:4])
    told = trace.measures(1)
    assert told["frames"] == 4
    bits = trace.surprise(1)[3 : 4 + 4 - 1 + 15]
    assert told["codes_surprise"] == pytest.approx(bits.mean()) != whole["codes_surprise"]
    monkeypatch.setattr(type(trace), "codes", lambda self, script: codes[:0])
    assert trace.measures(1)["codes_surprise"] is None


def test_a_family_that_declares_none_has_those_of_any_run(monkeypatch: pytest.MonkeyPatch) -> None:
    trace: Any = load(recorded())
    whole = trace.measures()
    monkeypatch.setattr(type(trace), "adapter", replace(ADAPTER, measures=None))
    told = trace.measures()
    assert list(told) == [measure.name for measure, _ in COMMON]
    assert told.items() <= whole.items()
