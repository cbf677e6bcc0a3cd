"""espeak-ng's speech with its times, and frame-locking."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from dia2.common.errors import Dia2Error
from training.corpus import FRAME_RATE, CorpusPlan
from training.dialogue import GRAMMAR, Dialogue, Turn, load_grammar, words
from training.espeak import SAMPLE_RATE, Speech, Voice, speak
from training.locking import FRAME, lock
from training.robots import VOICES, record, recordings, shorten_pauses

TALK = Dialogue(
    (Turn(1, ("Hello there.", "I am on the road, and you?")), Turn(2, ("Not too bad, thank you.",))), (0.4, 0.0)
)


def test_espeak_says_words_at_their_times() -> None:
    speech = speak("How are you today?", VOICES[1])
    assert [place for place, _ in speech.words] == [0, 4, 8, 12]
    starts = [sample for _, sample in speech.words]
    assert starts == sorted(starts)
    assert 0.6 < len(speech.samples) / SAMPLE_RATE < 2
    assert {"t", "d"} <= {name for name, _ in speech.phonemes}


def test_an_unknown_voice_is_named() -> None:
    with pytest.raises(Dia2Error, match="no voice 'zz-nonsense'"):
        speak("Hi.", Voice("zz-nonsense", 50, 50, 160))


def test_every_entry_of_a_dialogue_has_its_time() -> None:
    recording = record(TALK, None)
    texts = [entry.text for entry in recording.spoken]
    said = "Hello there. I am on the road, and you?|Not too bad, thank you."
    assert texts == [*said.split("|")[0].split(), "", *said.split("|")[1].split()]
    for entry, following in itertools.pairwise(recording.spoken):
        assert entry.start <= entry.end <= following.start + 1e-6
    pause = recording.spoken[9]
    assert (pause.speaker, round((pause.end - pause.start) * FRAME_RATE)) == (0, 5)
    firsts = [recording.spoken[0], recording.spoken[2], recording.spoken[10]]
    assert all(entry.start * FRAME_RATE == pytest.approx(round(entry.start * FRAME_RATE)) for entry in firsts)
    assert len(recording.samples) % FRAME == 0
    quiet = recording.samples[int(pause.start * SAMPLE_RATE) : int(pause.end * SAMPLE_RATE)]
    assert np.abs(quiet).max() < 0.01


def test_a_pause_at_a_comma_is_shortened() -> None:
    samples = np.zeros(SAMPLE_RATE, np.float32)
    speech = Speech(samples, ((0, 0), (5, 18_000)), (("a", 0), ("_:", 6_000), ("b", 18_000), ("_", 23_000)))
    short = shorten_pauses(speech, 0.1)
    assert len(short.samples) == SAMPLE_RATE - (12_000 - 2_400)
    assert short.words == ((0, 0), (5, 8_400))
    assert short.phonemes == (("a", 0), ("_:", 6_000), ("b", 8_400), ("_", 13_400))


def test_locked_speech_repeats_with_the_frame() -> None:
    """A steady vowel has the same samples in every frame, whatever its own pitch was."""
    at = np.arange(FRAME * 8)
    harmonics = [np.sin(2 * np.pi * 113.0 * k * at / SAMPLE_RATE) / k for k in range(1, 20)]
    vowel = np.sum(harmonics, axis=0).astype(np.float32) * 0.1
    locked = lock(vowel, (8,))
    third, fourth = locked[3 * FRAME : 4 * FRAME], locked[4 * FRAME : 5 * FRAME]
    assert np.abs(third - fourth).mean() < 0.05 * np.abs(third).mean()
    spectrum = np.abs(np.fft.rfft(locked[2 * FRAME : 6 * FRAME]))
    assert int(spectrum[4:200].argmax() + 4) % 32 == 0  # 4 frames of 8 pulses: harmonics at every 32nd bin
    assert 0.5 < locked[FRAME:-FRAME].std() / vowel[FRAME:-FRAME].std() < 2


def test_pitch_moves_to_the_nearest_multiple() -> None:
    at = np.arange(FRAME * 6) / SAMPLE_RATE
    high = (np.sin(2 * np.pi * 124 * at) + 0.5 * np.sin(2 * np.pi * 248 * at)).astype(np.float32) * 0.2
    locked = lock(high, (8, 10))
    spectrum = np.abs(np.fft.rfft(locked[FRAME : 5 * FRAME]))
    assert int(spectrum[4:80].argmax() + 4) == 40  # 4 frames of 10 pulses


def test_a_shard_of_its_own_sound_is_of_the_narrow_grammar() -> None:
    made = list(recordings(CorpusPlan(3, "validation", 1, dialogues=2), 0))
    assert [r.script for r in made] == [r.script for r in recordings(CorpusPlan(3, "validation", 1, dialogues=2), 0)]
    said = {word for r in made for entry in r.spoken for word in words(entry.text)}
    assert said <= set(load_grammar(GRAMMAR).vocabulary())
