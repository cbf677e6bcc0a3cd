"""Every case of the public references on the device, as plain calls and as graphs that are kept from run to run."""

from __future__ import annotations

import pytest
import torch

from ...support.dia import DiaCase, dia5, dia_cases
from ...support.dia import assert_agrees as assert_dia_agrees
from ...support.reference import Case, assert_agrees, cases, engine

DIA_CASES = [pytest.param(case, id=case.name) for case in dia_cases()]
MODES = pytest.mark.parametrize("graphs", [False, True], ids=["eager", "graphs"])


@MODES
@pytest.mark.parametrize("case", cases())
def test_a_run_equals_the_reference(case: Case, graphs: bool) -> None:
    tts = engine(case.checkpoint)
    assert tts.runtime.device == torch.device("cuda:0")
    assert_agrees(tts, case, use_cuda_graph=graphs)


@pytest.mark.filterwarnings("ignore:Script 2 has 74 bytes")  # one of the texts is too long on purpose
@MODES
@pytest.mark.parametrize("case", DIA_CASES)
def test_a_run_of_dia_equals_the_reference(case: DiaCase, graphs: bool) -> None:
    assert_dia_agrees(dia5(), case, use_cuda_graph=graphs)
