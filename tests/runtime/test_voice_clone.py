"""Recordings and their words become the prefix that the published runtime makes of them."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dia2.common.errors import UsageError
from dia2.generation import PrefixConfig
from dia2.runtime.context import RuntimeContext
from dia2.runtime.sounding import SPEAKER_1_OFFSET
from dia2.runtime.state_machine import StateMachine, TokenIds
from dia2.runtime.voice_clone import build_prefix_plan, read_voice, words_to_entries
from dia2.runtime.voice_file import Voice, save_voice
from dia2.runtime.words import Word

from ..support.reference import ROOT, Case, cases, engine
from ..support.whisper_checkpoint import write_tiny_whisper

TINY8 = ROOT / "tiny8"
SPK1, SPK2 = TINY8 / "spk1.wav", TINY8 / "spk2.wav"
WORDS1, WORDS2 = TINY8 / "spk1.words.json", TINY8 / "spk2.words.json"
CASES = [parameter for parameter in cases() if parameter.values[0].expected["words"]]
RATE = 12.5


def runtime(checkpoint: str = "tiny8") -> RuntimeContext:
    return engine(checkpoint).runtime


def characters(text: str) -> list[int]:
    return [ord(char) for char in text]


@pytest.mark.parametrize("case", CASES)
def test_prefixes_are_those_of_the_published_runtime(case: Case) -> None:
    published = case.expected
    context = runtime(case.checkpoint)

    plan = build_prefix_plan(context, case.config().prefix)

    assert plan is not None
    entries = [[entry.text, entry.tokens, entry.padding] for entry in plan.entries]
    assert entries == published["entries"][: len(entries)]
    forced = [row for row in published["machine"] if row["forced"]]
    assert plan.aligned_frames == len(forced)
    assert plan.new_word_steps == [row["step"] for row in forced if row["action"] == context.constants.new_word]

    grid = case.tensors["audio_buf"][0].long()
    for k, delay in enumerate(context.audio_delays):  # from the prefix's length on, the grid was written over
        kept = plan.aligned_frames - delay
        assert torch.equal(plan.aligned_tokens[k, :kept], grid[k, delay : plan.aligned_frames])


def test_all_word_files_are_among_the_published_prefixes() -> None:
    used = {name for parameter in CASES for name in parameter.values[0].expected["words"]}
    assert used == {"spk1.words.json", "spk1b.words.json", "spk2.words.json"}


@pytest.mark.parametrize("prefix", [None, PrefixConfig(), PrefixConfig(include_audio=True)])
def test_no_speaker_is_no_prefix(prefix: PrefixConfig | None) -> None:
    assert build_prefix_plan(runtime(), prefix) is None


def test_speaker_1_is_shifted_by_a_constant_and_speaker_2_by_speaker_1s_frames() -> None:
    context = runtime()
    first = read_voice(context, SPK1, WORDS1, "turbo")
    second = read_voice(context, SPK2, WORDS2, "turbo")
    entries_1, steps_1 = words_to_entries(first.words, context.encode, 1, RATE)
    entries_2, steps_2 = words_to_entries(second.words, context.encode, 2, RATE)

    plan = build_prefix_plan(context, PrefixConfig(SPK1, SPK2, words_1=WORDS1, words_2=WORDS2))

    assert plan is not None
    assert SPEAKER_1_OFFSET == 3
    assert plan.entries == entries_1 + entries_2
    assert plan.new_word_steps == [step + 3 for step in steps_1] + [step + 20 for step in steps_2]  # 1.6 s
    assert torch.equal(plan.aligned_tokens, torch.cat((first.codes, second.codes), dim=1))
    assert [entry.speaker for entry in plan.entries] == [1, 1, 1, 2, 2]


def refused(prefix: PrefixConfig) -> str:
    with pytest.raises(UsageError) as error:
        build_prefix_plan(runtime(), prefix)
    return str(error.value)


def test_speaker_2_alone_is_refused() -> None:
    message = "A prefix for speaker 2 needs one for speaker 1 before it: give --prefix-speaker-1 too."
    assert refused(PrefixConfig(speaker_2=SPK2, words_2=WORDS2)) == message


@pytest.mark.parametrize("prefix", [PrefixConfig(words_1=WORDS1), PrefixConfig(words_2=WORDS2)])
def test_words_without_any_audio_are_refused(prefix: PrefixConfig) -> None:
    assert refused(prefix) == "Prefix words are given without prefix audio: give --prefix-speaker-1 too."


def test_words_of_speaker_2_without_audio_are_refused() -> None:
    prefix = PrefixConfig(SPK1, words_1=WORDS1, words_2=WORDS2)
    assert refused(prefix) == "Prefix words for speaker 2 are given without audio: give --prefix-speaker-2 too."


def test_errors_of_recordings_and_words_come_through() -> None:
    assert "There is no prefix audio nowhere.wav" in refused(PrefixConfig("nowhere.wav", words_1=WORDS1))
    assert "There is no prefix audio nowhere.wav" in refused(
        PrefixConfig(SPK1, "nowhere.wav", words_1=WORDS1, words_2=WORDS2)
    )
    assert "There is no words file nowhere.json" in refused(PrefixConfig(SPK1, words_1="nowhere.json"))
    long = [{"text": "Hi", "start": 0.0, "end": 1.7}]
    assert "word 1 'Hi' ends at 1.7 s, after the audio (1.60 s)" in refused(PrefixConfig(SPK1, words_1=long))


def test_a_recording_may_have_another_rate_and_its_words_times_stay_seconds(tmp_path: Path) -> None:
    samples, rate = soundfile.read(SPK1)
    soundfile.write(tmp_path / "a.flac", np.repeat(samples, 2), 2 * rate)
    original = read_voice(runtime(), SPK1, WORDS1, "turbo")
    resampled = read_voice(runtime(), tmp_path / "a.flac", WORDS1, "turbo")
    assert resampled.words == original.words
    assert resampled.codes.shape == original.codes.shape == (8, 20)


def test_without_words_whisper_listens(tmp_path: Path) -> None:
    checkpoint = str(write_tiny_whisper(tmp_path / "tiny.pt"))
    plan = build_prefix_plan(runtime(), PrefixConfig(SPK1, SPK2, whisper=checkpoint))
    assert plan is not None
    assert [entry.text for entry in plan.entries] == ["Hello", "there,", "friend."] * 2
    assert plan.entries[0].tokens == runtime().encode("[S1] Hello")
    assert plan.entries[3].tokens == runtime().encode("[S2] Hello")


@pytest.fixture
def voice_file(tmp_path: Path) -> Path:
    """Speaker 1's recording as a voice file."""
    voice = read_voice(runtime(), SPK1, WORDS1, "turbo")
    save_voice(tmp_path / "a.voice", voice, codec=runtime().mimi, speaker=1, audio=SPK1)
    return tmp_path / "a.voice"


def test_a_voice_file_is_the_same_prefix_as_its_recording(voice_file: Path) -> None:
    prefixes = [PrefixConfig(SPK1, words_1=WORDS1), PrefixConfig(voice_file), PrefixConfig(str(voice_file))]
    first, *others = (build_prefix_plan(runtime(), prefix) for prefix in prefixes)
    assert first is not None
    for other in others:
        assert other is not None
        assert (other.entries, other.new_word_steps) == (first.entries, first.new_word_steps)
        assert torch.equal(other.aligned_tokens, first.aligned_tokens)


def test_codes_of_a_recording_lie_where_those_of_a_voice_file_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a GPU the codec's codes are there; one speaker's recording may follow the other's voice file."""
    codes = torch.zeros(8, 20, dtype=torch.int64)
    copied: list[bool] = []

    class OnAGpu:
        def cpu(self) -> torch.Tensor:
            copied.append(True)
            return codes

    runtime().recordings.clear()
    monkeypatch.setattr("dia2.runtime.voice_clone.encode_audio_tokens", lambda *_: OnAGpu())
    assert read_voice(runtime(), SPK1, WORDS1, "turbo").codes is codes
    assert copied == [True]


def test_given_words_outweigh_those_of_a_voice_file(voice_file: Path) -> None:
    words = [{"text": "Hey", "start": 0.0, "end": 1.6}]
    voice = read_voice(runtime(), voice_file, words, "turbo")
    assert isinstance(voice, Voice)
    assert voice.words == [Word("Hey", 0.0, 1.6)]
    with pytest.raises(UsageError, match=r"after the audio \(1\.60 s\)"):
        read_voice(runtime(), voice_file, [words[0] | {"end": 1.7}], "turbo")


def place(times: Sequence[tuple[float, float]], lengths: Sequence[int], speaker: int = 1) -> list[tuple[int, int]]:
    """(new-word step, padding) of words of these many tokens."""
    words = [Word(chr(97 + i), start, end) for i, (start, end) in enumerate(times)]
    tokens = {(f"[S{speaker}] {word.text}" if i == 0 else word.text): lengths[i] for i, word in enumerate(words)}
    entries, steps = words_to_entries(words, lambda text: [7] * tokens[text], speaker, RATE)
    assert [len(entry.tokens) for entry in entries] == list(lengths)
    return [(step, entry.padding) for step, entry in zip(steps, entries, strict=True)]


def test_only_a_speakers_first_word_is_encoded_with_the_tag() -> None:
    words = [Word("one", 0.0, 0.1), Word("two", 1.0, 1.1)]
    for speaker in (1, 2):
        entries, _ = words_to_entries(words, characters, speaker, RATE)
        assert [entry.tokens for entry in entries] == [characters(f"[S{speaker}] one"), characters("two")]
        assert [(entry.text, entry.speaker) for entry in entries] == [("one", speaker), ("two", speaker)]


def test_a_word_begins_a_frame_before_its_time_and_lasts_until_the_next() -> None:
    assert place([(0.8, 1.0), (1.6, 2.0)], [2, 2]) == [(9, 9), (19, 4)]  # the last until its own end


def test_nothing_begins_before_frame_1() -> None:
    assert place([(0.0, 0.8)], [2]) == [(0, 8)]


def test_words_of_many_tokens_push_the_next_ones_back() -> None:
    # Frames 1, 1 + 20 + 1 and 22 + 3 + 1, whatever the times say; paddings cover the tokens.
    assert place([(0.0, 0.2), (0.4, 0.6), (0.8, 1.0)], [20, 3, 1]) == [(0, 20), (21, 3), (25, 1)]


def test_a_word_that_was_pushed_back_leaves_later_ones_in_their_place() -> None:
    assert place([(0.0, 0.2), (0.4, 0.6), (8.0, 8.8)], [10, 3, 2]) == [(0, 10), (11, 87), (99, 9)]


@pytest.mark.parametrize(
    ("start", "frame"), [(0.12, 2), (0.2, 2), (0.36, 4), (0.44, 6), (0.52, 6), (0.6, 8), (1.0, 12), (1.08, 14)]
)
def test_times_between_two_frames_go_to_the_even_one(start: float, frame: int) -> None:
    assert place([(start, 4.0)], [1]) == [(frame - 1, 50 - frame - 1)]
    assert place([(0.0, 0.1), (start, 4.0)], [0, 1]) == [(0, frame - 2), (frame - 1, 50 - frame - 1)]
    assert place([(0.0, start)], [0]) == [(0, frame - 2)]


gaps = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.integers(1, 12)), min_size=1, max_size=8)


def spread(gaps: list[tuple[float, float, int]]) -> tuple[list[tuple[float, float]], list[int]]:
    """Words in order, from pauses before, durations, and numbers of tokens."""
    times, now = [], 0.0
    for pause, duration, _ in gaps:
        times.append((now + pause, now + pause + duration))
        now = times[-1][1]
    return times, [length for *_, length in gaps]


@given(gaps)
@settings(max_examples=100, deadline=None)
def test_each_word_ends_before_the_next_begins_and_none_begins_early(gaps: list[tuple[float, float, int]]) -> None:
    times, lengths = spread(gaps)
    placed = place(times, lengths)
    for (step, padding), (start, _), length in zip(placed, times, lengths, strict=True):
        assert step + 1 >= max(1, round(start * RATE))
        assert padding >= length
    for ((step, padding), (following, _)), length in zip(pairwise(placed), lengths, strict=False):
        assert following - step == padding + 1 >= length + 1


@pytest.mark.parametrize("ahead", [0, 1, 2])
@given(gaps=gaps)
@settings(max_examples=100, deadline=None)
def test_the_machine_forced_at_these_steps_swallows_no_word(ahead: int, gaps: list[tuple[float, float, int]]) -> None:
    times, lengths = spread(gaps)
    words = [Word("x" * length, start, end) for (start, end), length in zip(times, lengths, strict=True)]
    entries, steps = words_to_entries(words, lambda text: characters(text.removeprefix("[S1] ")), 1, RATE)
    ids = TokenIds(901, 900, 902, 903, 904, 905, 1, 0, 65, 64)
    machine = StateMachine(ids, second_stream_ahead=ahead, initial_padding=2)
    state = machine.new_state(entries)
    for step in range(steps[-1] + 1):
        machine.step(step, state, ids.new_word if step in steps else ids.pad, forced=True)
    assert state.consumption_times == steps
