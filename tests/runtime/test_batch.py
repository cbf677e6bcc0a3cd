"""Several scripts side by side: each is spoken as it would be alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from dia2 import Dia2, GenerationResult, Request
from dia2.runtime.batch.schedule import Batch, Failed, Over
from dia2.runtime.batch.state import allocate, bytes_of

from ..support.reference import Case, Recorder, assert_recorded, cases, checkpoints, engine

CASES = [case.values[0] for case in cases()]


def of(checkpoint: str) -> list[Case]:
    return [case for case in CASES if case.checkpoint == checkpoint]


def request(case: Case, **options: Any) -> Request:
    return Request(case.expected["script"], case.config(), **options)


@pytest.mark.parametrize("checkpoint", checkpoints("tiny3", "tiny4", "tiny8"))
@pytest.mark.parametrize("max_rows", [3])
def test_all_cases_in_one_batch_have_the_reference_s_numbers(checkpoint: str, max_rows: int) -> None:
    """Rows join when others leave: with guidance and without, with prefixes and without, all sampled alike or not."""
    tts, found = engine(checkpoint), of(checkpoint)
    recorders = [Recorder() for _ in found]
    asked = [request(case, observer=recorder) for case, recorder in zip(found, recorders, strict=True)]
    results = tts.generate_many(asked, max_rows=max_rows)
    for case, result, recorder in zip(found, results, recorders, strict=True):
        assert isinstance(result, GenerationResult)
        assert_recorded(case, result, recorder)
