"""The public API: loading, speaking, batches, prompts, errors, Ctrl-C, graphs."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import soundfile
import torch
from safetensors.torch import load_file
from torch import Tensor

import dia as package
from dia import Dia, GenerationConfig, GenerationInterrupted
from dia.adapter.trace import DiaTrace
from dia.assets import toy_folder
from dia.codec import DacCodec
from dia.config import load_config
from dia.generation import GenerationResult
from dia2.common.errors import CheckpointError, UsageError

from ..support.dia import DIA5, DiaCase, StepRecorder, dia5, toy
from ..support.graphs import FakeGraphs, use_dia_graphs
from ..support.reference import relative
from .test_codec import build

SHORT: dict[str, Any] = {"max_tokens": 40, "seed": 3}  # of the toy, whose longest delay is 15
TEXT = "[S1] Hello. [S2] Hi!"


@cache
def short() -> GenerationResult:
    """What the toy says to `TEXT`: what other ways to it are compared with; made once a process."""
    return toy().speak(TEXT, **SHORT)


def refused(run: Callable[[], object]) -> str:
    with pytest.raises(UsageError) as caught:
        run()
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert message.endswith(".")
    return message


@pytest.fixture
def graphed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Dia, FakeGraphs]]:
    """Let an engine on a CPU run "graphs"."""

    def prepare(dia: Dia, dry_runs: int = 0) -> tuple[Dia, FakeGraphs]:
        backend = FakeGraphs(dry_runs)
        use_dia_graphs(monkeypatch, dia, lambda: backend)
        return dia, backend

    return prepare


# Loading


def test_the_package_offers_what_it_names() -> None:
    for name in package.__all__:
        assert getattr(package, name).__name__ == name
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        package.nothing  # noqa: B018  # the look-up is the test


def test_a_folder_laid_out_like_a_repo(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(toy_folder(), tmp_path / "toy"))
    dia = Dia.from_pretrained(str(folder), device="cpu")
    assert dia.source.dac == str(folder / "dac")  # its own codec
    assert dia.sample_rate == 44100
    assert torch.equal(dia.speak(TEXT, **SHORT).scripts[0].codes, short().scripts[0].codes)


def test_a_folder_with_a_pickled_checkpoint(tmp_path: Path) -> None:
    shutil.copy(DIA5 / "config.json", tmp_path)
    torch.save(load_file(DIA5 / "model.safetensors"), tmp_path / "dia-v0_1.pth")
    dia = Dia.from_pretrained(str(tmp_path), device="cpu", load_dac=False)
    case = DiaCase("short_max")
    assert torch.equal(dia.speak(case.expected["text"], **case.settings()).scripts[0].codes, case.tensors["codes.0"])


def test_local_files_and_another_codec() -> None:
    files = toy_folder() / "config.json", toy_folder() / "model.safetensors"
    beside = Dia.from_local(*files, device="cpu")
    assert beside.source.dac == str(toy_folder() / "dac")
    named = Dia.from_local(*files, "float32", "cpu", dac=str(toy_folder() / "dac"))
    for dia in (beside, named):
        assert torch.equal(dia.speak(TEXT, **SHORT).scripts[0].codes, short().scripts[0].codes)


def test_a_folder_that_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError) as caught:
        Dia.from_pretrained(str(tmp_path), device="cpu")
    assert str(caught.value) == (
        f"{tmp_path} has no model.safetensors, model.safetensors.index.json, dia-v0_1.pth: is it a Dia checkpoint?"
    )
    assert refused(lambda: Dia.from_pretrained("")) == (
        "The repo's name is empty: write it like nari-labs/Dia-1.6B-0626."
    )


def test_a_codec_with_other_codes_is_refused() -> None:
    codec = DacCodec(build(n_codebooks=9), 9, "other")
    with pytest.raises(CheckpointError) as caught:
        Dia(toy().config, toy().model, codec, toy().source)
    assert str(caught.value) == (
        "Codec other has 16 codes a codebook, the model speaks 64: give the model's own by --dac."
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"device": "abacus"}, "There is no device 'abacus': choose cuda, cuda:N, mps or cpu."),
        ({"compute_dtype": "int8"}, "dtype 'int8' is not supported: choose auto, float32 or bfloat16."),
        ({"compute_dtype": torch.float16}, "dtype torch.float16 is not supported: choose auto, float32 or bfloat16."),
    ],
)
def test_devices_and_dtypes_that_there_are_not(options: dict[str, Any], said: str) -> None:
    assert refused(lambda: Dia.toy(**({"device": "cpu"} | options))) == said


def test_the_toy_is_of_the_published_shape() -> None:
    config = load_config(toy_folder() / "config.json")
    assert config.data.delay_pattern == [0, 8, 9, 10, 11, 12, 13, 14, 15]
    assert toy().codec is not None
    assert (toy().codec.samples_per_frame, toy().codec.frame_rate) == (512, 44100 / 512)  # type: ignore[union-attr]  # checked


# What comes out


def test_a_waveform_for_a_text_and_a_list_for_a_list() -> None:
    waveform = toy().generate(TEXT, **SHORT)
    assert isinstance(waveform, Tensor)
    assert waveform.dtype == torch.float32
    (alone,) = toy().generate([TEXT], **SHORT)
    assert torch.equal(alone, waveform)
    result = short()
    (spoken,) = result.scripts
    assert spoken.waveform is not None
    assert torch.equal(spoken.waveform, waveform)
    assert spoken.codes.shape == (len(waveform) // 512, 9)
    assert (result.sample_rate, result.seed, result.steps) == (44100, 3, 39)
    assert spoken.stop_reason == "max_tokens"
    assert len(spoken.codes) == 40 - 15 - 1


def test_without_a_codec_codes_come_out() -> None:
    silent = Dia.toy(device="cpu", load_dac=False)
    codes = silent.generate(TEXT, **SHORT)
    assert isinstance(codes, Tensor)
    assert torch.equal(codes, short().scripts[0].codes)
    result = silent.speak(TEXT, **SHORT)
    assert (result.sample_rate, result.scripts[0].waveform) == (None, None)
    reload = "load the checkpoint with load_dac=True."
    assert refused(lambda: silent.sample_rate) == f"A sample rate needs the codec: {reload}"
    assert refused(lambda: silent.generate(TEXT, audio_prompt="x.wav")) == f"Encoding audio needs the codec: {reload}"
    assert refused(lambda: silent.save_audio("x.wav", torch.zeros(5))) == f"A sample rate needs the codec: {reload}"


def test_one_seed_gives_one_result_and_another_another() -> None:
    first, again, other = (toy().speak(TEXT, max_tokens=40, seed=seed).scripts[0].codes for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    told = toy().speak(TEXT, max_tokens=40)
    assert torch.equal(toy().speak(TEXT, max_tokens=40, seed=told.seed).scripts[0].codes, told.scripts[0].codes)


def test_a_longer_run_begins_with_the_shorter_one() -> None:
    """Up to the last frame whose channels all come before the row in which the shorter one's end is forced."""
    short, long = (toy().speak(TEXT, max_tokens=rows, seed=3).scripts[0].codes for rows in (40, 60))
    same = (40 - 15) - 15 - 1
    assert torch.equal(long[:same], short[:same])
    assert torch.equal(long[: len(short), 0], short[:, 0])
    assert not torch.equal(long[: len(short)], short)


def test_settings_come_from_a_config_and_what_is_given_beside_it() -> None:
    config = GenerationConfig(max_tokens=40, seed=3, temperature=0.0)
    plain = toy().speak(TEXT, config).scripts[0].codes
    assert torch.equal(toy().speak(TEXT, max_tokens=40, temperature=0.0, seed=9).scripts[0].codes, plain)
    assert len(toy().speak(TEXT, config, max_tokens=50).scripts[0].codes) == 34
    by_place, by_name = toy().generate([TEXT], 40, 3.0, 0.0, 0.95), toy().generate([TEXT], config=config)
    assert torch.equal(by_place[0], by_name[0])


def test_guidance_and_its_filter_count() -> None:
    case = DiaCase("single")
    codes = [
        dia5().speak(case.expected["text"], **case.settings(**changes)).scripts[0].codes
        for changes in ({}, {"cfg_scale": 0.0}, {"cfg_filter_top_k": 1}, {"cfg_filter_top_k": 10_000})
    ]
    assert torch.equal(codes[0], case.tensors["codes.0"].long())
    assert not any(torch.equal(codes[0], other) for other in codes[1:3])


def test_progress_is_told_after_every_step() -> None:
    told: list[int] = []
    result = toy().speak(TEXT, progress=told.append, **SHORT)
    assert told == list(range(1, result.steps + 1))


def test_a_bar_for_people(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # as if it were a terminal
    toy().generate(TEXT, verbose=True, **SHORT)
    assert "39 rows" in capfd.readouterr().err


# Batches


@pytest.mark.parametrize("temperature", [0.0, 1.2])
def test_scripts_of_a_batch_are_what_they_are_alone(temperature: float) -> None:
    """Script i is drawn with seed + i; a longer neighbour's padding changes nothing."""
    dia, settings = dia5(), {"max_tokens": 60, "temperature": temperature}
    texts = ["[S1] One.", "[S2] A longer line, with more words.", "[S1] Last."]
    batch = dia.speak(texts, seed=7, **settings)  # type: ignore[arg-type]  # mixed values
    for i, text in enumerate(texts):
        alone = dia.speak(text, seed=7 + i, **settings)  # type: ignore[arg-type]  # likewise
        assert torch.equal(batch.scripts[i].codes, alone.scripts[0].codes)
        assert batch.scripts[i].stop_reason == alone.scripts[0].stop_reason


def test_seeds_wrap() -> None:
    (_, second) = dia5().speak([TEXT, TEXT], seed=2**64 - 1, max_tokens=30).scripts
    assert torch.equal(second.codes, dia5().speak(TEXT, seed=0, max_tokens=30).scripts[0].codes)


def test_a_script_that_ends_early_says_why() -> None:
    case = DiaCase("batch_prompts")
    with pytest.warns(UserWarning, match="is cut off"):
        result = dia5().speak(case.expected["text"], **case.settings())
    ends = case.tensors["lengths"] + torch.tensor(case.expected["prefill_steps"])
    last = case.expected["max_tokens"] - 5
    assert [spoken.stop_reason for spoken in result.scripts] == [
        "max_tokens" if end == last else "eos" for end in ends.tolist()
    ]
    assert {spoken.stop_reason for spoken in result.scripts} == {"max_tokens", "eos"}


def test_too_few_rows_for_the_delays_give_nothing() -> None:
    result = toy().speak(TEXT, max_tokens=10)
    assert result.scripts[0].codes.shape == (0, 9)
    assert toy().generate(TEXT, max_tokens=10).shape == (0,)  # type: ignore[union-attr]  # of a text


# Prompts


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "prompt.wav"
    tone = 0.3 * torch.sin(torch.arange(2500) * 0.07) + 0.02 * torch.randn(2500, generator=_seeded())
    soundfile.write(path, tone.numpy(), 44100)
    return path


def _seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_a_recording_is_its_codes(recording: Path) -> None:
    dia = toy()
    codes = dia.load_audio(recording)
    assert codes.shape == (5, 9)  # 2,500 samples are 4.9 frames
    assert codes.dtype == torch.int64
    by_path, by_string, by_codes = (
        dia.speak(TEXT, audio_prompt=prompt, **SHORT).scripts[0].codes
        for prompt in (recording, str(recording), codes.to(torch.int16))
    )
    assert len(by_path) == 40 - 15 - 6
    assert torch.equal(by_path, by_string)
    assert torch.equal(by_path, by_codes)
    assert torch.equal(dia.prompt_codes(recording), codes)


def test_prompts_of_a_batch(recording: Path) -> None:
    codes = toy().load_audio(recording)
    batch = toy().speak([TEXT, TEXT, TEXT], audio_prompt=[None, recording, codes[:2]], **SHORT)
    assert [len(spoken.codes) for spoken in batch.scripts] == [24, 19, 22]
    as_lists = toy().speak([TEXT], audio_prompt=[codes], **SHORT)
    assert torch.equal(as_lists.scripts[0].codes, toy().speak(TEXT, audio_prompt=codes, **SHORT).scripts[0].codes)
    without = toy().speak(TEXT, audio_prompt=codes[:0], **SHORT)
    assert torch.equal(without.scripts[0].codes, short().scripts[0].codes)


def test_a_prompt_of_another_rate_and_in_stereo(tmp_path: Path) -> None:
    tone = 0.3 * torch.sin(torch.arange(1600) * 0.2)
    soundfile.write(tmp_path / "s.flac", torch.stack((tone, tone), dim=1).numpy(), 16000)
    assert toy().load_audio(tmp_path / "s.flac").shape == (9, 9)  # 0.1 s


@pytest.mark.parametrize(
    ("prompts", "said"),
    [
        ([None], "Audio prompts: 1, scripts: 2: give one for each script, or None for it."),
        ([None] * 3, "Audio prompts: 3, scripts: 2: give one for each script, or None for it."),
        ("x.wav", "Audio prompts: 1, scripts: 2: give one for each script, or None for it."),
        ([None, 5], "An audio prompt is a sound file or codes [T, 9], not 5."),
        (
            [None, torch.zeros(4, 8).long()],
            "An audio prompt of codes has shape [T, 9] and whole numbers, not [4, 8] of torch.int64.",
        ),
        (
            [None, torch.zeros(4, 9)],
            "An audio prompt of codes has shape [T, 9] and whole numbers, not [4, 9] of torch.float32.",
        ),
        (
            [None, torch.zeros(9, dtype=torch.int16)],
            "An audio prompt of codes has shape [T, 9] and whole numbers, not [9] of torch.int16.",
        ),
        (
            [None, torch.zeros(4, 9, dtype=torch.bool)],
            "An audio prompt of codes has shape [T, 9] and whole numbers, not [4, 9] of torch.bool.",
        ),
        (
            [None, torch.zeros(4, 9, dtype=torch.complex64)],
            "An audio prompt of codes has shape [T, 9] and whole numbers, not [4, 9] of torch.complex64.",
        ),
        ([None, torch.full((4, 9), 64)], "An audio prompt's codes are 0 to 63: these are of another codec."),
        ([None, torch.full((4, 9), -1)], "An audio prompt's codes are 0 to 63: these are of another codec."),
        (
            [None, torch.zeros(39, 9, dtype=torch.uint16)],
            "An audio prompt of 39 frames leaves no room below max_tokens (40): cut it, or raise that.",
        ),
        (["no.wav", None], "There is no audio prompt no.wav: give a sound file (WAV, FLAC, OGG, MP3 …)."),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_prompts_that_are_refused(prompts: Any, said: str) -> None:
    assert refused(lambda: toy().generate([TEXT, TEXT], audio_prompt=prompts, **SHORT)) == said


def test_the_longest_prompt_that_leaves_room() -> None:
    result = toy().speak(TEXT, audio_prompt=torch.zeros(38, 9, dtype=torch.int32), **SHORT)
    assert result.steps == 1
    assert len(result.scripts[0].codes) == 0


# What is refused


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Script 1 is empty: give it some text, such as '[S1] Hello.'."),
        (["a", " "], "Script 2 is empty: give it some text, such as '[S1] Hello.'."),
        ([], "There is no script: give a string, or a list of at least one."),
        (["a", 5], "Script 2 is int, not text: give a string or a list of strings."),
        (5, "The script must be a string, or a list of strings, not 5."),
        (None, "The script must be a string, or a list of strings, not None."),
        (b"Hi.", "The script is bytes, not text: decode it, by text.decode('utf-8')."),
        (Path("a.txt"), "The script is a path, not text: read it, by path.read_text(encoding='utf-8')."),
    ],
)
def test_texts_that_are_refused(text: Any, said: str) -> None:
    assert refused(lambda: toy().generate(text, **SHORT)) == said


def test_characters_that_nobody_sees_change_nothing(tmp_path: Path) -> None:
    plain = short()
    marked = toy().speak(
        "\ufeff[S\u200b1] Hello.\u200e [S2\u2060] Hi\u00ad!", trace=tmp_path / "run.dia2trace", **SHORT
    )
    assert torch.equal(marked.scripts[0].codes, plain.scripts[0].codes)
    assert DiaTrace.load(tmp_path / "run.dia2trace").run.scripts == [TEXT]  # the bytes that were read are its own


def test_scripts_may_come_from_a_generator() -> None:
    both = toy().generate((text for text in (TEXT, TEXT)), audio_prompt=(p for p in (None, None)), **SHORT)  # type: ignore[arg-type]  # any iterable
    assert [len(waveform) for waveform in both] == [24 * 512] * 2


def test_a_text_that_is_too_long() -> None:
    long = "[S1] " + "many words " * 40
    with pytest.warns(UserWarning, match="Script 1 has 442 bytes and the encoder takes 256"):
        toy().generate(long, **SHORT)
    assert refused(lambda: toy().generate(long, strict=True, **SHORT)).endswith("is cut off; shorten it.")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"max_tokens": 513}, "max_tokens is 513, and the decoder has 512 positions: ask for fewer."),
        ({"max_tokens": 1}, "max_tokens must be a whole number from 2 to 2147483647, not 1."),
        ({"max_tokens": 40.0}, "max_tokens must be a whole number from 2 to 2147483647, not 40.0."),
        ({"max_tokens": True}, "max_tokens must be a whole number from 2 to 2147483647, not True."),
        ({"cfg_filter_top_k": 0}, "cfg_filter_top_k must be a whole number from 1 to 2147483647, not 0."),
        ({"seed": -1}, "seed must be a whole number from 0 to 18446744073709551615, not -1."),
        ({"seed": 1 << 64}, "seed must be a whole number from 0 to 18446744073709551615, not 18446744073709551616."),
        ({"temperature": -0.1}, "temperature must be a finite number from 0, not -0.1."),
        ({"temperature": float("nan")}, "temperature must be a finite number from 0, not nan."),
        ({"cfg_scale": float("inf")}, "cfg_scale must be a finite number from 0, not inf."),
        ({"cfg_scale": "3"}, "cfg_scale must be a finite number from 0, not '3'."),
        ({"top_p": 1.01}, "top_p must be 0 to 1, not 1.01."),
        ({"top_p": 10**400}, "top_p must be 0 to 1, not a huge number."),
    ],
)
def test_settings_that_are_refused(settings: dict[str, Any], said: str) -> None:
    assert refused(lambda: toy().generate(TEXT, **settings)) == said


def test_an_unknown_setting_is_named() -> None:
    said = refused(lambda: toy().generate(TEXT, top_k=5))
    assert said.startswith("There is no setting 'top_k': choose max_tokens, cfg_scale, temperature, top_p, cfg_f")


# Ctrl-C


@pytest.mark.parametrize("after", [1, 15, 16, 30])
def test_ctrl_c_keeps_what_there_is(after: int) -> None:
    whole = short()

    def stop(steps: int) -> None:
        if steps == after:
            raise KeyboardInterrupt

    with pytest.raises(GenerationInterrupted) as caught:
        toy().speak(TEXT, progress=stop, **SHORT)
    result = caught.value.result
    (spoken,) = result.scripts
    assert result.steps == after
    frames = max(0, after - 15)
    assert torch.equal(spoken.codes, whole.scripts[0].codes[:frames])
    assert spoken.waveform is not None
    assert len(spoken.waveform) == frames * 512
    assert spoken.stop_reason == ("max_tokens" if after >= 25 else "interrupted")  # its end was forced in row 25
    assert isinstance(caught.value, KeyboardInterrupt)


def test_an_error_in_a_callback_is_not_swallowed() -> None:
    def fail(_: int) -> None:
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        toy().speak(TEXT, progress=fail, **SHORT)


# Graphs


@pytest.mark.parametrize("dry_runs", [0, 3])
def test_graphs_draw_as_the_eager_run_does(graphed: Callable[..., tuple[Dia, FakeGraphs]], dry_runs: int) -> None:
    dia, backend = graphed(dia5(), dry_runs)
    texts, prompts = [TEXT, "[S2] Well."], [None, torch.full((4, 5), 9)]
    settings: dict[str, Any] = {"audio_prompt": prompts, "max_tokens": 30, "seed": 5}
    eager, replayed = dia.speak(texts, **settings), dia.speak(texts, use_cuda_graph=True, **settings)
    for one, other in zip(eager.scripts, replayed.scripts, strict=True):
        assert torch.equal(one.codes, other.codes)
        assert len(one.codes)
    assert (backend.captures, backend.replays) == (1, replayed.steps)


def test_a_second_run_captures_nothing_whatever_its_text(
    graphed: Callable[..., tuple[Dia, FakeGraphs]],
) -> None:
    """Other texts, prompts and seeds; first one that fills every position, which could do without a mask."""
    dia, backend = graphed(dia5())
    full = "x" * dia.config.model.encoder.max_position_embeddings
    runs: list[tuple[str, Tensor | None, int]] = [
        (full, None, 1), ("[S1] Short.", None, 2), (TEXT, torch.full((6, 5), 3), 3), (full, None, 4),
    ]  # fmt: skip
    for text, prompt, seed in runs:
        settings: dict[str, Any] = {"audio_prompt": prompt, "seed": seed, "max_tokens": 16}
        replayed = dia.speak(text, use_cuda_graph=True, **settings)
        assert torch.equal(replayed.scripts[0].codes, dia.speak(text, **settings).scripts[0].codes)
    assert backend.captures == 1


def test_other_settings_have_graphs_of_their_own(graphed: Callable[..., tuple[Dia, FakeGraphs]]) -> None:
    """Two are kept, the least recently used makes room."""
    dia, backend = graphed(dia5())
    captures = []
    for temperature in (1.0, 2.0, 1.0, 0.0, 1.0, 2.0):
        settings: dict[str, Any] = {"temperature": temperature, "seed": 2, "max_tokens": 12}
        replayed = dia.speak(TEXT, use_cuda_graph=True, **settings)
        assert torch.equal(replayed.scripts[0].codes, dia.speak(TEXT, **settings).scripts[0].codes)
        captures.append(backend.captures)
    assert captures == [1, 2, 2, 3, 3, 4]


def test_a_result_is_its_own(graphed: Callable[..., tuple[Dia, FakeGraphs]]) -> None:
    """The next run writes to the same tensors."""
    dia, _ = graphed(dia5())
    first = dia.speak(TEXT, use_cuda_graph=True, max_tokens=20, seed=1).scripts[0].codes
    before = first.clone()
    dia.speak(TEXT, use_cuda_graph=True, max_tokens=20, seed=2)
    assert torch.equal(first, before)


def test_two_runs_at_a_time_have_tensors_and_graphs_of_their_own(
    graphed: Callable[..., tuple[Dia, FakeGraphs]],
) -> None:
    """As two threads have them: here the second run begins, and ends, in the middle of the first."""
    dia, backend = graphed(dia5())
    settings: dict[str, Any] = {"max_tokens": 24, "temperature": 1.0}
    expected = [dia.speak(TEXT, seed=seed, **settings).scripts[0].codes for seed in (1, 2)]
    within: list[Tensor] = []

    def second(step: int) -> None:
        if step == 5:
            within.append(dia.speak(TEXT, seed=2, use_cuda_graph=True, **settings).scripts[0].codes)

    for _ in range(2):
        first = dia.speak(TEXT, seed=1, use_cuda_graph=True, progress=second, **settings).scripts[0].codes
        assert torch.equal(first, expected[0])
        assert torch.equal(within.pop(), expected[1])
        assert backend.captures == 2  # one of each state, and none the second time
        assert len(dia._pool._free) == 2


def test_what_a_run_holds_goes_back_when_it_fails(graphed: Callable[..., tuple[Dia, FakeGraphs]]) -> None:
    dia, backend = graphed(dia5())
    settings: dict[str, Any] = {"max_tokens": 16, "seed": 1, "use_cuda_graph": True}
    expected = dia.speak(TEXT, **settings).scripts[0].codes

    def fail(_: int) -> None:
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        dia.speak(TEXT, progress=fail, **settings)
    assert len(dia._pool._free) == 1
    assert torch.equal(dia.speak(TEXT, **settings).scripts[0].codes, expected)
    assert backend.captures == 1


def test_observers_of_graphs_see_what_those_of_eager_runs_see(
    graphed: Callable[..., tuple[Dia, FakeGraphs]],
) -> None:
    dia, backend = graphed(dia5(), 2)
    settings: dict[str, Any] = {"max_tokens": 24, "seed": 4}
    seen = []
    for graph in (False, True, True):
        recorder = StepRecorder()
        dia.speak(TEXT, observer=recorder, use_cuda_graph=graph, **settings)
        seen.append(recorder)
    assert backend.captures == 1
    for recorder in seen[1:]:
        for name in ("tokens", "written", "drawn", "countdown"):
            assert torch.equal(recorder.joined(name), seen[0].joined(name))
        assert relative(recorder.joined("logits"), seen[0].joined("logits")) <= 1e-4


def test_cuda_graphs_without_cuda_run_eagerly_and_say_so(caplog: pytest.LogCaptureFixture) -> None:
    result = toy().speak(TEXT, use_cuda_graph=True, **SHORT)
    assert torch.equal(result.scripts[0].codes, short().scripts[0].codes)
    assert caplog.record_tuples == [("dia2", logging.WARNING, "CUDA graphs are off: the device is cpu")]


# Observers


def test_what_an_observer_sees_of_the_steps() -> None:
    recorder = StepRecorder()
    prompt = torch.full((3, 5), 9)
    result = dia5().speak(TEXT, observer=recorder, audio_prompt=prompt, max_tokens=40, seed=1)
    prefill, *steps = recorder.steps
    assert (prefill.first, prefill.tokens.shape, prefill.written, prefill.drawn) == (0, (3, 1, 5), None, None)
    assert [batch.first for batch in steps] == [3 + sum(map(len, _times(steps[:n]))) for n in range(len(steps))]
    tokens, written = recorder.joined("tokens"), recorder.joined("written")
    assert torch.equal(tokens[1:], written[:-1])
    assert len(written) == result.steps == sum(map(len, _times(steps)))
    assert all(0 < second < 60 for times in _times(steps) for second in times)
    countdown = recorder.joined("countdown")[:, 0].tolist()
    begun = next(n for n, value in enumerate(countdown) if value >= 0)
    assert countdown == [-1] * begun + list(range(1, len(countdown) - begun + 1))
    drawn = recorder.joined("drawn")
    free = countdown[:begun]
    assert torch.equal(drawn[5 : len(free), 0], written[5 : len(free), 0])  # past the prompt's tail, before the end


def _times(steps: list[Any]) -> list[list[float]]:
    return [batch.seconds for batch in steps]


def test_an_observer_of_phases_costs_no_rings() -> None:
    recorder = StepRecorder()
    recorder.points = frozenset(name for name in recorder.points if name.startswith("dia."))
    toy().speak(TEXT, observer=recorder, **SHORT)
    assert recorder.steps == []
    assert [span.name for span in recorder.spans] == [
        *("dia.text", "dia.prompt", "dia.delay", "dia.state", "dia.encoder", "dia.cross", "dia.prefill", "dia.loop"),
        *("dia.undelay", "dia.decode"),
    ]


# Other arithmetic


def test_bfloat16() -> None:
    dia = Dia.toy(device="cpu", compute_dtype="bfloat16")
    assert dia.model.dtype == torch.bfloat16
    assert dia.model.decoder.logits_dense.weight.dtype == torch.float32
    recorder = StepRecorder()
    result = dia.speak([TEXT, "[S1] Two."], audio_prompt=[None, torch.full((4, 9), 5)], observer=recorder, **SHORT)
    assert [len(spoken.codes) for spoken in result.scripts] == [24, 20]
    logits = recorder.joined("logits")
    assert logits.dtype == torch.float32
    exact = StepRecorder()
    toy().speak([TEXT, "[S1] Two."], audio_prompt=[None, torch.full((4, 9), 5)], observer=exact, **SHORT)
    first, wanted = logits[0], exact.joined("logits")[0]
    assert float((first - wanted).abs().max() / wanted.abs().max()) < 0.05  # eight bits of a number, a few layers
    assert not torch.equal(first, wanted)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")  # inductor imports parts of torch that torch deprecates
@pytest.mark.filterwarnings("ignore:Script 2 has 74 bytes")
def test_compiled_layers_give_the_reference_tokens() -> None:
    case = DiaCase("batch_prompts")
    result = dia5().speak(case.expected["text"], **case.settings(use_torch_compile=True))
    for i, spoken in enumerate(result.scripts):
        assert torch.equal(spoken.codes, case.tensors[f"codes.{i}"].long())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")  # likewise
def test_compiled_layers_of_the_toy_speak_as_the_others_do() -> None:
    compiled = toy().speak(TEXT, use_torch_compile=True, **SHORT)
    assert torch.equal(compiled.scripts[0].codes, short().scripts[0].codes)


def test_compiling_without_a_compiler_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert refused(lambda: toy().generate(TEXT, use_torch_compile=True, **SHORT)).startswith(
        "torch.compile on a CPU needs a C++ compiler, and there is none: install g++"
    )


# Files


def test_a_waveform_is_written_whole(tmp_path: Path) -> None:
    waveform = toy().generate(TEXT, **SHORT)
    assert isinstance(waveform, Tensor)
    toy().save_audio(tmp_path / "o.wav", waveform)
    samples, rate = soundfile.read(tmp_path / "o.wav", dtype="float32")
    assert rate == 44100
    assert torch.allclose(torch.from_numpy(samples), waveform, atol=1e-4)
    assert refused(lambda: toy().save_audio(tmp_path / "no" / "o.wav", waveform)) == (
        f"Output folder {tmp_path / 'no'} does not exist: create it, or write elsewhere."
    )
