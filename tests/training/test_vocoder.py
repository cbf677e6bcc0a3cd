"""The vocoder: what is locked to the frame, and where phones and melody go. Readings are made up, without flite."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.flite import HOP, PAUSE, Phone, Reading
from training.vocoder import FRAME, SAMPLE_RATE, SHAPE, STEPS, UNIT, Voice, pulse_numbers, rhythm, sound_of, speak

VOICE = Voice("rms", pitch=110.0, melody=1.0, pulses=tuple(range(5, 30)), gain=1e-3)


def reading(pitch: np.ndarray, names: str = "a") -> Reading:
    """One sound throughout, in phones of equal length; `pitch` every 5 ms."""
    hops = len(pitch)
    each = hops * HOP / len(names)
    phones = [
        Phone(PAUSE if name == "_" else name, i * each, (i + 1) * each, 0 if name != "_" else -1)
        for i, name in enumerate(names)
    ]
    cepstra = np.zeros((hops, 25), np.float32)
    cepstra[:, 0], cepstra[:, 1] = 4.0, 1.5
    return Reading(tuple(phones), pitch.astype(np.float32), cepstra, np.full((hops, 5), 0.8, np.float32))


def fundamental(samples: np.ndarray) -> float:
    """Hz, of a steady sound."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 1 << 16))
    first = SAMPLE_RATE // 400
    part = np.fft.irfft(spectrum**2)[first : SAMPLE_RATE // 60]
    peaks = np.flatnonzero((part[1:-1] > part[:-2]) & (part[1:-1] > part[2:]) & (part[1:-1] > 0.85 * part.max()))
    return SAMPLE_RATE / float(first + 1 + peaks[0])  # the shortest good one: two periods are as good as one


@pytest.mark.parametrize("voiced", [True, False])
def test_a_steady_sound_repeats_with_the_frame(voiced: bool) -> None:
    """Whatever its own pitch, and noise as well."""
    samples = speak(reading(np.full(160, 113.0 * voiced)), VOICE).samples
    third, fourth = samples[3 * FRAME : 4 * FRAME], samples[4 * FRAME : 5 * FRAME]
    assert np.abs(third).max() > 0.01
    assert np.abs(third - fourth).max() < 1e-4 * np.abs(third).max()


@pytest.mark.parametrize(("pitch", "pulses"), [(113.0, 9), (100.0, 8), (176.0, 14)])
def test_a_frame_holds_whole_pulses_equally_spaced_from_its_beginning(pitch: float, pulses: int) -> None:
    samples = speak(reading(np.full(160, pitch)), VOICE).samples
    assert fundamental(samples[2 * FRAME : 8 * FRAME]) == pytest.approx(pulses * SAMPLE_RATE / FRAME, rel=0.01)
    frame = samples[4 * FRAME : 5 * FRAME]
    spacing = FRAME / pulses
    for i in range(pulses):  # the loudest of each period is at the same place after its pulse
        period = frame[round(i * spacing) : round((i + 1) * spacing)]
        assert int(np.abs(period).argmax()) < 8


def test_one_allowed_number_is_a_monotone() -> None:
    monotone = Voice("rms", 110.0, 1.0, (10,), 1e-3)
    samples = speak(reading(np.linspace(80, 200, 160)), monotone).samples
    assert fundamental(samples[FRAME : 4 * FRAME]) == pytest.approx(125, rel=0.01)
    assert fundamental(samples[5 * FRAME : 9 * FRAME]) == pytest.approx(125, rel=0.01)


def test_a_number_of_pulses_stays_until_the_pitch_is_well_past_it() -> None:
    def numbers(*means: float) -> list[int]:
        hz = np.repeat(np.array(means) * SAMPLE_RATE / FRAME, FRAME // 120)
        return pulse_numbers(hz, tuple(range(5, 20)))

    assert numbers(8.0, 8.6, 8.4, 8.64) == [8, 8, 8, 8]
    assert numbers(8.0, 8.66, 8.4, 8.34) == [8, 9, 9, 8]
    assert numbers(8.6, 2.0, 40.0) == [9, 5, 19]


@given(st.lists(st.tuples(st.sampled_from("ab_"), st.floats(0.005, 0.4)), min_size=1, max_size=20))
def test_phones_last_whole_half_frames_and_nothing_is_lost(drawn: list[tuple[str, float]]) -> None:
    phones, at = [], 0.0
    for name, length in [("a", 0.1), *drawn]:
        phones.append(Phone(PAUSE if name == "_" else name, at, at + length, 0))
        at += length
    kept = rhythm(tuple(phones))
    sounding = [phone for phone in phones if phone.name != PAUSE]
    assert [phone for phone, _ in kept if phone.name != PAUSE] == sounding
    assert kept[0][0].name != PAUSE != kept[-1][0].name
    for phone, units in kept:
        seconds = units * UNIT / SAMPLE_RATE
        if phone.name == PAUSE:
            assert seconds <= 0.081
        else:
            assert seconds >= 0.04
            assert abs(seconds - max(0.04, phone.end - phone.start)) <= 0.0201


def test_phones_begin_on_the_grid_and_sound_ends_with_a_frame() -> None:
    speech = speak(reading(np.full(75, 110.0), "_ab_c_"), VOICE)
    assert [name for name, _, _ in speech.phones] == ["a", "b", PAUSE, "c"]
    assert [sample for *_, sample in speech.phones] == [0, 2 * UNIT, 4 * UNIT, 6 * UNIT]
    assert speech.end == 8 * UNIT
    assert len(speech.samples) % FRAME == 0
    assert 0 <= len(speech.samples) - speech.end < FRAME


def test_melody_moves_about_the_voices_pitch() -> None:
    def pitches(melody: float) -> list[float]:
        voice = Voice("slt", 150.0, melody, tuple(range(4, 40)), 1e-3)
        samples = speak(reading(np.repeat([130.0, 200.0], 128)), voice).samples
        return [fundamental(samples[a * FRAME : (a + 4) * FRAME]) for a in (2, 10)]

    plain, wide = pitches(1.0), pitches(2.0)
    assert plain == pytest.approx([130, 200], rel=0.05)
    assert wide == pytest.approx([150 * (130 / 150) ** 2, 150 * (200 / 150) ** 2], rel=0.05)


def test_a_rising_question_ends_higher_and_begins_the_same() -> None:
    flat, up = (speak(reading(np.full(192, 110.0)), VOICE, rising).samples for rising in (False, True))
    assert np.array_equal(flat[: 6 * FRAME], up[: 6 * FRAME])
    last = slice(11 * FRAME, 12 * FRAME)
    assert fundamental(flat[last]) == pytest.approx(112.5, rel=0.01)
    assert 1.2 < fundamental(up[last]) / VOICE.pitch < 2 ** (5 / 12) + 0.03


def test_a_rising_question_ends_high_also_where_flite_falls() -> None:
    fallen = reading(np.linspace(140, 70, 192))
    up = speak(fallen, VOICE, rising=True).samples
    assert 1.2 < fundamental(up[11 * FRAME : 12 * FRAME]) / VOICE.pitch < 2 ** (5 / 12) + 0.03


def test_equal_phones_sound_equal_wherever_the_frame_is_the_same() -> None:
    assert np.array_equal(
        speak(reading(np.full(64, 125.0)), VOICE).samples, speak(reading(np.full(64, 125.0)), VOICE).samples
    )


def test_what_a_codec_keeps_of_a_spectrum_sounds_as_the_sentence_does() -> None:
    """But for what changes within 10 ms; and nothing is left of it after its end."""
    steady = reading(np.full(85, 112.5), "ab")
    speech = speak(steady, VOICE)
    frames = len(speech.samples) // FRAME
    assert speech.shapes.shape == (frames, STEPS, SHAPE)
    assert len(speech.pulses) == frames
    ended = speech.end * STEPS // FRAME
    assert not speech.shapes.reshape(-1, SHAPE)[ended:].any()
    again = sound_of(speech.shapes, list(speech.pulses))
    inside = slice(FRAME // 4, speech.end - FRAME // 4)
    error = np.square(again[inside] - speech.samples[inside]).mean() / np.square(speech.samples[inside]).mean()
    assert error < 1e-3
    assert np.abs(again[speech.end + FRAME // 2 :]).max(initial=0) < 1e-3
