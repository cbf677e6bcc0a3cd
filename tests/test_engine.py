"""`Dia2` as its users meet it: seeds, limits, prefixes, voices, interruption."""

import json
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import soundfile
import torch

import dia2
from dia2 import CheckpointError, Dia2, Dia2Error, GenerationConfig, PrefixConfig, SamplingConfig, UsageError
from dia2.common.hooks import select
from dia2.common.progress import Progress
from dia2.generation import GenerationInterrupted

from .support.disk import files_up_to
from .support.reference import GREEDY, ROOT, Case, Recorder, engine, local_files

SCRIPT = "[S1] Hello Dia2! It's a test. [S2] Really? Fine."
LONG = "[S1] " + " ".join(f"word{i}" for i in range(60))


def with_config(tmp_path: Path, checkpoint: str, change: Callable[[dict[str, Any]], None]) -> Dia2:
    """A reference checkpoint whose config.json is changed."""
    files = local_files(checkpoint)
    raw = json.loads(Path(files["config_path"]).read_text(encoding="utf-8"))
    change(raw)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(raw), encoding="utf-8")
    return Dia2.from_local(**(files | {"config_path": str(path)}), device="cpu")


def test_the_same_seed_gives_the_same_audio_and_another_another() -> None:
    tts = engine("tiny4")
    first, again, other = (tts.generate(SCRIPT, seed=seed) for seed in (7, 7, 8))
    assert torch.equal(first.audio_tokens, again.audio_tokens)
    assert torch.equal(first.waveform, again.waveform)
    assert not torch.equal(first.audio_tokens[..., :40], other.audio_tokens[..., :40])


def test_without_a_seed_the_result_tells_a_new_one_that_repeats_the_run() -> None:
    tts = engine("tiny4")
    first, second = tts.generate("[S1] one two"), tts.generate("[S1] one two")
    assert first.seed != second.seed
    assert torch.equal(tts.generate("[S1] one two", seed=first.seed).audio_tokens, first.audio_tokens)


def test_guidance_off_computes_one_branch_and_draws_as_a_filter_that_keeps_all() -> None:
    tts, single, double = engine("tiny4"), Recorder(), Recorder()
    tts.generate(SCRIPT, seed=3, cfg_scale=1.0, observer=single)
    tts.generate(SCRIPT, seed=3, cfg_scale=2.0, cfg_filter_k=0, observer=double)
    assert single.seen["step_tokens"][0].shape[0] == 1
    assert double.seen["step_tokens"][0].shape[0] == 2
    assert torch.equal(single.grid[0], double.grid[0])


@pytest.mark.parametrize("checkpoint", ["tiny8", "tiny4", "tiny3"])
def test_speaker_2_may_speak_first(checkpoint: str) -> None:
    tts, recorder = engine(checkpoint), Recorder()
    result = tts.generate("[S2] Really? [S1] Fine.", seed=1, observer=recorder)
    ids = tts.runtime.constants
    first = recorder.entries[0]
    assert first.tokens[0] == ids.spk2
    assert ids.spk1 not in first.tokens
    assert result.speakers == [2, 1]
    assert result.stop_reason == "end"


@pytest.mark.parametrize("checkpoint", [pytest.param("tiny8", marks=pytest.mark.slow), "tiny4", "tiny3"])
def test_a_prefix_and_a_long_script_run_past_the_context(checkpoint: str) -> None:
    tts = engine(checkpoint)
    case = Case(checkpoint, "prefix2")
    recorder = Recorder()
    result = tts.generate(LONG, case.config(), observer=recorder)
    assert result.stop_reason == "context"
    assert result.frames == tts.max_context_steps
    assert recorder.seen["call"][-1].position >= tts.max_context_steps  # where the reference crashes
    assert result.unspoken > 0
    assert len(result.timestamps) + result.unspoken == 60


def test_the_context_may_end_within_the_warmup_too(tmp_path: Path) -> None:
    tts = with_config(tmp_path, "tiny8", lambda raw: raw["runtime"].update(max_context_steps=20))
    case, recorder = Case("tiny8", "prefix2"), Recorder()
    result = tts.generate(SCRIPT, case.config(), observer=recorder)
    phases = [call.phase for call in recorder.seen["call"]]
    assert phases.count("warmup") > 20
    assert phases.count("main") == 20
    assert result.stop_reason == "context"
    assert len(result.waveform) > 0


@pytest.mark.parametrize(
    ("checkpoint", "delays"),
    [
        ("tiny4", [3, 0, 1, 5]),
        *(
            pytest.param("tiny8", delays, marks=pytest.mark.slow)
            for delays in ([0] * 8, [0, *[2] * 7], [3, 0, 1, 2, 5, 5, 0, 1])
        ),
    ],
)
def test_delays_of_zero_work(tmp_path: Path, checkpoint: str, delays: list[int]) -> None:
    tts = with_config(tmp_path, checkpoint, lambda raw: raw["data"].update(delay_pattern=delays))
    recorder = Recorder()
    result = tts.generate(SCRIPT, seed=2, observer=recorder)
    first = recorder.seen["step_tokens"][0]
    assert (first[:, 2:] == tts.runtime.constants.audio_bos).all()  # column 0 is BOS
    assert result.audio_tokens.shape[2] == recorder.grid.shape[2] - max(delays)
    assert result.stop_reason == "end"
    streamed = torch.cat([chunk.waveform for chunk in tts.stream(SCRIPT, seed=2)])
    assert torch.allclose(streamed, result.waveform, atol=1e-4)


def test_a_context_shorter_than_the_delays_gives_no_audio(tmp_path: Path) -> None:
    tts = with_config(tmp_path, "tiny8", lambda raw: raw["runtime"].update(max_context_steps=3))
    result = tts.generate(SCRIPT, seed=1)
    assert result.stop_reason == "context"
    assert result.waveform.shape == (0,)
    assert result.audio_tokens.shape == (1, 8, 0)


def test_overrides_and_config_reach_the_run() -> None:
    tts = engine("tiny4")
    config = GenerationConfig(text=GREEDY, audio=SamplingConfig(1.0, 3), cfg_scale=3.0, cfg_filter_k=5, seed=9)
    spelled = tts.generate(
        SCRIPT, temp_text=0, topk_text=50, temp_audio=1.0, topk_audio=3, cfg_scale=3.0, cfg_filter_k=5, seed=9
    )
    assert torch.equal(tts.generate(SCRIPT, config).audio_tokens, spelled.audio_tokens)
    with pytest.raises(UsageError, match=r"no option 'tmperature'; it knows temperature, top_k, temp_text, .*seed"):
        tts.generate(SCRIPT, tmperature=1)


def test_initial_padding_delays_the_first_word() -> None:
    tts = engine("tiny4")
    assert tts.generate(SCRIPT, seed=1, initial_padding=0).timestamps[0][1] == 0.0
    assert tts.generate(SCRIPT, seed=1, initial_padding=10).timestamps[0][1] == 0.8


def test_output_wav_holds_the_waveform(tmp_path: Path) -> None:
    path = tmp_path / "out.wav"
    result = engine("tiny4").save_wav(SCRIPT, path, seed=1)
    samples, rate = soundfile.read(path, dtype="float32")
    assert rate == result.sample_rate == 24000
    assert torch.allclose(torch.from_numpy(samples), result.waveform, atol=1 / 32768)
    assert list(tmp_path.iterdir()) == [path]


def test_progress_counts_every_frame() -> None:
    seen: list[Progress] = []
    result = engine("tiny4").generate(SCRIPT, seed=1, progress=seen.append)
    assert [now.frames for now in seen] == list(range(1, result.frames + 1))
    assert seen[-1].words == seen[-1].words_total == 7
    assert seen[-1].seconds == pytest.approx(result.frames / 12.5)


def test_ctrl_c_keeps_the_audio_so_far(tmp_path: Path) -> None:
    path = tmp_path / "out.wav"

    def press(now: Progress) -> None:
        if now.frames == 30:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(GenerationInterrupted, match="audio so far") as caught:
        engine("tiny4").generate(SCRIPT, output_wav=path, seed=1, progress=press)
    part = caught.value.result
    whole = engine("tiny4").generate(SCRIPT, seed=1)
    frames = part.audio_tokens.shape[2]
    assert part.stop_reason == "interrupted"
    assert 0 < frames <= 30
    assert torch.equal(part.audio_tokens, whole.audio_tokens[..., :frames])
    assert part.timestamps == whole.timestamps[: len(part.timestamps)]
    assert soundfile.info(path).frames == len(part.waveform)


def test_set_device_and_close_load_again_on_next_use() -> None:
    tts = Dia2.nano(device="cpu")
    first = tts.generate("[S1] one", seed=1)
    tts.close()
    assert torch.equal(tts.generate("[S1] one", seed=1).waveform, first.waveform)
    tts.set_device("cpu", "bfloat16")
    assert tts.runtime.model.transformer.norm.weight.dtype == torch.bfloat16
    assert tts.generate("[S1] one", seed=1).stop_reason == "end"
    with pytest.raises(UsageError, match="There is no device 'warp'"):
        tts.set_device("warp")


def test_sample_rate_and_context_are_the_checkpoints() -> None:
    assert engine("tiny8").sample_rate == 24000
    assert engine("tiny8").max_context_steps == 160


def test_bfloat16_runs_and_keeps_float32_logits() -> None:
    recorder = Recorder()
    result = engine("tiny4", "bfloat16").generate(SCRIPT, seed=1, observer=recorder)
    assert recorder.seen["logits.cb0"][0].dtype == torch.float32
    assert result.stop_reason == "end"


@pytest.mark.parametrize("checkpoint", [pytest.param("tiny8", marks=pytest.mark.slow), "tiny4"])
def test_a_voice_file_stands_in_for_its_recording(tmp_path: Path, checkpoint: str) -> None:
    tts, case = engine(checkpoint), Case(checkpoint, "prefix2")
    for n in (1, 2):
        tts.save_voice(
            case.folder / f"spk{n}.wav", tmp_path / f"{n}.voice", speaker=n, words=case.folder / f"spk{n}.words.json"
        )
    voices = PrefixConfig(tmp_path / "1.voice", tmp_path / "2.voice")
    result = tts.generate(case.expected["script"], case.config(prefix=voices))
    assert torch.equal(result.audio_tokens, case.tensors["aligned"].long())


@pytest.mark.parametrize(
    ("give", "message"),
    [
        ({}, "Give either a repo, or both"),
        ({"repo": "a/b", "config_path": "c", "weights_path": "w"}, "Give either a repo, or both"),
        ({"config_path": "c"}, "Give either a repo, or both"),
        ({"repo": "a/b", "device": "warp"}, "There is no device 'warp'"),
        ({"repo": "a/b", "dtype": "float8"}, "dtype 'float8' is not supported"),
    ],
)
def test_the_constructor_refuses_contradictions(give: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Dia2(**give)  # type: ignore[arg-type]  # values of one type stand in for several


def test_prefix_errors_come_before_anything_is_generated() -> None:
    tts = engine("tiny4")
    wav = ROOT / "tiny8" / "spk1.wav"
    with pytest.raises(UsageError, match="speaker 2 needs one for speaker 1"):
        tts.generate(SCRIPT, prefix_speaker_2=wav)
    with pytest.raises(UsageError, match="There is no prefix audio"):
        tts.generate(SCRIPT, prefix_speaker_1="nowhere.wav")


def test_an_output_that_cannot_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    frames: list[Progress] = []
    with pytest.raises(UsageError, match="does not exist"):
        engine("tiny4").generate(SCRIPT, output_wav=tmp_path / "no" / "out.wav", progress=frames.append)
    assert frames == []


@cache
def imported() -> list[str]:
    """What a process of its own imports: after `import dia2` (two lists), after `dia2.inspect`, when it has spoken."""
    code = """
        import sys, dia2
        print(sorted({"torch", "numpy", "logging"} & set(sys.modules)))
        assert dia2.engine.Dia2 is dia2.Dia2  # a module, or a name, when it is first asked for
        heavy = {"ipywidgets", "matplotlib", "whisper", "transformers", "rich", "soxr", "numba", "IPython", "pandas"}
        print(sorted(heavy & set(sys.modules)))
        import dia2.inspect  # which every recorded run needs
        print(sorted({"dia2.inspect.views.explorer", "matplotlib", "IPython"} & set(sys.modules)))
        result = dia2.Dia2.nano(device="cpu").generate("[S1] Hello.", seed=1)
        assert len(result.waveform)
        heavy = ("transformers.modeling_utils", "transformers.models.mimi", "torch._dynamo", "torch._inductor")
        heavy += ("torch.distributed.tensor", "scipy", "sympy", "triton")
        print([name for name in heavy if name in sys.modules])
    """
    run = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    return run.stdout.split()


def test_importing_dia2_brings_no_widget_plot_whisper_or_transformers() -> None:
    assert imported()[:3] == ["[]", "[]", "[]"]


def test_speaking_imports_no_modeling_code_of_others() -> None:
    assert imported()[3:] == ["[]"]


@pytest.mark.slow
def test_importing_dia2_brings_little_that_torch_does_not() -> None:
    code = """
        import sys, torch
        before = set(sys.modules)
        from dia2 import Dia2
        packages = {name.partition(".")[0] for name in set(sys.modules) - before}
        print(*sorted(packages - sys.stdlib_module_names))
    """
    run = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    small = {"safetensors", "soundfile", "_soundfile", "_soundfile_data", "cffi", "_cffi_backend", "numpy"}
    assert set(run.stdout.split()) - small == {"dia2"}


def test_a_full_disk_is_one_error_and_the_old_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "out.wav"
    path.write_bytes(b"old")
    with files_up_to(2000), pytest.raises(Dia2Error, match=f"^{path} could not be written .File too large."):
        engine("tiny4").generate(SCRIPT, output_wav=path, seed=1)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_public_names_are_documented() -> None:
    for name in dia2.__all__:
        assert name == "__version__" or getattr(dia2, name).__doc__, name
    assert issubclass(UsageError, Dia2Error)
    assert issubclass(UsageError, ValueError)


def test_every_registered_hook_point_is_seen_and_no_other() -> None:
    case, recorder = Case("tiny4", "prefix1"), Recorder()
    engine("tiny4").generate(SCRIPT, case.config(), observer=recorder)
    outside = {"cli.parse", "config.overrides", "config.validate", "config.build", "script.load", "wav.write"}
    outside |= {"engine.init", "runtime.build", "runtime.tokens", "machine.init", "prefix.transcribe"}
    assert set(recorder.seen) == set(select("*", 4, "dia2")) - outside  # the command line's are seen in its tests


def test_ctrl_c_while_decoding_keeps_the_audio(monkeypatch: pytest.MonkeyPatch) -> None:
    tts = engine("tiny4")
    whole = tts.generate(SCRIPT, seed=1)
    decode, presses = tts.runtime.mimi.decode, iter([True, False])

    def pressed(codes: torch.Tensor) -> torch.Tensor:
        if next(presses):
            raise KeyboardInterrupt
        return decode(codes)

    monkeypatch.setattr(tts.runtime.mimi, "decode", pressed)
    with pytest.raises(GenerationInterrupted) as caught:
        tts.generate(SCRIPT, seed=1)
    assert torch.equal(caught.value.result.waveform, whole.waveform)


def test_weights_that_compute_no_numbers_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    tts = Dia2.from_local(**local_files("tiny4"), device="cpu")
    monkeypatch.setattr(tts.runtime.model.transformer.norm, "eps", float("nan"))
    with pytest.raises(CheckpointError, match="computes NaN or infinity"):
        tts.generate(SCRIPT, seed=1)


def test_script_and_prefix_are_checked_before_anything_is_loaded() -> None:
    tts = Dia2.from_local("no-config.json", "no-weights.safetensors", device="cpu")
    for script, prefix, message in (
        ("[S3] Hi.", None, "Unknown speaker tag"),
        ("[S1]", None, "has no words"),
        ("[S1] Hi.", "nowhere.wav", "There is no prefix audio"),
    ):
        with pytest.raises(UsageError, match=message):
            tts.generate(script, prefix_speaker_1=prefix)
    with pytest.raises(CheckpointError, match="There is no config file"):
        tts.generate("[S1] Hi.")
