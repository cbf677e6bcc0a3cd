"""Streams for training are what the runtime itself would see and say."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dia2.engine import Dia2
from dia2.generation import PrefixConfig
from dia2.inspect import Dia2Trace
from dia2.runtime.script_parser import parse_script
from dia2.runtime.sounding import LAG
from dia2.runtime.voice_clone import build_prefix_plan
from training.spoken import Spoken, script_of, swap_speakers, turn_lengths
from training.streams import (
    IGNORED,
    Language,
    Utterance,
    plain_stream,
    prefix_parts,
    prefix_stream,
    random_stream,
    shuffled,
)

WORDS = ("hello", "there.", "how", "are", "you", "I'm", "fine", "tomorrow", "the", "a")


@pytest.fixture(scope="module")
def tts() -> Dia2:
    return Dia2.nano(device="cpu")


@pytest.fixture(scope="module")
def language(tts: Dia2) -> Language:
    runtime = tts.runtime
    return Language(runtime.config, runtime.encode, runtime.constants)


def utterance(language: Language, spoken: list[Spoken], end: float, seed: int = 0) -> Utterance:
    codebooks, codes = language.config.data.num_codebooks, language.config.data.audio_bos_token_id
    frames = round((end + 1.6) * 12.5)
    generator = torch.Generator().manual_seed(seed)
    return Utterance(tuple(spoken), end, torch.randint(0, codes, (codebooks, frames), generator=generator))


def timed(*turns: list[str], gap: float = 0.32) -> tuple[list[Spoken], float]:
    """Turns said one after the other, speakers in turn, a word every `gap` seconds."""
    spoken, at = [], 0.0
    for number, words in enumerate(turns):
        for word in words:
            spoken.append(Spoken(word, 1 + number % 2, at, at + gap))
            at += gap
    return spoken, at


def test_a_word_stands_two_frames_after_its_sound(language: Language) -> None:
    spoken, end = timed(["hello", "there", "how", "are", "you"], gap=0.4)
    stream = plain_stream(language, utterance(language, spoken, end))
    began = (stream.actions == language.ids.action_new_word).nonzero()[:, 0].tolist()
    assert began == [LAG + 5 * i for i in range(6)]  # the sixth ends the script
    assert stream.positions.tolist() == list(range(len(stream.positions)))


def test_the_grid_goes_in_delayed_and_comes_out_one_column_later(language: Language) -> None:
    spoken, end = timed(["hello", "there"])
    said = utterance(language, spoken, end)
    stream = plain_stream(language, said)
    for k, delay in enumerate(language.config.data.delay_pattern):
        seen, wanted = stream.tokens[2 + k], stream.codes[k]
        assert (seen[:delay] == language.ids.audio_bos).all()
        assert torch.equal(seen[delay:], said.codes[k][: len(seen) - delay])
        assert (wanted[: delay - 1] == IGNORED).all()
        assert torch.equal(wanted[delay - 1 :], said.codes[k][: len(wanted) - delay + 1])


def test_training_sees_what_generation_sees(tts: Dia2, language: Language, tmp_path: Path) -> None:
    """Times taken from a run give that run's own inputs and choices again."""
    words = ["hello", "there", "how", "are", "you", "I'm", "fine"]
    tts.generate("[S1] hello there how [S2] are you [S1] I'm fine", seed=3, trace=tmp_path / "run.dia2trace")
    trace = Dia2Trace.load(tmp_path / "run.dia2trace")
    data = language.config.data
    steps = [word.step or 0 for word in trace.words]
    rate = language.frame_rate
    end_step = int(trace.column("end_step").max())
    spoken = [
        Spoken(text, speaker, (step - LAG) / rate, (step - LAG) / rate)
        for text, speaker, step in zip(words, (1, 1, 1, 2, 2, 1, 1), steps, strict=True)
    ]
    codes = torch.from_numpy(trace.aligned.copy()).long()
    stream = plain_stream(language, Utterance(tuple(spoken), (end_step - LAG) / rate, codes))
    count = stream.tokens.shape[1]
    assert count == len(trace)
    expected = torch.from_numpy(trace.column("text").copy()).long().T[:, :count]
    assert torch.equal(stream.tokens[:2], expected)
    seen = torch.from_numpy(trace.column("audio").copy()).long().T[:, :count]
    for k, delay in enumerate(data.delay_pattern):
        kept = slice(delay, delay + codes.shape[1])  # codebook 0 was drawn for frames that the result no longer has
        assert torch.equal(stream.tokens[2 + k, kept], seen[k, kept])
    drawn = torch.from_numpy(trace.codes.copy()).long().T[:, :count]  # [K, T]
    counted = stream.codes != IGNORED
    assert torch.equal(stream.codes[counted], drawn[counted])


def test_a_prefix_is_warmed_up_as_the_runtime_does_it(tts: Dia2, language: Language, tmp_path: Path) -> None:
    import numpy as np
    import soundfile

    rate = tts.sample_rate
    sounds = [
        np.sin(np.arange(frames * 1920) * 0.05 * (i + 1)).astype(np.float32) * 0.3 for i, frames in enumerate((20, 15))
    ]
    spoken, end = timed(["hello", "there", "you"], ["fine", "tomorrow"], ["how", "are", "you"], gap=0.4)
    moved = [
        Spoken(s.text, s.speaker, s.start + (0.4 if s.speaker == 2 else 0.8 if i > 4 else 0.0), s.end)
        for i, s in enumerate(spoken)
    ]
    moved = [Spoken(s.text, s.speaker, s.start, s.start + 0.3) for s in moved]
    lists = [
        [{"text": s.text, "start": s.start, "end": s.end} for s in moved[:3]],
        [{"text": s.text, "start": s.start - 20 / 12.5, "end": s.end - 20 / 12.5} for s in moved[3:5]],
    ]
    for i, sound in enumerate(sounds, 1):
        soundfile.write(tmp_path / f"{i}.wav", sound, rate, subtype="FLOAT")
    prefix = PrefixConfig(tmp_path / "1.wav", tmp_path / "2.wav", words_1=lists[0], words_2=lists[1])
    tts.generate("[S1] how are you", prefix=prefix, seed=1, trace=tmp_path / "run.dia2trace")
    trace = Dia2Trace.load(tmp_path / "run.dia2trace")
    plan = build_prefix_plan(tts.runtime, prefix)
    assert plan is not None
    codes = torch.cat([plan.aligned_tokens, torch.zeros(len(plan.aligned_tokens), 40, dtype=torch.int64)], dim=1)
    said = Utterance(tuple(moved), end + 1.0, codes)
    stream = prefix_stream(language, said, [3, 2])
    count = plan.aligned_frames + 1  # the warm-up, and the call that runs its last frame again
    assert stream.positions[:count].tolist() == [*range(count - 1), count - 2]
    assert torch.equal(stream.tokens[:2, :count], torch.from_numpy(trace.column("text").copy()).long().T[:, :count])
    assert torch.equal(stream.tokens[2:, :count], torch.from_numpy(trace.column("audio").copy()).long().T[:, :count])
    assert (stream.actions[: count - 1] == IGNORED).all()
    assert (stream.codes[:, : count - 1] == IGNORED).all()
    assert stream.actions[count - 1] != IGNORED


@settings(max_examples=40, deadline=None)
@given(
    turns=st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=5), min_size=1, max_size=4),
    gaps=st.lists(st.floats(0.04, 0.9), min_size=20, max_size=20),
    seed=st.integers(0, 2**16),
)
def test_every_word_is_said_in_order_whatever_the_times(
    language: Language, turns: list[list[str]], gaps: list[float], seed: int
) -> None:
    spoken: list[Spoken] = []
    at = 0.0
    for number, words in enumerate(turns):
        for word in words:
            gap = gaps[len(spoken)]
            spoken.append(Spoken(word, 1 + number % 2, at, at + gap))
            at += gap
    said_as = utterance(language, spoken, at)
    stream = random_stream(language, said_as, random.Random(seed), prefix_share=0.5)
    mixed = random_stream(language, said_as, random.Random(seed), prefix_share=0.5, shuffled_share=1.0)
    assert torch.equal(mixed.tokens[:2, 1:], mixed.emitted[:, :-1])
    count = stream.tokens.shape[1]
    assert stream.positions.shape == stream.actions.shape == (count,)
    assert stream.codes.shape[1] == stream.emitted.shape[1] == count
    assert torch.equal(stream.tokens[:2, 1:], stream.emitted[:, :-1])
    tags = {language.ids.spk1, language.ids.spk2}
    said = [t for t in stream.emitted[0].tolist() if t != language.ids.pad and t not in tags]
    entries = parse_script([script_of(spoken)], language.encode, language.ids, language.frame_rate)
    wanted = [t for entry in entries for t in entry.tokens if t not in tags]
    assert said == wanted[: len(said)]
    assert len(said) >= len(wanted) - 12  # the sound may end before the last words


def test_a_prefix_may_end_inside_a_turn() -> None:
    texts = [("Hi.", 1), ("How", 1), ("are", 1), ("you?", 1), ("Fine.", 2), ("And", 2), ("you?", 2), ("Yes.", 1)]
    spoken = [Spoken(text, speaker, 0.4 * i, 0.4 * i + 0.4) for i, (text, speaker) in enumerate(texts)]
    rng = random.Random(0)
    assert {tuple(prefix_parts(spoken, rng) or ()) for _ in range(200)} == {(1,), (4,), (4, 1), (4, 3)}
    assert prefix_parts(spoken[:1], rng) is None


def test_scripts_of_spoken_entries() -> None:
    spoken = [Spoken("Hi.", 2, 0, 1), Spoken("", 0, 1, 1.4), Spoken("You?", 2, 1.4, 2), Spoken("Yes.", 1, 2, 3)]
    assert script_of(spoken) == '[S2] Hi. <break time="0.400s"/> You? [S1] Yes.'
    assert turn_lengths(spoken) == [3, 1]
    assert [s.speaker for s in swap_speakers(spoken)] == [1, 0, 1, 2]


def test_a_tag_can_stand_again_inside_a_turn(language: Language) -> None:
    spoken, end = timed(["hello", "there.", "how", "are", "you"], ["fine"], gap=0.4)
    assert script_of(spoken, [2]) == "[S1] hello there. [S1] how are you [S2] fine"
    said = utterance(language, spoken, end)
    tag = (language.ids.spk1, language.ids.spk2)
    tagged, plain = (plain_stream(language, said, again).tokens[0].tolist() for again in ([2], []))
    assert [token for token in tagged if token in tag] == [tag[0], tag[0], tag[1]]
    assert [token for token in plain if token in tag] == [tag[0], tag[1]]
    cloned = prefix_stream(language, said, [2], [2]).tokens[0].tolist()
    assert [token for token in cloned if token in tag] == [tag[0], tag[0], tag[1]]


def test_after_a_prefix_the_same_voice_goes_on_about_as_often_as_the_other_begins() -> None:
    spoken, _ = timed(["hello.", "there.", "how."], ["are.", "you."], ["fine."])
    rng = random.Random(0)
    found = [prefix_parts(spoken, rng) for _ in range(400)]
    speakers = [(spoken[sum(parts) - 1].speaker, spoken[sum(parts)].speaker) for parts in found if parts]
    assert len(speakers) == 400
    assert 0.4 < sum(before == after for before, after in speakers) / 400 < 0.6


def test_shuffled_sentences_keep_their_sound(language: Language) -> None:
    spoken, end = timed(["hello.", "there", "you."], ["fine."], ["how", "are", "you?"], gap=0.4)
    said = utterance(language, spoken, end)
    sound = {s.text + str(s.start): said.codes[:, round(s.start * 12.5) : round(s.end * 12.5)] for s in spoken}
    orders = set()
    for seed in range(200):
        mixed = shuffled(said, random.Random(seed), 12.5)
        orders.add(tuple(s.text for s in mixed.spoken))
        assert [s.start for s in mixed.spoken] == pytest.approx([s.start for s in spoken])  # all words are as long
        assert mixed.end == end
        assert torch.equal(mixed.codes[:, round(end * 12.5) :], said.codes[:, round(end * 12.5) :])
        assert sorted((s.text, s.speaker) for s in mixed.spoken) == sorted((s.text, s.speaker) for s in spoken)
        heard = {mixed.codes[:, round(s.start * 12.5) : round(s.end * 12.5)].numpy().tobytes() for s in mixed.spoken}
        assert heard == {codes.numpy().tobytes() for codes in sound.values()}
        first = next(s for s in mixed.spoken if s.text == "fine.")
        at = round(first.start * 12.5)
        assert torch.equal(mixed.codes[:, at : at + 5], said.codes[:, 15:20])
    assert len(orders) == 24  # four sentences
    assert ("there", "you.", "hello.", "fine.", "how", "are", "you?") in orders


def test_a_shuffled_pause_stays_with_its_sentence(language: Language) -> None:
    spoken, _ = timed(["hello."], ["fine."], gap=0.4)
    spoken[1] = replace(spoken[1], start=0.8, end=1.2)  # five frames of silence before it
    said = utterance(language, spoken, 1.28)  # one frame after it
    mixed = next(m for m in (shuffled(said, random.Random(i), 12.5) for i in range(20)) if m.spoken[0].text == "fine.")
    assert [round(s.start * 12.5) for s in mixed.spoken] == [0, 6]
    assert torch.equal(mixed.codes, torch.cat([said.codes[:, 10:16], said.codes[:, :10], said.codes[:, 16:]], dim=1))


def test_onsets_draw_the_first_frames_of_sentences(language: Language) -> None:
    spoken, end = timed(["hello", "there.", "you."], ["fine"], gap=0.4)
    said = utterance(language, spoken, end)
    delays = language.config.data.delay_pattern
    for stream in (plain_stream(language, said), prefix_stream(language, said, [2])):
        for delay in (min(delays), max(delays)):
            frames = set((stream.positions[stream.onset] + 1 - delay).tolist())
            assert {10, 11, 12, 15, 16, 17} <= frames
            assert not frames & {4, 5, 6, 7, 19, 20, 21}


def test_a_stream_says_who_speaks_and_in_which_voice(language: Language) -> None:
    spoken, end = timed(["hello.", "there."], ["fine."], gap=0.4)
    said = replace(utterance(language, spoken, end), traded=True)
    for stream in (plain_stream(language, said), prefix_stream(language, said, [1])):
        frames = stream.positions + 1 - language.config.data.delay_pattern[0]
        assert torch.equal(stream.speaker, (frames >= 10).long())
        assert torch.equal(stream.voice, 1 - stream.speaker)
    seconds = [replace(s, speaker=3 - s.speaker) for s in spoken]
    cloned = random_stream(language, utterance(language, seconds, end), random.Random(0), prefix_share=1.0)
    assert torch.equal(cloned.voice, 1 - cloned.speaker)  # the second voice is speaker 1 here
    assert cloned.speaker[0] == 0
