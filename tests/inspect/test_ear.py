"""The model's own ear: it hears what a replay computes, says where words come late, and changes nothing."""

from __future__ import annotations

import gc
import json
import math
import os
import shutil
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn, cast

import numpy as np
import pytest
import soundfile
import torch
from safetensors.numpy import load_file, save_file

from dia2 import Dia2, PrefixConfig
from dia2.adapter.checkpoint import check_checkpoint
from dia2.adapter.drift import fits
from dia2.adapter.ear import hear as ear_hear
from dia2.adapter.ear import listen as ear_listen
from dia2.adapter.ear.curves import EarCurves
from dia2.adapter.ear.hypotheses import Hypothesis
from dia2.adapter.ear.listen import Ear
from dia2.adapter.ear.of import alternatives_of, ear_of, engine_of
from dia2.adapter.ear.voice import hear_voices
from dia2.adapter.layout import EAR_FILE
from dia2.adapter.spelling.path import SpeltPath, spelt_path
from dia2.adapter.trace import Dia2Trace
from dia2.cli import main
from dia2.common.errors import TraceError, UsageError
from dia2.common.hooks import observing
from dia2.inspect import load, record
from dia2.inspect.record.watch import Watch
from dia2.runtime.assets import nano_folder
from dia2.runtime.audio_io import encode_audio_tokens
from dia2.runtime.voice_file import Voice
from dia2.runtime.words import Word

from ..support.reference import Case, engine
from ..support.speech import talk

TEXT = "[S1] Good morning. How are you today? The dog was under the table. Please close the door."
MOVED = 9  # from this word on, by 0.45 s


@dataclass(frozen=True)
class Prefix:
    """A recording of nano's own voice, with its words."""

    path: Path
    words: list[dict[str, Any]]
    moved: list[dict[str, Any]]  # late from a word on


@pytest.fixture(scope="module")
def tts() -> Dia2:
    return Dia2.nano()


@pytest.fixture(scope="module")
def prefix(tts: Dia2, tmp_path_factory: pytest.TempPathFactory) -> Prefix:
    path = tmp_path_factory.mktemp("ear") / "voice.wav"
    spoken = tts.generate(TEXT, seed=11, cfg_scale=2.0, output_wav=path)
    end = spoken.duration - 0.1
    times = [(word.text, word.seconds) for word in spoken.words if word.seconds < end]
    late = [(text, start + (0.45 if i >= MOVED else 0.0)) for i, (text, start) in enumerate(times)]
    words, moved = ([{"text": text, "start": start} for text, start in some if start < end] for some in (times, late))
    return Prefix(path, words, moved)


def cloned(tts: Dia2, prefix: Prefix, words: list[dict[str, Any]], **more: Any) -> Any:
    return tts.generate("[S1] Yes.", seed=1, prefix_speaker_1=prefix.path, prefix_words_1=words, **more)


@pytest.fixture(scope="module")
def late(tts: Dia2, prefix: Prefix, tmp_path_factory: pytest.TempPathFactory) -> Dia2Trace:
    path = tmp_path_factory.mktemp("late") / "run.dia2trace"
    cloned(tts, prefix, prefix.moved, trace=path)
    return Dia2Trace(path)


@pytest.fixture(scope="module")
def clean(tts: Dia2, prefix: Prefix, tmp_path_factory: pytest.TempPathFactory) -> Dia2Trace:
    path = tmp_path_factory.mktemp("clean") / "run.dia2trace"
    cloned(tts, prefix, prefix.words, trace=path)
    return Dia2Trace(path)


def forgotten(tts: Dia2, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of what was heard is kept, neither in traces nor by the engine."""
    tts.runtime.forget()
    monkeypatch.setattr(Dia2Trace, "ear", None)


def as_replayed(trace: Dia2Trace, tts: Dia2) -> np.ndarray:
    """[frames] −log p of codebook 0 in the warm-up, by the frame that sounds, out of a replay's logits."""
    frames, prefix, delay = trace.warmup_calls, trace.prefix, trace.model.delays[0]
    assert prefix is not None
    logits = trace.replay(tts, range(frames)).cb0[:, 0].log_softmax(-1)
    found = np.full(frames, np.nan, np.float32)
    for frame in range(frames - delay + 1):
        if frame + delay >= 1:
            found[frame] = -logits[frame + delay - 1, int(prefix.codes[0, frame])]
    return found


# What is heard


def test_the_words_as_given_are_heard_as_a_replay_computes_them(late: Dia2Trace, tts: Dia2) -> None:
    assert late.ear is not None
    want = as_replayed(late, tts)
    assert np.isnan(want).sum() == late.model.delays[0] - 1
    np.testing.assert_allclose(late.ear.given, want, atol=2e-4, rtol=1e-4)


def test_so_is_a_prefix_of_two_speakers(tmp_path: Path) -> None:
    tts = engine("tiny4")
    tts.generate("[S1] Yes.", Case("tiny4", "prefix2").config(seed=1), trace=tmp_path / "run")
    trace = Dia2Trace(tmp_path / "run")
    assert trace.ear is not None
    np.testing.assert_allclose(trace.ear.given, as_replayed(trace, tts), atol=2e-4, rtol=1e-4)
    row = trace.ear.nats[trace.ear.late.tolist().index(0)]
    first = trace.run.voice_frames[0]
    assert np.nanmax(abs(row - trace.ear.given)[:first]) < 1e-3
    assert np.nanmax(abs(row - trace.ear.given)[first:]) > 1e-3, "speaker 2's words are asked for three frames later"


def test_one_hypothesis_at_a_time_hears_the_same(late: Dia2Trace, tts: Dia2, monkeypatch: pytest.MonkeyPatch) -> None:
    assert late.ear is not None
    copy = Dia2Trace(late.path)
    monkeypatch.setattr(ear_listen, "MOST_BYTES", 1)
    forgotten(tts, monkeypatch)
    alone = ear_of(copy, tts)
    assert alone is not None
    np.testing.assert_array_equal(alone.late, late.ear.late)
    np.testing.assert_allclose(alone.nats, late.ear.nats, atol=2e-4, rtol=1e-4)


def test_words_that_are_late_from_one_on_are_told(late: Dia2Trace) -> None:
    assert late.ear is not None
    (shift,) = late.ear.shifts
    assert shift.speaker == 1
    assert shift.seconds == pytest.approx(0.45, abs=0.05)
    assert shift.begins_between[0] <= MOVED <= shift.begins_between[1]
    assert abs(shift.first_word - MOVED) <= 1
    assert shift.last_word == late.run.prefix_words - 1
    assert shift.gain_nats > 100
    told = [window.seconds for window in late.ear.windows]
    assert abs(told[0]) <= 0.08
    assert told[-1] == pytest.approx(0.45, abs=0.1)


def test_right_words_have_no_shift(clean: Dia2Trace) -> None:
    assert clean.ear is not None
    assert clean.ear.shifts == []
    assert clean.ear.deaf == []
    assert {abs(window.seconds) <= 0.08 for window in clean.ear.windows} == {True}


@pytest.mark.slow
def test_the_second_recordings_words_are_told_apart(tts: Dia2, prefix: Prefix, tmp_path: Path) -> None:
    """Its words are asked for three frames earlier than the first one's, which is no fault of theirs."""
    both = {"prefix_speaker_2": prefix.path, "prefix_words_2": prefix.words}
    cloned(tts, prefix, prefix.words, trace=tmp_path / "right", **both)
    right = Dia2Trace(tmp_path / "right").ear
    assert right is not None
    assert right.shifts == []
    assert right.deaf == []
    cloned(tts, prefix, prefix.words, trace=tmp_path / "wrong", **both | {"prefix_words_2": prefix.moved})
    wrong = Dia2Trace(tmp_path / "wrong").ear
    assert wrong is not None
    (shift,) = wrong.shifts
    assert shift.speaker == 2
    assert shift.seconds == pytest.approx(0.45, abs=0.05)
    assert shift.begins_between[0] <= len(prefix.words) + MOVED <= shift.begins_between[1]


def test_a_voice_that_the_model_never_heard_is_not_judged(tts: Dia2) -> None:
    recording = talk("Good morning. The dog was under the table.")
    moved = [replace(w, start=w.start + 0.4, end=w.end + 0.4) for w in recording.words]
    runtime = tts.runtime
    with runtime.computing():
        codes = encode_audio_tokens(runtime.mimi, torch.from_numpy(recording.samples))
    for words in (list(recording.words), moved):
        heard = hear_voices(runtime, [Voice(codes, words)])
        assert heard.deaf == [1]
        assert heard.shifts == []
        assert all(math.isnan(window.seconds) for window in heard.windows)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20, 28))
@pytest.mark.parametrize("noise", [0.0, 0.003])
def test_clean_recordings_have_none_and_moved_words_are_found(tts: Dia2, seed: int, noise: float) -> None:
    text = f"[S{1 + seed % 2}] " + " ".join(TEXT.split(maxsplit=1)[1].split(". ")[seed % 3 :])
    spoken = tts.generate(f"{text} My brother has a new job. We went to the park.", seed=seed, cfg_scale=2.0)
    times = [word.seconds for word in spoken.words] + [spoken.duration]
    words = [Word(w.text, w.seconds, times[i + 1]) for i, w in enumerate(spoken.words) if w.seconds < times[-1] - 0.1]
    sound = spoken.waveform + noise * torch.randn(spoken.waveform.shape, generator=torch.Generator().manual_seed(seed))
    with tts.runtime.computing():
        codes = encode_audio_tokens(tts.runtime.mimi, sound)
    assert hear_voices(tts.runtime, [Voice(codes, words)]).shifts == []
    middle = len(words) // 2
    late = [replace(w, start=w.start + 0.6, end=w.end + 0.6) if i >= middle else w for i, w in enumerate(words)]
    late = [w for w in late if w.start < spoken.duration - 0.1]
    (shift,) = hear_voices(tts.runtime, [Voice(codes, late)]).shifts
    assert shift.seconds == pytest.approx(0.6, abs=0.09)
    assert shift.begins_between[0] <= middle <= shift.begins_between[1]


# What it costs, and that it changes nothing


def test_nothing_of_the_run_is_touched(tts: Dia2, prefix: Prefix, tmp_path: Path) -> None:
    def run(doctor: bool) -> tuple[Any, ...]:
        state = torch.get_rng_state()
        path = tmp_path / f"doctor-{doctor}"
        with record(path, level="full", doctor=doctor):
            result = cloned(tts, prefix, prefix.words)
        assert torch.equal(torch.get_rng_state(), state)
        return result.waveform, Dia2Trace(path)

    (with_it, examined), (without, plain) = run(True), run(False)
    assert torch.equal(with_it, without)
    assert examined.ear is not None
    assert plain.ear is None
    assert [phase.name for phase in examined.phases] == [phase.name for phase in plain.phases]
    assert tts.runtime.machine.words_queued(tts.runtime.machine.new_state([])) == 0


def test_nobody_observes_it(clean: Dia2Trace, tts: Dia2, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    forgotten(tts, monkeypatch)
    with observing(Watch(lambda name, _: seen.append(name))):
        assert ear_of(Dia2Trace(clean.path), tts) is not None
    assert set(seen) == {"runtime.ensure"}


def test_progress_is_told(clean: Dia2Trace, tts: Dia2, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[int, int]] = []
    forgotten(tts, monkeypatch)
    monkeypatch.setattr(ear_listen.Ear, "passes_at_once", lambda self: 4)
    heard = ear_of(Dia2Trace(clean.path), tts, lambda *now: told.append(now))
    assert heard is not None
    done, totals = zip(*told, strict=True)
    assert list(done) == sorted(done)
    assert done[-1] == totals[-1] == len(heard.late) + 1
    assert len(told) >= 5


@pytest.mark.parametrize(("products", "grid"), [(1e10, 19), (6e9, 9), (1e9, 1)])
def test_a_long_prefix_of_a_large_model_is_heard_under_fewer_hypotheses(
    late: Dia2Trace, tts: Dia2, monkeypatch: pytest.MonkeyPatch, products: float, grid: int
) -> None:
    forgotten(tts, monkeypatch)
    monkeypatch.setitem(ear_hear.MOST_PRODUCTS, "cpu", products)
    heard = ear_of(Dia2Trace(late.path), tts)
    assert heard is not None
    assert grid <= len(heard.late) <= (grid + 8 if grid > 1 else 1)
    weights = sum(weight.numel() for weight in tts.runtime.model.transformer.parameters())
    assert grid == 1 or (1 + len(heard.late)) * heard.nats.shape[1] * weights <= products
    assert [shift.seconds for shift in heard.shifts] == ([pytest.approx(0.45, abs=0.05)] if grid > 1 else [])
    assert heard.deaf == ([1] if grid == 1 else [])


def test_memory_is_bounded(tts: Dia2) -> None:
    """Two minutes of prefix: the caches of the hypotheses that are heard side by side."""
    ear = Ear(tts.runtime, torch.zeros((8, 1500), dtype=torch.int64))
    at_once, device = ear.passes_at_once(), torch.device("cpu")
    assert 1 < at_once < 27
    state = tts.runtime.model.new_decode_state(branches=at_once, slots=1500, positions=1500, device=device)
    assert state.transformer.keys.nbytes + state.transformer.values.nbytes <= ear_listen.MOST_BYTES


@pytest.mark.slow
def test_the_same_prefix_is_heard_once(prefix: Prefix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also before another script, as long as what the second stream looks ahead to is the same."""
    tts, passes, read = Dia2.nano(), list[int](), Ear._read

    def counted(self: Ear, those: Sequence[Hypothesis]) -> np.ndarray:
        passes.append(len(those))
        return read(self, those)

    monkeypatch.setattr(Ear, "_read", counted)

    def heard(script: str, words: list[dict[str, Any]]) -> tuple[EarCurves, bool]:
        passes.clear()
        tts.generate(script, seed=1, prefix_speaker_1=prefix.path, prefix_words_1=words, trace=tmp_path / "run")
        ear = Dia2Trace(tmp_path / "run").ear
        assert ear is not None
        return ear, bool(passes)

    first, new = heard("[S1] Yes. No. Good.", prefix.words)
    again, anew = heard("[S1] Yes. No. Come.", prefix.words)
    assert (new, anew) == (True, False)
    np.testing.assert_array_equal(again.nats, first.nats)
    assert heard("[S1] No. Yes. Good.", prefix.words)[1]
    assert heard("[S1] Yes. No. Good.", prefix.moved)[1]
    with torch.no_grad():
        tts.runtime.model.transformer.cb0_head.weight *= 1.1
    changed, anew = heard("[S1] Yes. No. Good.", prefix.words)
    assert anew
    assert not np.allclose(changed.given[:20], first.given[:20])
    tts.runtime.forget()
    assert heard("[S1] Yes. No. Good.", prefix.words)[1]


# Kept in a trace


def test_what_was_heard_is_read_back(late: Dia2Trace, tts: Dia2, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = late.ear
    assert kept is not None
    assert ear_of(late, tts) is kept, "what is kept is not computed again"
    assert set(load_file(late.path / EAR_FILE)) == {"late", "nats", "given"}
    forgotten(tts, monkeypatch)
    anew = ear_of(Dia2Trace(late.path), tts)
    assert anew is not None
    for name, value in vars(anew).items():
        np.testing.assert_array_equal(value, getattr(kept, name))


def test_a_run_without_a_prefix_has_none(tts: Dia2, tmp_path: Path) -> None:
    tts.generate("[S1] Yes.", seed=1, trace=tmp_path / "run")
    trace = Dia2Trace(tmp_path / "run")
    assert trace.ear is None
    assert ear_of(trace, tts) is None
    assert not (trace.path / EAR_FILE).exists()
    with pytest.raises(TraceError, match="nothing to compare with"):
        alternatives_of(trace, tts)


def test_a_trace_of_before_has_none(late: Dia2Trace, tts: Dia2, tmp_path: Path) -> None:
    old = Dia2Trace(shutil.copytree(late.path, tmp_path / "old"))
    (old.path / EAR_FILE).unlink()
    assert old.ear is None
    heard = ear_of(old, tts)
    assert heard is not None
    assert late.ear is not None
    assert heard.shifts == late.ear.shifts


DAMAGE: dict[str, Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]] = {
    "no shifts": lambda t: {name: t[name] for name in ("nats", "given")},
    "too few frames": lambda t: t | {"nats": t["nats"][:, 1:]},
    "other numbers": lambda t: t | {"nats": t["nats"].astype(np.float16)},
    "unsorted": lambda t: t | {"late": t["late"][::-1].copy()},
    "without zero": lambda t: t | {"late": np.where(t["late"] == 0, np.int32(-100), t["late"])},
    "far": lambda t: t | {"late": np.where(t["late"] == t["late"].max(), np.int32(1 << 30), t["late"])},
    "infinite": lambda t: t | {"given": np.full_like(t["given"], np.inf)},
    "negative": lambda t: t | {"nats": -t["nats"]},
    "too many": lambda t: {
        "late": np.arange(65, dtype=np.int32),
        "nats": np.zeros((65, t["nats"].shape[1]), np.float32),
        "given": t["given"],
    },
    "large": lambda t: t | {"more": np.zeros(10_000_000, np.int8)},
}


@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_file_is_refused(late: Dia2Trace, tmp_path: Path, how: str) -> None:
    path = shutil.copytree(late.path, tmp_path / "damaged")
    save_file(DAMAGE[how](load_file(late.path / EAR_FILE)), path / EAR_FILE)
    with pytest.raises(TraceError, match="damaged") as refused:
        _ = Dia2Trace(path).ear
    assert EAR_FILE in str(refused.value)


def test_no_file_that_is_elsewhere_is_read(late: Dia2Trace, tmp_path: Path) -> None:
    path = shutil.copytree(late.path, tmp_path / "linked")
    (path / EAR_FILE).unlink()
    (path / EAR_FILE).symlink_to(late.path / EAR_FILE)
    with pytest.raises(TraceError, match="is a link"):
        _ = Dia2Trace(path).ear


def test_without_the_voice_nothing_is_left_of_it_without_the_text_it_stays(late: Dia2Trace, tmp_path: Path) -> None:
    assert late.redact(tmp_path / "voice", voice=True).ear is None
    assert not (tmp_path / "voice" / EAR_FILE).exists()
    text = late.redact(tmp_path / "text", text=True).ear
    assert text is not None
    assert late.ear is not None
    assert text.shifts == late.ear.shifts
    np.testing.assert_array_equal(text.nats, late.ear.nats)


def test_a_fork_hands_it_on(
    late: Dia2Trace, clean: Dia2Trace, tts: Dia2, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any) -> NoReturn:
        raise AssertionError("it is heard already")

    tts.runtime.forget()
    monkeypatch.setattr(Ear, "listen", never)
    late.fork(tts, late.warmup_calls, path=tmp_path / "fork")
    forked = Dia2Trace(tmp_path / "fork").ear
    assert forked is not None
    assert late.ear is not None
    np.testing.assert_array_equal(forked.nats, late.ear.nats)


def test_a_stream_that_is_left_keeps_its_trace(tts: Dia2, prefix: Prefix, tmp_path: Path) -> None:
    with record(tmp_path / "run"):
        stream = tts.stream("[S1] Yes. No.", seed=1, prefix_speaker_1=prefix.path, prefix_words_1=prefix.moved)
        next(iter(stream))
        stream.close()
    trace = Dia2Trace(tmp_path / "run")
    assert trace.manifest.status == "interrupted"
    assert len(trace) > trace.warmup_calls
    assert trace.ear is not None
    assert [shift.speaker for shift in trace.ear.shifts] == [1]


def test_ctrl_c_leaves_out_the_ear_alone(
    tts: Dia2, prefix: Prefix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def stopped(*_: Any) -> NoReturn:
        raise KeyboardInterrupt

    tts.runtime.forget()
    monkeypatch.setattr(Ear, "listen", stopped)
    cloned(tts, prefix, prefix.words, trace=tmp_path / "run")
    trace = Dia2Trace(tmp_path / "run")
    assert trace.manifest.status == "complete"
    assert trace.audio is not None
    assert trace.ear is None
    assert "but for what the doctor would have found" in caplog.text


def test_too_little_memory_leaves_out_the_ear_alone(
    tts: Dia2, prefix: Prefix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def too_much(*_: Any) -> NoReturn:
        raise torch.OutOfMemoryError

    tts.runtime.forget()
    monkeypatch.setattr(Ear, "listen", too_much)
    cloned(tts, prefix, prefix.words, trace=tmp_path / "run")
    trace = Dia2Trace(tmp_path / "run")
    assert trace.manifest.status == "complete"
    assert trace.ear is None
    assert "too little memory" in caplog.text


def test_a_recorder_lets_go_of_the_checkpoint(prefix: Prefix, tmp_path: Path) -> None:
    tts = Dia2.nano()
    with record(tmp_path / "run") as recorder:
        cloned(tts, prefix, prefix.words)
    runtime = weakref.ref(tts.runtime)
    tts.close()
    gc.collect()
    assert recorder.begun
    assert runtime() is None


# The checkpoint of a trace


def test_the_embedded_checkpoint_is_at_hand(clean: Dia2Trace, tts: Dia2) -> None:
    found = engine_of(clean)
    assert found is not None
    check_checkpoint(clean, found.runtime)


def test_another_one_is_where_it_was_loaded_from(tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    shutil.copytree(nano_folder(), folder, ignore=shutil.ignore_patterns("*.dia2trace"))
    weights = load_file(folder / "model.safetensors")
    save_file({name: value * np.float32(1.5) for name, value in weights.items()}, folder / "model.safetensors")
    tts = Dia2.from_local(folder / "config.json", folder / "model.safetensors")
    with record(tmp_path / "run", level="tokens"):
        tts.generate("[S1] Yes.", seed=1)
    trace = Dia2Trace(tmp_path / "run")
    found = engine_of(trace)
    assert found is not None
    assert str(folder) in repr(found)
    check_checkpoint(trace, found.runtime)
    (folder / "model.safetensors").write_bytes((nano_folder() / "model.safetensors").read_bytes())
    assert engine_of(trace) is None, "its hashes decide"
    shutil.rmtree(folder)
    assert engine_of(trace) is None


def test_another_checkpoint_is_refused(clean: Dia2Trace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Dia2Trace, "ear", None)
    with pytest.raises(UsageError, match="another checkpoint"):
        ear_of(Dia2Trace(clean.path), engine("tiny4"))
    with pytest.raises(UsageError, match="another checkpoint"):
        alternatives_of(clean, engine("tiny4"))


# Other words


def test_words_left_out_speakers_exchanged_and_other_words_explain_it_worse(clean: Dia2Trace, tts: Dia2) -> None:
    others = alternatives_of(clean, tts)
    left_out = others.left_out()
    assert left_out.shape == (clean.run.prefix_words,)
    assert (left_out < 0).mean() >= 0.8
    assert left_out.sum() < -50
    (exchanged,) = others.other_speaker()
    assert exchanged < 0
    words = [Word(word.text, word.start, word.end) for word in clean.run.spoken]
    assert others.transcript(words).tolist() == [0.0] * clean.run.prefix_frames
    wrong = [replace(word, text="computer" if i == 9 else word.text) for i, word in enumerate(words)]
    ratio = others.transcript(wrong)
    first = round(words[9].start * clean.model.frame_rate)
    assert ratio[: first - 6] == pytest.approx(0.0, abs=1e-3)
    assert ratio[first : first + 8].sum() < -5
    with pytest.raises(UsageError, match="no recording of speaker 2: choose 1 … 1"):
        others.transcript(words, speaker=2)


def test_redacted_words_are_not_judged_by_their_letters(
    late: Dia2Trace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All read “redacted” then, so loudness tells."""
    monkeypatch.setattr(Dia2Trace, "ear", None)
    assert late.letters
    copy = late.redact(tmp_path / "copy", text=True)
    assert copy.letters == {}
    assert [fit.source for fit in fits(copy)] == ["loudness"]
    assert "prefix-words-without-speech" not in [one.kind for one in copy.findings()]


def test_letters_are_compared_once(late: Dia2Trace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Dia2Trace, "ear", None)
    asked: list[str] = []

    def counted(*args: Any) -> SpeltPath | None:
        asked.append("once")
        return spelt_path(*args)

    monkeypatch.setattr("dia2.adapter.spelling.of.spelt_path", counted)
    trace = Dia2Trace(late.path)
    trace.findings()
    fits(trace)
    assert asked == ["once"]


def test_letters_are_not_compared_where_the_ear_tells(late: Dia2Trace, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any) -> NoReturn:
        raise AssertionError("letters are slow, and tell less")

    monkeypatch.setattr("dia2.adapter.spelling.of.spelt_path", never)
    trace = Dia2Trace(late.path)
    assert [fit.source for fit in fits(trace)] == ["ear"]
    assert trace.findings()


# The command line


@pytest.fixture
def files(prefix: Prefix, tmp_path: Path) -> list[str]:
    (tmp_path / "moved.json").write_text(json.dumps(prefix.moved))
    return [str(prefix.path), "--words", str(tmp_path / "moved.json"), "-o", str(tmp_path / "a.voice")]


def test_a_voice_with_late_words_is_told(files: list[str], capsys: pytest.CaptureFixture[str], prefix: Prefix) -> None:
    assert main(["voice", *files]) == 0
    told = capsys.readouterr().err
    assert "warning: From “" in told
    assert " on the words of speaker 1 seem to stand 0.4" in told
    assert " s after their sound. → check the word times" in told
    assert main(["voice", *files, "--no-doctor"]) == 0
    assert "warning" not in capsys.readouterr().err


def test_words_that_come_by_a_pipe_are_read_once(
    files: list[str], prefix: Prefix, capsys: pytest.CaptureFixture[str]
) -> None:
    reader, writer = os.pipe()
    os.write(writer, json.dumps(prefix.moved).encode())
    os.close(writer)
    try:
        assert main(["voice", files[0], "--words", f"/dev/fd/{reader}", *files[3:]]) == 0
    finally:
        os.close(reader)
    assert " on the words of speaker 1 seem to stand 0.4" in capsys.readouterr().err


def test_a_voice_is_told_of_its_recording_too(
    files: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    samples, rate = soundfile.read(files[0], dtype="float32")
    loud = str(tmp_path / "loud.wav")
    soundfile.write(loud, np.clip(samples * 30, -1, 1), rate)
    assert main(["voice", loud, "--speaker", "2", *files[1:]]) == 0
    assert "warning: The recording of speaker 2 is clipped in " in capsys.readouterr().err
    soundfile.write(loud, samples * 0.002, rate)
    assert main(["voice", loud, *files[1:]]) == 0
    assert "warning: The recording of speaker 1 is quiet" in capsys.readouterr().err
    assert main(["voice", files[4], "-o", str(tmp_path / "again.voice")]) == 0


def test_a_prefix_from_a_voice_file_is_judged_by_what_the_codec_makes_of_it(
    files: list[str], tmp_path: Path, prefix: Prefix
) -> None:
    main(["voice", *files, "--no-doctor"])
    tts = Dia2.nano()
    with record(tmp_path / "run.dia2trace", doctor=False):
        tts.generate("[S1] Hello.", prefix=PrefixConfig(speaker_1=files[4]), seed=1)
    trace = cast("Dia2Trace", load(tmp_path / "run.dia2trace"))
    assert trace.prefix is not None
    assert np.isfinite(trace.prefix.rms).all()
    assert np.isnan(trace.prefix.clipped).all()
    assert abs(trace.recordings[0].seconds - soundfile.info(files[0]).duration) < 0.1
    assert "prefix-shift" in [finding.kind for finding in trace.findings()]


@pytest.mark.parametrize("flags", [[], ["--no-doctor"]])
def test_a_recorded_command_hears_the_prefix(files: list[str], tmp_path: Path, flags: list[str]) -> None:
    main(["voice", *files, "--no-doctor"])
    out, trace = str(tmp_path / "out.wav"), str(tmp_path / "run")
    given = ["generate", out, "--input", "[S1] Yes.", "--seed", "1", "--quiet", "--prefix-speaker-1", files[-1]]
    assert main([*given, "--trace", trace, *flags]) == 0
    ear = Dia2Trace(Path(trace)).ear
    assert (ear is None) == bool(flags)
    assert ear is None or len(ear.shifts) == 1
