"""The language model's losses are those of generation, and it can learn."""

from __future__ import annotations

import random
from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dia2.common.errors import UsageError
from dia2.core.config import parse_config
from dia2.core.model import Dia2Model
from dia2.engine import Dia2
from dia2.inspect import Dia2Trace
from dia2.runtime.sounding import LAG
from training.checkpoint import language_of
from training.language_model import (
    Batch,
    Batches,
    LanguageSize,
    LanguageTraining,
    Learning,
    config_dict,
    initialise,
    validate,
)
from training.spoken import Spoken
from training.streams import IGNORED, Language, Stream, Utterance, plain_stream
from training.tokenizer import TAGS, train_tokenizer

SIZE = LanguageSize(
    layers=2, width=32, hidden=64, heads=2, kv_heads=1, head_dim=16, depformer_layers=1, depformer_width=32,
    depformer_hidden=32, depformer_heads=2, vocabulary=300,
)  # fmt: skip
TEXTS = ["Hello there, how are you?", "I'm fine, thank you. And you?"] * 5


@pytest.fixture(scope="module")
def language() -> Language:
    tokenizer = train_tokenizer(TEXTS, SIZE.vocabulary)
    return language_of(config_dict(SIZE, codebooks=4, codes=8, tokenizer=tokenizer), tokenizer)


def utterance(language: Language, seed: int = 0) -> Utterance:
    words = ["Hello", "there,", "how", "are", "you?"]
    spoken = tuple(Spoken(word, 1, 0.4 * i, 0.4 * i + 0.4) for i, word in enumerate(words))
    generator = torch.Generator().manual_seed(seed)
    return Utterance(spoken, 2.0, torch.randint(0, 8, (4, 45), generator=generator))


def test_teacher_forced_logits_are_those_of_generation(tmp_path: Path) -> None:
    """The losses of a run's own stream equal those of the logits that the run recorded."""
    tts = Dia2.nano(device="cpu")
    from dia2.inspect import record

    with record(tmp_path / "run.dia2trace", level="full"):
        tts.generate("[S1] hello there [S2] fine", seed=4, cfg_scale=1.0)
    trace = Dia2Trace.load(tmp_path / "run.dia2trace")
    runtime = tts.runtime
    language = Language(runtime.config, runtime.encode, runtime.constants)
    rate = language.frame_rate
    times = [
        ((word.step or 0) / rate - LAG / rate, speaker) for word, speaker in zip(trace.words, (1, 1, 2), strict=True)
    ]
    spoken = tuple(
        Spoken(text, speaker, start, start)
        for text, (start, speaker) in zip(("hello", "there", "fine"), times, strict=True)
    )
    end = (int(trace.column("end_step").max()) - LAG) / rate
    codes = torch.from_numpy(trace.aligned.copy()).long()
    whole = plain_stream(language, Utterance(spoken, end, codes))
    stream = _cut(whole, codes.shape[1])  # later calls saw frames that the result no longer has
    training = LanguageTraining(runtime.model, Learning()).eval()
    with torch.no_grad():
        losses = training.losses(Batch.of([stream], runtime.config), torch.Generator())
    action, cb0, dep = [], [], []
    for call in range(stream.tokens.shape[1]):
        logits = {name: torch.from_numpy(array[..., 0, :].copy()) for name, array in trace.logits(call).items()}
        if stream.actions[call] != IGNORED:
            action.append(F.cross_entropy(logits["action"][None], stream.actions[call][None]))
        if stream.codes[0, call] != IGNORED:
            cb0.append(F.cross_entropy(logits["cb0"][None], stream.codes[0, call][None]))
        if (stream.codes[:, call] != IGNORED).all():
            dep.append(F.cross_entropy(logits["dep"], stream.codes[1:, call]))
    for name, parts in (("action", action), ("cb0", cb0), ("dep", dep)):
        assert float(losses[name]) == pytest.approx(float(torch.stack(parts).mean()), abs=1e-3), name


@pytest.mark.slow
def test_it_learns_what_it_sees(language: Language) -> None:
    model = Dia2Model(language.config)
    initialise(model, 0)
    learning = Learning(frames=60, wrong_codes=0, lost_frames=0, textless_share=0, dropout=0, prefix_share=0)
    training = LanguageTraining(model, learning)
    batches = Batches(language, [utterance(language)], learning)
    optimizer = torch.optim.AdamW(model.parameters(), 5e-3)
    first = validate(training.eval(), batches, [utterance(language)])
    training.train()
    for step in range(40):
        generator = torch.Generator().manual_seed(step)
        losses = training.step(batches.draw(generator), generator)
        optimizer.zero_grad()
        losses["loss"].backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        optimizer.step()
    last = validate(training.eval(), batches, [utterance(language)])
    assert last["action"] < 0.5 * first["action"]
    assert last["cb0"] < 0.6 * first["cb0"]
    assert last["dep"] < 0.8 * first["dep"]


def test_the_beginnings_of_sentences_can_count_more(language: Language) -> None:
    model = Dia2Model(language.config)
    initialise(model, 0)
    batch = Batch.of([plain_stream(language, utterance(language))], language.config)
    counted = batch.codes[:, 0] != IGNORED
    with torch.no_grad():
        plain, rest, heavy = (
            float(LanguageTraining(model, Learning()).losses(batch, torch.Generator(), onset_weight=weight)["cb0"])
            for weight in (1.0, 0.0, 5.0)
        )
    onsets, others = int((counted & batch.onset).sum()), int((counted & ~batch.onset).sum())
    first = (plain * (onsets + others) - rest * others) / onsets
    assert heavy == pytest.approx((5 * first * onsets + rest * others) / (5 * onsets + others), abs=1e-4)


def test_what_is_spoilt(language: Language) -> None:
    learning = Learning(wrong_codes=0.5, lost_frames=0.3, textless_share=0.5)
    training = LanguageTraining(Dia2Model(language.config), learning)
    batch = Batch.of([plain_stream(language, utterance(language, i)) for i in range(8)], language.config)
    spoilt = training.spoilt(batch, torch.Generator().manual_seed(1))
    data = language.config.data
    textless = (spoilt.tokens[:, 0] == data.text_zero_token_id).all(1)
    assert 0 < int(textless.sum()) < 8
    assert (spoilt.tokens[textless, 1] == data.text_pad_token_id).all()
    assert torch.equal(spoilt.tokens[~textless, :2], batch.tokens[~textless, :2])
    before_delay = batch.tokens[:, 2:] == data.audio_bos_token_id
    assert (spoilt.tokens[:, 2:][before_delay] == data.audio_bos_token_id).all()
    lost = (spoilt.tokens[:, 2:] == data.audio_bos_token_id).all(1) & ~before_delay.all(1)
    assert 0.15 < float(lost.float().mean()) < 0.45
    assert torch.equal(spoilt.codes, batch.codes)  # what is to be said stays


def test_a_wrong_code_is_one_that_its_codebook_has_elsewhere(language: Language) -> None:
    learning = Learning(wrong_codes=1.0, lost_frames=0, textless_share=0)
    training = LanguageTraining(Dia2Model(language.config), learning)
    batch = Batch.of([plain_stream(language, utterance(language, i)) for i in range(4)], language.config)
    bos = language.config.data.audio_bos_token_id
    codes = batch.tokens[:, 2:]
    codes[:] = torch.where(codes == bos, bos, 2 * torch.arange(4)[:, None] + codes % 2)  # two codes of each codebook
    spoilt = training.spoilt(batch, torch.Generator().manual_seed(0)).tokens[:, 2:]
    for k in range(4):
        assert set(spoilt[:, k].flatten().tolist()) == {2 * k, 2 * k + 1, bos}
    assert 0.3 < float((spoilt != codes).float().mean()) < 0.8


def test_probes_teach_and_are_no_part_of_the_model(language: Language) -> None:
    learning = Learning(probe_weight=1.0, wrong_codes=0, lost_frames=0, textless_share=0)
    model = Dia2Model(language.config)
    initialise(model, 0)
    names = set(model.state_dict())
    training = LanguageTraining(model, learning)
    batch = Batch.of([plain_stream(language, utterance(language))], language.config)
    losses = training.step(batch, torch.Generator().manual_seed(0))
    assert float(losses["probes"].detach()) == pytest.approx(0.7 + 2.1, abs=0.5)  # a coin's, and one of eight codes'
    assert training.probes is not None
    losses["probes"].backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    assert training.probes.voice.weight.grad is not None
    assert all(probe.get_parameter("weight").grad is not None for probe in training.probes.phonemes)
    assert model.transformer.layers[0].get_parameter("attn.o_proj.weight").grad is not None
    assert set(model.state_dict()) == names
    assert "probes" not in training.losses(batch, torch.Generator())  # nor of what validation compares


def test_sound_can_be_taken_away_two_seconds_at_a_time(language: Language) -> None:
    learning = Learning(wrong_codes=0, lost_frames=0, lost_spans=0.3, textless_share=0)
    training = LanguageTraining(Dia2Model(language.config), learning)
    batch = Batch.of([plain_stream(language, utterance(language, i)) for i in range(40)], language.config)
    spoilt = training.spoilt(batch, torch.Generator().manual_seed(1))
    bos = language.config.data.audio_bos_token_id
    lost = ((spoilt.tokens[:, 2:] == bos) & (batch.tokens[:, 2:] != bos)).any(1)  # [B, T]
    assert 0.1 < float(lost.float().mean()) < 0.5
    assert torch.equal(spoilt.tokens[:, :2], batch.tokens[:, :2])
    sounding = (batch.tokens[:, 2:] != bos).any(1)
    spans = 0
    for row, heard in zip(lost, sounding, strict=True):
        for begin in ((row[1:] & ~row[:-1]).nonzero()[:, 0] + 1).tolist():
            if heard[begin - 1]:  # else it began before there was sound
                spans += 1
                assert row[begin : begin + 25][heard[begin : begin + 25]].all()
    assert spans > 10


def test_streams_of_several_lengths_do_not_see_one_another(language: Language) -> None:
    model = Dia2Model(language.config)
    initialise(model, 0)
    training = LanguageTraining(model, Learning()).eval()
    streams = [plain_stream(language, utterance(language, i)) for i in range(2)]
    short = _cut(streams[1], 20)
    with torch.no_grad():
        alone = training.losses(Batch.of([short], language.config), torch.Generator())
        other = training.losses(Batch.of([streams[0]], language.config), torch.Generator())
        both = training.losses(Batch.of([streams[0], short], language.config), torch.Generator())
    counts = [int((s.actions != IGNORED).sum()) for s in (streams[0], short)]
    mean = (float(other["action"]) * counts[0] + float(alone["action"]) * counts[1]) / sum(counts)
    assert float(both["action"]) == pytest.approx(mean, abs=1e-5)


def _cut(stream: Stream, calls: int) -> Stream:
    return Stream(*(getattr(stream, part.name)[..., :calls] for part in fields(Stream)))


def test_the_tokenizer_is_small_and_keeps_tags_whole() -> None:
    tokenizer = train_tokenizer(TEXTS, 320)
    assert len(tokenizer) <= 320
    vocabulary = tokenizer.get_vocab()
    assert [vocabulary[tag] for tag in TAGS] == [len(tokenizer) - 2, len(tokenizer) - 1]

    def encode(text: str) -> list[int]:
        found: list[int] = tokenizer.encode(text, add_special_tokens=False)
        return found

    assert encode("[S2] Hello") == [vocabulary["[S2]"], *encode("hello")]
    assert tokenizer.decode(encode("zebra, łódź!")) == "zebra, łódź!"


def test_the_config_is_one_that_the_runtime_takes(language: Language) -> None:
    assert parse_config(config_dict(SIZE, 4, 8, train_tokenizer(TEXTS, 300))).data.num_codebooks == 4


def mixed(lengths: list[int]) -> list[Utterance]:
    """Recordings of so many frames each, all of a word or two."""
    spoken = (Spoken("Hello", 1, 0.0, 0.3), Spoken("there,", 2, 0.3, 0.6))
    return [
        Utterance(spoken[: 1 + number % 2], 0.7, torch.full((4, length), number % 8))
        for number, length in enumerate(lengths)
    ]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(10, 90), min_size=1, max_size=12), st.integers(0, 200), st.integers(0, 99))
def test_no_batch_has_more_frames_than_it_may(language: Language, lengths: list[int], more: int, seed: int) -> None:
    longest = max(lengths) + max(language.config.data.delay_pattern)
    learning = Learning(frames=longest + more)
    batches = Batches(language, mixed(lengths), learning)
    batch = batches.draw(torch.Generator().manual_seed(seed))
    assert batch.tokens.shape[0] * batch.tokens.shape[2] <= learning.frames
    for part in batches.in_parts(mixed(lengths)):
        assert len(part) * max(map(batches.frames_of, part)) <= learning.frames


def test_clips_of_a_second_beside_clips_of_a_minute_do_not_make_a_batch_of_all(language: Language) -> None:
    lengths, learning = [19] * 30 + [625] * 30, Learning(frames=1500)
    batches = Batches(language, mixed(lengths), learning)
    drawn = [batches.draw(torch.Generator().manual_seed(seed)) for seed in range(30)]
    sizes = {batch.tokens.shape[0] for batch in drawn}
    assert 2 in sizes
    assert max(sizes) == 29
    assert all(batch.tokens.shape[0] * batch.tokens.shape[2] <= 1500 for batch in drawn)
    assert batches.per_epoch() == 16


def test_each_recording_is_drawn_as_often_as_the_others(language: Language) -> None:
    utterances = [replace(u, codes=u.codes * 0 + n) for n, u in enumerate(mixed([10, 20, 20, 30, 40, 60, 90]))]
    batches = Batches(language, utterances, Learning(frames=200))
    counts = torch.zeros(7)
    for seed in range(1500):
        rng = random.Random(seed)
        for utterance in sorted(utterances, key=batches.frames_of)[rng.choice(batches._parts(rng))]:
            counts[int(utterance.codes[0, 0])] += 1
    assert float(counts.min() / counts.max()) > 0.85


def test_a_recording_that_no_batch_may_hold_is_told(language: Language) -> None:
    with pytest.raises(
        UsageError,
        match=r"^2 recordings of 3 are longer than a batch may be, the longest 97 frames: let batches have as many "
        r"\(--batch-frames 97\), or cut recordings into parts of 1\.0 s at most\.$",
    ):
        Batches(language, mixed([5, 50, 90]), Learning(frames=20))


def test_codebook_0_and_the_want_of_no_word_may_count_otherwise(language: Language) -> None:
    model = Dia2Model(language.config)
    initialise(model, 0)
    batch = Batch.of([plain_stream(language, utterance(language))], language.config)

    def losses(**weights: float) -> dict[str, float]:
        training = LanguageTraining(model, Learning(**weights))  # type: ignore[arg-type]  # weights are floats
        with torch.no_grad():
            return {name: float(value) for name, value in training.losses(batch, torch.Generator()).items()}

    plain, words, codes = losses(), losses(padding_weight=0.0), losses(cb0_weight=3.0)
    assert {n: v for n, v in plain.items() if n != "loss"} == {n: v for n, v in words.items() if n != "loss"}
    assert codes["loss"] == pytest.approx(plain["loss"] + 2 * plain["cb0"], rel=1e-5)
    out = batch.actions[batch.actions != IGNORED]
    new = out == language.config.data.action_new_word_token_id
    both = losses(padding_weight=0.5)
    shares = [float(new.sum()), float((~new).sum())]
    alone = words["loss"] - plain["loss"] + plain["action"]  # the mean over new words
    rest = (plain["action"] * sum(shares) - alone * shares[0]) / shares[1]
    wanted = (alone * shares[0] + 0.5 * rest * shares[1]) / (shares[0] + 0.5 * shares[1])
    assert both["loss"] - plain["loss"] + plain["action"] == pytest.approx(wanted, abs=1e-4)
