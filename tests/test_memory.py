"""Peaks that a result tells, and what is said when memory runs out."""

import errno
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from dia2 import CheckpointError
from dia2.cli import main
from dia2.common import memory
from dia2.common.memory import in_words, peak_device_bytes, peak_host_bytes, shortage

from .support.reference import engine

CUDA = (
    "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 1.00 GiB of which 0 bytes is free."
)
SAVE = "use --dtype bfloat16, a smaller max_context_steps in config.json, or another --device."


def cpu_error() -> Exception:
    """torch's own words for a petabyte."""
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 50, dtype=torch.uint8)
    return caught.value


def numpy_error() -> Exception:
    with pytest.raises(MemoryError) as caught:
        np.empty(1 << 50, dtype=np.uint8)
    return caught.value


def caused_by(error: Exception) -> Exception:
    wrapped = CheckpointError("Codec x cannot be loaded (…): give one by --mimi.")
    wrapped.__cause__ = error
    return wrapped


# Peaks


def test_a_result_tells_the_peak_of_this_process() -> None:
    before = peak_host_bytes()
    result = engine("tiny8").generate("[S1] Hi.", seed=1)
    assert result.peak_device_bytes is None
    if before is None:
        assert result.peak_host_bytes is None
    else:
        assert result.peak_host_bytes is not None
        assert before <= result.peak_host_bytes <= (peak_host_bytes() or 0)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells what is resident now")
def test_the_peak_stays_when_memory_is_given_back_and_can_be_forgotten() -> None:
    code = """
        from dia2.common.memory import forget_peak_host_bytes, peak_host_bytes, resident_bytes
        import torch
        before = resident_bytes()
        block = torch.ones(200_000_000, dtype=torch.uint8)
        del block
        print(peak_host_bytes() - before > 190e6, resident_bytes() - before < 50e6)
        print(forget_peak_host_bytes(), peak_host_bytes() - before < 50e6)
    """
    program = "\n".join(line.strip() for line in code.splitlines())
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["True"] * 4


def test_without_proc_the_peak_is_getrusages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    for name in ("_STATUS", "_CLEAR"):
        monkeypatch.setattr(memory, name, tmp_path / "none" / name)
    unit = 1 if sys.platform == "darwin" else 1024
    assert peak_host_bytes() == resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    assert memory.resident_bytes() is None
    assert not memory.forget_peak_host_bytes()
    monkeypatch.setattr(sys, "platform", "win32")
    assert peak_host_bytes() is None


def test_a_gpus_peak_is_torchs_since_the_run_began(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, torch.device]] = []
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda device: asked.append(("reset", device)))
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 5)
    cuda = torch.device("cuda:1")
    memory.begin_device_peak(cuda)
    assert asked == [("reset", cuda)]
    assert peak_device_bytes(cuda) == 5
    for other in ("cpu", "mps"):
        memory.begin_device_peak(torch.device(other))
        assert peak_device_bytes(torch.device(other)) is None
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 MB"), (412_300_000, "412 MB"), (999_600_000, "1.00 GB"), (7_700_000_000, "7.70 GB")]
)
def test_sizes_in_words(count: int, text: str) -> None:
    assert in_words(count) == text


# Out of memory


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (torch.OutOfMemoryError(CUDA), "The GPU has too little memory (2.00 GiB more were asked for)"),
        (RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be"), "The GPU has too little memory"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling"), "The GPU has too little memory"),
        (
            RuntimeError("MPS backend out of memory (MPS allocated: 1.00 GB). Tried to allocate 256 bytes on pool."),
            "The GPU has too little memory (0 MB more were asked for)",
        ),
        (cpu_error(), "The machine has too little memory (1125899.91 GB more were asked for)"),
        (numpy_error(), "The machine has too little memory"),
        (MemoryError(), "The machine has too little memory"),
        (caused_by(torch.OutOfMemoryError(CUDA)), "The GPU has too little memory (2.00 GiB more were asked for)"),
        (caused_by(OSError(errno.ENOMEM, "Cannot allocate memory")), "The machine has too little memory"),
        (caused_by(OSError(errno.ENOENT, "No such file")), None),
        (RuntimeError("shape '[2]' is invalid"), None),
        (ValueError("CUDA out of memory"), None),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_lack_of_memory_is_known_by_class_or_text(error: Exception, told: str | None) -> None:
    assert shortage(error) == told


@pytest.mark.parametrize("error", [torch.OutOfMemoryError(CUDA), cpu_error(), caused_by(MemoryError())], ids=repr)
def test_the_command_line_says_in_a_sentence_that_memory_ran_out(
    error: Exception, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("dia2.engine.build_runtime", fail)
    assert main(["--nano", "--device", "cpu", "--input", "[S1] Hi.", str(tmp_path / "o.wav")]) == 1
    assert capsys.readouterr().err == f"dia2: error: {shortage(error)}: {SAVE}\n"


def test_a_trace_that_does_not_fit_is_told_without_flags_that_it_has_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> int:
        raise MemoryError

    monkeypatch.setattr("dia2.inspect.cli.run_trace", fail)
    assert main(["trace", "show", str(tmp_path)]) == 1
    error = "The machine has too little memory: close other programs, or look at the trace on a larger machine."
    assert capsys.readouterr().err == f"dia2: error: {error}\n"
