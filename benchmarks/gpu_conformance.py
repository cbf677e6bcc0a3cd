"""Steps of `gpu.py` that run the published reference's cases on a GPU, in float32: every token is to match."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from gpu_exact import CLOSE
from gpu_figures import Report
from gpu_runs import DEVICE
from torch import Tensor

sys.path.append(str(Path(__file__).parents[1]))  # the cases, and what reads them, belong to the tests

from dia import Dia
from dia2 import Dia2
from tests.support.dia import DIA5, DiaCase, StepRecorder, dia_cases
from tests.support.reference import CHECKPOINTS, Case, Recorder, cases, local_files, relative, stacked


def dia2(report: Report, use_cuda_graph: bool) -> None:
    """All 33 cases of Dia2."""
    for checkpoint in CHECKPOINTS:
        tts = Dia2.from_local(**local_files(checkpoint), device=DEVICE, dtype="float32")
        found = [parameter.values[0] for parameter in cases() if parameter.values[0].checkpoint == checkpoint]
        told(report, checkpoint, [_dia2(tts, case, use_cuda_graph) for case in found])


def dia(report: Report, use_cuda_graph: bool) -> None:
    """The cases of Dia."""
    model = Dia.from_local(
        DIA5 / "config.json", DIA5 / "model.safetensors", compute_dtype="float32", device=DEVICE, load_dac=False
    )
    told(report, "dia5", [_dia(model, case, use_cuda_graph) for case in dia_cases()])


def told(report: Report, checkpoint: str, found: list[tuple[str, str, float]]) -> None:
    """Claim that all cases of a checkpoint match.

    Args:
        report: where.
        checkpoint: its name.
        found: for each case its name, where it parts (nothing: nowhere), and the largest difference of logits.
    """
    parted = [f"{name} {where} (logits differ by {largest:.1e})" for name, where, largest in found if where]
    largest = max(largest for _, _, largest in found)
    report.note(checkpoint, {name: {"parts": where, "logits": largest} for name, where, largest in found})
    same = f"{len(found) - len(parted)} of {len(found)} cases are the reference's, token for token"
    said = "; ".join([same, f"logits differ by at most {largest:.1e}, {CLOSE:.0e} is allowed", *parted])
    report.claim(f"{checkpoint} computes what the reference does", not parted and largest <= CLOSE, said)


def _dia2(tts: Dia2, case: Case, use_cuda_graph: bool) -> tuple[str, str, float]:
    expected, tensors = case.expected, case.tensors
    branches = 1 if expected["cfg_scale"] == 1.0 else 2
    recorder = Recorder()
    result = tts.generate(expected["script"], case.config(use_cuda_graph=use_cuda_graph), observer=recorder)
    steps, theirs = stacked(recorder.seen["step_tokens"]), tensors["step_tokens"][:, :branches].long()
    where = first_difference(steps, theirs, "call") or first_difference(
        result.audio_tokens[0].T, tensors["aligned"][0].T.long(), "frame"
    )
    largest = 0.0
    for point in ("action", "cb0"):
        wanted = tensors[f"{point}_logits"][:, :branches]
        largest = max(largest, relative(stacked(recorder.seen[f"logits.{point}"][: len(wanted)]), wanted))
    return case.name, where, largest


def _dia(model: Dia, case: DiaCase, use_cuda_graph: bool) -> tuple[str, str, float]:
    tensors, recorder = case.tensors, StepRecorder()
    result = model.speak(case.expected["text"], observer=recorder, **case.settings(use_cuda_graph=use_cuda_graph))
    places = [
        f"script {i}: {where}"
        for i, spoken in enumerate(result.scripts)
        if (where := first_difference(spoken.codes.cpu(), tensors[f"codes.{i}"].long(), "row"))
    ]
    logits = recorder.joined("logits")[: len(tensors["step_logits"])]
    return case.name, "; ".join(places), relative(logits, tensors["step_logits"])


def first_difference(ours: Tensor, theirs: Tensor, what: str) -> str:
    """The first row [rows, ...] that is not the same, in words; nothing where all are."""
    rows = min(len(ours), len(theirs))
    differ = (ours[:rows] != theirs[:rows]).flatten(1).any(dim=1).nonzero()
    if len(differ):
        return f"parts at {what} {int(differ[0])} of {len(theirs)}"
    return "" if ours.shape == theirs.shape else f"has {len(ours)} {what}s, not {len(theirs)}"


torch.set_grad_enabled(False)
