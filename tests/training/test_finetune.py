"""Fine-tuning by its command line: what it tells, refuses, keeps and goes on with."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from safetensors.torch import load_file

from dia2.cli import main as dia2
from dia2.common.errors import Dia2Error, UsageError
from dia2.engine import Dia2
from dia2.runtime.assets import nano_folder
from training import finetune as tuning
from training import plan
from training.cost import Method
from training.finetune import Tuning, default_rate, finetune, main
from training.language_model import Learning
from training.recordings.preparing import PreparedRecordings
from training.spoken import Spoken
from training.streams import Utterance

pytestmark = pytest.mark.timeout(280)


def recordings(count: int, length: int = 20) -> PreparedRecordings:
    """So many, of two words each, one of several held back; nano has 8 codebooks."""
    spoken = (Spoken("Hello", 1, 0.0, 0.3), Spoken("there.", 1, 0.3, 0.6))
    generator = torch.Generator().manual_seed(0)
    made = [Utterance(spoken, 0.8, torch.randint(0, 200, (8, length), generator=generator)) for _ in range(count)]
    held = min(1, count - 1)
    return PreparedRecordings(made[held:], made[:held], cast("Any", None))


@pytest.fixture
def prepared(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Five recordings, and nothing is spoken."""
    monkeypatch.setattr(tuning, "judge_recordings", lambda *_: None)
    monkeypatch.setattr(tuning, "prepare", lambda *_: recordings(5))
    monkeypatch.setattr(tuning, "say", lambda *_: None)
    handler = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, handler)


FLAGS = ["--batch-frames", "60", "--device", "cpu"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--steps", "0"], "--steps 0 cannot be: give 1 or more."),
        (["--steps", "-5"], "--steps -5 cannot be: give 1 or more."),
        (["--every", "-1"], "--every -1 cannot be: give 1 or more."),
        (["--every", "0"], "--every 0 cannot be: give 1 or more."),
        (["--batch-frames", "0"], "--batch-frames 0 cannot be: give 1 or more."),
        (["--accumulate", "0"], "--accumulate 0 cannot be: give 1 or more."),
        (["--patience", "-1"], "--patience -1 cannot be: give 1 or more, or 0 to never stop early."),
        (["--rate", "-1"], "--rate -1.0 cannot be: give a number above 0, such as 0.0002."),
        (["--rate", "0"], "--rate 0.0 cannot be: give a number above 0, such as 0.0002."),
        (["--rate", "nan"], "--rate nan cannot be: give a number above 0, such as 0.0002."),
        (["--rate", "inf"], "--rate inf cannot be: give a number above 0, such as 0.0002."),
        (["--cb0-weight", "nan"], "--cb0-weight nan cannot be: give 0 or more."),
        (["--padding-weight", "-0.1"], "--padding-weight -0.1 cannot be: give 0 or more."),
        (["--seed", str(1 << 70)], f"--seed {1 << 70} cannot be: give one of at most 1,099,511,627,776."),
        (["--lora", "-1"], "--lora -1 is no rank: choose 1 or more."),
        (["--lora", "4", "--lora-on", ""], "--lora-on knows no '': choose from q,k,v,o,mlp,in."),
        (["--merge"], "--merge puts a LoRA into the weights: give --lora RANK too."),
        (["--steps", "many"], "argument --steps: invalid int value: 'many'; see python -m training.finetune --help"),
    ],
)
def test_numbers_that_cannot_be_meant_are_refused_in_one_line(
    flags: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    handler = signal.getsignal(signal.SIGTERM)
    try:
        assert main([str(tmp_path), str(tmp_path / "out"), *flags]) == 2
    finally:
        signal.signal(signal.SIGTERM, handler)
    assert capsys.readouterr().err == f"error: {message}\n"
    assert not (tmp_path / "out").exists()


def test_all_is_told_before_the_first_step_and_the_last_line_is_a_command_that_works(
    prepared: None, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "it is mine"
    assert main([str(tmp_path), str(out), *FLAGS, "--steps", "2", "--every", "1", "--lora", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:6]] == ["parameters", "recordings", "a", "memory", "disk", "time"]
    assert lines[0].endswith(" trained of 5,091,968")
    assert lines[1] == "recordings  4 (0.1 min, 8 words) to learn from; 1 (0.0 min, 2 words) held back"
    assert lines[2] == "a step      1 batch of at most 60 frames; 2 steps are 1.0 epochs"
    assert lines[3].endswith(" are there (counted)")
    assert lines[6].startswith("fine-tuning, step 0: validation: action ")
    assert lines[7].startswith("fine-tuning, step 1: train: ")
    assert (out / "losses.png").read_bytes().startswith(b"\x89PNG")
    path, _, command = lines[-1].partition(": ")
    assert path == str(out / "lora.safetensors")
    words = shlex.split(command)
    assert words[:3] == ["dia2", "generate", "out.wav"]
    monkeypatch.chdir(tmp_path)
    assert dia2([*words[1:], "--quiet", "--seed", "1"]) == 0
    assert (tmp_path / "out.wav").stat().st_size > 1000


def test_the_checkpoint_is_the_best_and_the_state_the_last(
    prepared: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    judged = iter([5.0, 3.0, 4.0, 4.5, 4.6])
    seen: list[torch.Tensor] = []

    def validate(training: Any, batches: Any, utterances: Any) -> dict[str, float]:
        if len(utterances) > 1:
            return {"loss": 1.0}
        return {"loss": next(judged)}

    monkeypatch.setattr(tuning, "validate", lambda t, b, u: _judged(t, b, u, validate, seen))
    out = tmp_path / "out"
    arguments = [str(tmp_path), str(out), *FLAGS, "--steps", "9", "--every", "1", "--patience", "2"]
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert "no better validation in the last 2 ones; the best was step 1" in said
    stored = load_file(out / "checkpoint" / "model.safetensors")["transformer.action_head.weight"]
    assert torch.equal(stored, seen[2])  # the second validation, of step 1
    assert not torch.equal(stored, seen[-1])
    state = torch.load(out / "run" / "state.pt", weights_only=True)
    assert state["step"] == 3
    assert torch.equal(state["model"]["model.transformer.action_head.weight"], seen[-1])


def _judged(training: Any, batches: Any, utterances: Any, validate: Any, seen: list[torch.Tensor]) -> dict[str, float]:
    seen.append(training.model.transformer.action_head.weight.detach().clone())
    found: dict[str, float] = validate(training, batches, utterances[:1] if len(seen) % 2 else [0, 0])
    return found


@pytest.mark.slow
def test_a_merged_lora_speaks_as_the_lora_does(prepared: None, tmp_path: Path) -> None:
    out = tmp_path / "out"
    flags = ["--steps", "3", "--every", "3", "--lora", "4", "--lora-on", "q,mlp", "--rate", "0.02", "--merge"]
    assert main([str(tmp_path), str(out), *FLAGS, *flags]) == 0
    added = Dia2.nano(device="cpu", lora=out / "lora.safetensors").runtime.model.state_dict()
    merged = Dia2.from_repo(str(out / "checkpoint"), device="cpu", strict=True).runtime.model.state_dict()
    plain = Dia2.nano(device="cpu").runtime.model.state_dict()
    assert all(torch.allclose(added[name], merged[name], atol=1e-6) for name in added)
    changed = {name for name in plain if not torch.equal(plain[name], merged[name])}
    assert changed
    assert all("q_proj" in name or "mlp" in name or "in_proj" in name for name in changed)


def test_what_cannot_fit_is_refused_with_what_would(
    prepared: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(plan, "free_bytes", lambda _: 20_000_000)
    assert main([str(tmp_path), str(tmp_path / "out"), *FLAGS, "--steps", "2"]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: Training needs ")
    assert "--lora 16" in error
    assert not (tmp_path / "out" / "run").exists()
    monkeypatch.setattr(plan, "free_bytes", lambda _: None)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1_000_000}))
    assert main([str(tmp_path), str(tmp_path / "out"), *FLAGS, "--steps", "2"]) == 2
    assert "1 MB are free: write elsewhere." in capsys.readouterr().err


@pytest.mark.slow
def test_one_recording_has_nothing_held_back_and_its_last_is_kept(
    prepared: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tuning, "prepare", lambda *_: recordings(1))
    assert main([str(tmp_path), str(tmp_path / "out"), *FLAGS, "--steps", "1", "--lora", "1"]) == 0
    said = capsys.readouterr().out
    assert "note: nothing is held back of a single recording" in said
    assert (tmp_path / "out" / "lora.safetensors").exists()


def test_a_clip_longer_than_a_batch_is_refused_before_anything_is_trained(
    prepared: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tuning, "prepare", lambda *_: recordings(4, length=100))
    assert main([str(tmp_path), str(tmp_path / "out"), *FLAGS]) == 2
    assert "are longer than a batch may be, the longest 107 frames" in capsys.readouterr().err


@pytest.mark.slow
def test_a_state_of_another_kind_is_refused(prepared: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [str(tmp_path), str(tmp_path / "out"), *FLAGS, "--steps", "1", "--lora"]
    assert main([*arguments, "1"]) == 0
    assert main([*arguments, "2"]) == 1
    assert "is not the state of such a run" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "after"),
    [
        ([], {"hf": "out/checkpoint"}),
        (["--lora", "1"], {"nano": True, "lora": "out/lora.safetensors"}),
        (["--lora", "1", "--merge"], {"hf": "out/checkpoint"}),
    ],
)
def test_what_is_compared_is_what_was_written_with_what_it_came_from(
    flags: list[str], after: dict[str, object], prepared: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[Any] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tuning, "finetune", lambda *_: {})
    monkeypatch.setattr(tuning, "afterwards", lambda *given: compared.extend(given))
    arguments = [".", "out", "--device", "cpu", "--compare", "--whisper", "base", "--language", "German", *flags]
    assert main(arguments) == 0
    before, made, report, learnt, *rest = compared
    assert (before, made, report) == ({"nano": True}, after, Path("out/compared"))
    assert len(learnt.unseen) == 1
    assert rest == ["base", "de", {"device": "cpu"}]


def test_weights_of_another_precision_are_refused(tmp_path: Path) -> None:
    tts = Dia2.nano(device="cpu", dtype="bfloat16")
    with pytest.raises(
        UsageError, match="needs float32 weights without a LoRA: load the checkpoint with dtype=float32"
    ):
        finetune(tts, Tuning(tmp_path / "out", learning=Learning(frames=60)), recordings(2))


def test_an_optimiser_whose_library_is_missing_is_one_sentence(
    prepared: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes.optim", None)
    assert main([str(tmp_path), str(tmp_path / "out"), *FLAGS, "--lora", "1", "--optimizer", "adamw8bit"]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        "error: --optimizer adamw8bit needs bitsandbytes: pip install bitsandbytes."
    )


def test_the_rate_goes_by_the_size() -> None:
    assert default_rate(5_000_000, 0) == 2e-4
    assert default_rate(1_000_000, 0) == 2e-4
    assert default_rate(1_830_000_000, 0) == 1e-5
    assert default_rate(5_000_000, 16) == 2e-3
    assert Method().scale == 0.0
    assert Method(rank=4).scale == 8.0


def test_a_full_disk_amid_a_checkpoint_is_one_sentence(
    prepared: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tests.support.disk import files_up_to
    from training.checkpoint import write_weights

    model = Dia2.nano(device="cpu").runtime.model
    (tmp_path / "model.safetensors").write_bytes(b"before")
    with files_up_to(100_000), pytest.raises(Dia2Error, match=r"could not be written .*: free some space"):
        write_weights(tmp_path, model, torch.float32)
    assert (tmp_path / "model.safetensors").read_bytes() == b"before"
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]


CHILD = """
import sys
from tests.training import test_finetune as tests
from training import finetune as tuning
tuning.judge_recordings = lambda *_: None
tuning.prepare = lambda *_: tests.recordings(5)
tuning.say = lambda *_: None
import training.saving as saving
saving._SECONDS, saving._SHARE = 0.0, 1e9
sys.exit(tuning.main(sys.argv[1:]))
"""


def child(*arguments: str, launch: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    script = Path(arguments[0]) / "child.py"
    script.write_text(CHILD)
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path.cwd())}
    command = [sys.executable, *launch, str(script), *arguments, "--device", "cpu"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    said, _ = process.communicate(timeout=250)
    return process.returncode, said


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -9), (signal.SIGTERM, 130)])
def test_a_run_that_is_ended_goes_on_to_the_weights_of_an_unbroken_one(
    number: signal.Signals, code: int, tmp_path: Path
) -> None:
    def arguments(name: str) -> list[str]:
        method = ["--lora", "2", "--batch-frames", "60", "--accumulate", "2"]
        return [str(tmp_path), str(tmp_path / name), "--steps", "60", "--every", "20", *method]

    victim = child(*arguments("broken"))
    state = tmp_path / "broken" / "run" / "state.pt"
    deadline = time.monotonic() + 120
    while not state.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    victim.send_signal(number)
    found, said = ended(victim)
    assert found == code, said
    at = torch.load(state, weights_only=True)["step"]
    assert 0 < at < 60
    found, said = ended(child(*arguments("broken")))
    assert found == 0, said
    assert f"going on from step {at} of 60" in said
    found, whole = ended(child(*arguments("whole")))
    assert found == 0, whole
    one, two = (load_file(tmp_path / name / "lora.safetensors") for name in ("whole", "broken"))
    assert all(torch.equal(one[name], two[name]) for name in one)
    lines = [json.loads((tmp_path / name / "run" / "history.json").read_text()) for name in ("whole", "broken")]
    assert lines[0] == lines[1]
    assert not list((tmp_path / "broken").rglob(".dia2-*"))


@pytest.mark.slow
def test_two_processes_of_accelerate_learn_what_one_does(tmp_path: Path) -> None:
    def arguments(name: str, batches: int) -> list[str]:
        method = ["--batch-frames", "60", "--accumulate", str(batches), "--rate", "1e-3"]
        return [str(tmp_path), str(tmp_path / name), "--steps", "6", "--every", "3", *method]

    launch = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")  # what accelerate launch starts
    code, said = ended(child(*arguments("two", 1), launch=launch))
    assert code == 0, said
    assert "a step      2 batches of at most 60 frames" in said
    assert said.count("fine-tuning, step 6: ") == 1
    code, alone = ended(child(*arguments("one", 2)))
    assert code == 0, alone
    one, two = (json.loads((tmp_path / name / "run" / "history.json").read_text()) for name in ("one", "two"))
    for line, other in zip(one["lines"], two["lines"], strict=True):
        assert line == pytest.approx(other, rel=1e-4)
    weights = [load_file(tmp_path / name / "checkpoint" / "model.safetensors") for name in ("one", "two")]
    before = load_file(nano_folder() / "model.safetensors")
    name = "transformer.layers.0.mlp.wi.weight"
    moved = float((weights[0][name] - before[name].float()).abs().max())
    assert float((weights[0][name] - weights[1][name]).abs().max()) < 0.1 * moved
