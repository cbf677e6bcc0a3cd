"""How many kernels a frame launches, at the shapes of Dia2-2B but for its widths, which do not count."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from dia2 import GenerationConfig
from dia2.core.quantize import quantize
from tests.support.fakecuda.extension import Kernels
from tests.support.fakecuda.graphs import CUDAGraph

SHAPES = Path(__file__).parents[3] / "benchmarks" / "shapes.py"
LAYERS, DEPFORMER_LAYERS, STAGES, SETS = 28, 4, 31, 5
NARROW = {"layers": LAYERS, "width": 64, "hidden": 128, "heads": 16, "dep_layers": DEPFORMER_LAYERS, "dep_width": 64}
BLOCKS = DEPFORMER_LAYERS * STAGES  # of the depformer, in a frame

Halves = tuple[Kernels, Kernels]


@pytest.fixture(scope="module")
def halves() -> Callable[..., Halves]:
    """Capture a frame's two halves; says what each launches."""
    spec = importlib.util.spec_from_file_location("shapes", SHAPES)
    assert spec is not None
    assert spec.loader is not None
    shapes: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(shapes)
    shapes.SHAPES["narrow"] = {**NARROW, "sets": SETS}

    def capture(*, packed: bool = False, **changes: Any) -> Halves:
        target = shapes.runtime("narrow", torch.bfloat16, "cuda")
        if packed:
            quantize(target.model)
        config = GenerationConfig(seed=1, use_cuda_graph=True, **changes)
        before = len(CUDAGraph.captured)
        with target.computing():
            frames = shapes.open_run(target, config)
            next(frames)
            frames.close()
        first, second = CUDAGraph.captured[before:]
        return first.kernels, second.kernels

    return capture


def test_a_guided_frame_launches_no_more_kernels_than_it_did(halves: Callable[..., Halves]) -> None:
    first, second = halves()
    assert first.total() <= 520
    assert second.total() <= 2743
    # Keys and values of a layer are written at once, and the frame's codes.
    assert (first["index_copy"], second["index_copy"]) == (LAYERS, BLOCKS + 1)
    # The two of a block, one of queries and keys, the last.
    assert (first["rms_norm"], second["rms_norm"]) == (3 * LAYERS + 1, 3 * BLOCKS + STAGES)
    # Queries and keys are rotated together; the norms' weights are turned once for all layers.
    assert (first["roll"], second["roll"]) == (LAYERS + 1, BLOCKS + 1)
    # Four of a block, the depformer's input for each weight set, its logits for each stage.
    assert second["linear"] == 4 * BLOCKS + SETS + STAGES
    assert first["scaled_dot_product_attention"] == LAYERS
    # Text, a row of each codebook's table at once, the rotation's two, the grid's column, the uniforms.
    assert first["index_select"] <= 7
    # The mask is made once, not for each layer; the rest are what the halves hand on and the draws.
    assert first["copy_"] <= 11
