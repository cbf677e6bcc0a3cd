"""When a word sounds: the rule agrees with what the warm-up does, and every word of a result follows it."""

import json
from pathlib import Path
from typing import Any

import pytest
import soundfile
import torch

from dia2.adapter.fork import prefix_plan
from dia2.generation import PrefixConfig
from dia2.inspect import Dia2Trace
from dia2.inspect.trace.tables import calls_table
from dia2.inspect.views.explorer.view import view_of
from dia2.runtime.sounding import LAG, asked_at, sounds_at
from dia2.runtime.voice_clone import build_prefix_plan

from ..support.reference import ROOT, engine

RATE = 12.5
TINY4 = ROOT / "tiny4"
PREFIX: dict[str, Any] = {
    "prefix_speaker_1": TINY4 / "spk1.wav",
    "prefix_words_1": TINY4 / "spk1.words.json",
    "prefix_speaker_2": TINY4 / "spk2.wav",
    "prefix_words_2": TINY4 / "spk2.words.json",
}


def test_a_word_sounds_two_frames_before_its_step_and_not_before_the_audio_begins() -> None:
    assert [sounds_at(step, 0, RATE) for step in (0, 1, 2, 3, 9)] == [0.0, 0.0, 0.0, 0.08, 0.56]
    assert [sounds_at(step, 20, RATE) for step in (20, 22, 24)] == [0.0, 0.0, 0.16]


@pytest.mark.parametrize("speaker", [1, 2])
def test_the_warm_up_asks_for_a_word_by_its_sound(speaker: int) -> None:
    context = engine("tiny4").runtime
    words = [{"text": "a", "start": 0.24, "end": 0.3}, {"text": "b", "start": 0.8, "end": 1.0}]
    other = [{"text": "a", "start": 0.0, "end": 0.1}]
    first, second = (words, other) if speaker == 1 else (other, words)
    prefix = PrefixConfig(TINY4 / "spk1.wav", TINY4 / "spk2.wav", words_1=first, words_2=second)
    plan = build_prefix_plan(context, prefix)
    assert plan is not None
    mine = [i for i, entry in enumerate(plan.entries) if entry.speaker == speaker]
    frames = [3 + 20 * (speaker - 1), 10 + 20 * (speaker - 1)]  # of the prefix; speaker 1's recording has 20
    steps = [plan.new_word_steps[i] for i in mine]
    assert steps == [frame + (LAG if speaker == 1 else -1) for frame in frames]
    assert [asked_at(step, speaker, RATE) for step in steps] == [frame / RATE for frame in frames]
    assert [plan.sounds(RATE)[i] for i in mine] == pytest.approx([frame / RATE for frame in frames])


def test_a_prefixs_words_sound_where_the_recordings_say_them_even_where_boundaries_slip(tmp_path: Path) -> None:
    tts = engine("tiny4")
    given = [json.loads((TINY4 / f"spk{n}.words.json").read_text()) for n in (1, 2)]
    said = [word["start"] + 1.6 * n for n, words in enumerate(given) for word in words]
    result = tts.generate("[S1] Hello.", seed=1, include_prefix=True, trace=tmp_path / "run", **PREFIX)
    *taken, leaked, hello = result.words
    assert [word.seconds for word in taken] == said[:4]
    # The boundary of speaker 2's first word is swallowed: it is taken at the second one's, which the main loop says.
    assert round(taken[-1].timestamp * RATE) > round(said[3] * RATE)
    for word in (leaked, hello):
        assert word.seconds == pytest.approx(word.timestamp - 0.16)
    assert result.timestamps == [(word.text, word.timestamp) for word in result.words]

    trace = Dia2Trace.load(tmp_path / "run")
    assert [word.seconds for word in trace.words] == [word.seconds for word in result.words]
    rows = [row for row in calls_table(trace).to_pylist() if row["word"] is not None]
    assert [row["audio_seconds"] for row in rows] == [word.seconds for word in result.words]
    stored = trace.manifest.result.timestamps or []
    assert [(text, seconds) for text, seconds, _ in stored] == result.timestamps, "the published package's numbers"
    header = view_of(trace).header
    clock, last = header["clock"], trace.run.prefix_frames - 1
    for row, word in zip(header["words"], result.words, strict=True):
        step = row["at"] - (row["at"] > last)
        assert (step - clock["zero"]) / clock["rate"] == pytest.approx(word.seconds)

    plan, again = prefix_plan(trace), trace.fork(tts, len(trace), path=tmp_path / "fork")
    assert plan is not None
    assert plan.sounds(RATE) == said
    assert again.words == result.words == trace.fork(tts, len(trace)).words
    assert [word.seconds for word in Dia2Trace.load(tmp_path / "fork").words] == [word.seconds for word in result.words]


def test_a_trace_that_lacks_the_times_of_its_prefix_goes_by_its_steps(tmp_path: Path) -> None:
    result = engine("tiny4").generate("[S1] Hello.", seed=1, include_prefix=True, trace=tmp_path / "run", **PREFIX)
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    manifest["run"]["spoken"] = []
    (tmp_path / "run" / "manifest.json").write_text(json.dumps(manifest))
    seconds = [word.seconds for word in Dia2Trace.load(tmp_path / "run").words]
    unpushed = (0, 3, 4, 5)  # words of many tokens push those after them back
    assert [seconds[i] for i in unpushed] == pytest.approx([result.words[i].seconds for i in unpushed])
    (tmp_path / "run" / "prefix.safetensors").unlink()
    expected = [max(0.0, word.timestamp - 0.16) for word in result.words]
    assert [word.seconds for word in Dia2Trace.load(tmp_path / "run").words] == pytest.approx(expected)


def test_a_runs_words_are_taken_in_the_warm_up_where_the_run_took_them(tmp_path: Path) -> None:
    tts = engine("tiny4")
    # With a padding of 3 frames, since the first word of a prefix does not begin in its first frame.
    made = tts.generate("[S1] Hello there. How are you?", seed=2, initial_padding=3, output_wav=tmp_path / "a.wav")
    words = {"format": 2, "words": [{"text": word.text, "start": word.seconds} for word in made.words]}
    frames = soundfile.info(tmp_path / "a.wav").frames / 1920
    tts.save_voice(tmp_path / "a.wav", tmp_path / "a.voice", words=words)
    for prefix in (PrefixConfig(tmp_path / "a.wav", words_1=words), PrefixConfig(tmp_path / "a.voice")):
        plan = build_prefix_plan(tts.runtime, prefix)
        assert plan is not None
        assert plan.aligned_frames == frames
        assert plan.new_word_steps == [round(word.timestamp * RATE) + made.crop for word in made.words]


def test_a_result_that_lacks_a_prefix_begins_at_0() -> None:
    result = engine("tiny4").generate("[S1] Hello there.", seed=1, **PREFIX)
    assert result.crop > 0
    assert torch.tensor([word.seconds for word in result.words]).min() >= 0
    assert [word.seconds for word in result.words] == [max(0, round(t * RATE) - 2) / RATE for _, t in result.timestamps]
