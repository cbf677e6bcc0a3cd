"""How many kernels a frame launches, at the shapes of Dia2-2B but for its widths, which do not count."""

from __future__ import annotations

import importlib.util
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from dia2 import GenerationConfig
from dia2.core import depformer as depformer_parts
from dia2.core import transformer as transformer_parts
from dia2.core.cache import Span, additive_mask
from dia2.core.compiled import ON_CUDA
from dia2.core.depformer import DepformerBlock
from dia2.core.model import Dia2Model
from dia2.core.transformer import Block
from dia2.runtime import forms
from dia2.runtime.graphs import CudaGraphs
from tests.support.fakecuda import counted
from tests.support.fakecuda.compiled import Inductor
from tests.support.fakecuda.extension import Kernels
from tests.support.fakecuda.graphs import CUDAGraph

SHAPES = Path(__file__).parents[3] / "benchmarks" / "shapes.py"
LAYERS, DEPFORMER_LAYERS, STAGES, SETS = 28, 4, 31, 5
NARROW = {"layers": LAYERS, "width": 64, "hidden": 128, "heads": 16, "dep_layers": DEPFORMER_LAYERS, "dep_width": 64}
NARROW["sets"] = SETS
BLOCKS = DEPFORMER_LAYERS * STAGES  # of the depformer, in a frame

Halves = tuple[Kernels, Kernels]


def shapes(name: str, sizes: dict[str, int]) -> Any:
    """`benchmarks/shapes.py`, with shapes of that name."""
    spec = importlib.util.spec_from_file_location("shapes", SHAPES)
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.SHAPES[name] = sizes
    return module


def captured(**changes: Any) -> Halves:
    """What each half of a frame launches."""
    narrow = shapes("narrow", NARROW)
    target = narrow.runtime("narrow", torch.bfloat16, "cuda")
    config = GenerationConfig(seed=1, use_cuda_graph=True, **changes)
    before = len(CUDAGraph.captured)
    with target.computing():
        frames = narrow.open_run(target, config)
        next(frames)
        frames.close()
    first, second = CUDAGraph.captured[before:]
    return first.kernels, second.kernels


def test_a_guided_frame_launches_no_more_kernels_than_it_did() -> None:
    first, second = captured()
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


def pieces() -> dict[Callable[..., Any], tuple[Any, ...]]:
    """What is compiled on CUDA, each with what it is given, at the widths of Dia2-2B."""
    device = torch.device("cuda")
    one = shapes("one", {**shapes("", {}).SHAPES["2b"], "layers": 1, "dep_layers": 1, "sets": 1})
    with device:
        model = Dia2Model(one.shape_config("one"), torch.bfloat16).eval().requires_grad_(False)
        state = model.new_decode_state(branches=2, slots=1504, positions=1500, device=device)
        hidden, x = (torch.zeros(2, width, dtype=torch.bfloat16) for width in (2048, 1024))
        logits, uniform, slot = torch.zeros(2, 2048), torch.zeros(1), torch.zeros(1, dtype=torch.int64)
        mask = additive_mask(torch.arange(1504)[None] <= slot, 2, torch.bfloat16)
    depformer, decoder = model.depformer, model.transformer
    cos, sin = state.rotation
    span = Span(state.transformer, slot, 1504, mask).layer(0)
    late = Span(state.depformer, state.stages[7:8], 8).layer(0)
    layer: Any = depformer.layers[0]
    turn, stage_turn = decoder._turns((cos[:1], sin[:1]))[0], depformer.begin(hidden, state.stage_rotation).turns[0][7]
    projections = layer.self_attention.projections([0])
    return {
        Block.forward: (decoder.layers[0], hidden[:, None], turn, span, mask),
        DepformerBlock.forward: (
            layer,
            x[:, None],
            projections,
            stage_turn,
            late,
            None,
        ),
        depformer_parts._leave: (depformer.norm, depformer._head(0), x),
        depformer_parts._project: (depformer.depformer_in[0], hidden),
        forms.choose: (logits, 6.0, 50, (0.6, 50), uniform, None),
    }


@pytest.mark.slow  # inductor writes the kernels of a whole frame
@pytest.mark.filterwarnings("ignore")  # inductor imports parts of torch that torch deprecates, and says what is slow
def test_a_compiled_frame_launches_no_more_kernels_than_it_did(monkeypatch: pytest.MonkeyPatch) -> None:
    with torch.no_grad(), pytest.MonkeyPatch.context() as patch:
        inductor = Inductor(patch)
        each = {part: inductor.kernels(part, ON_CUDA, *given).total() for part, given in pieces().items()}
    calls, inside = Counter[Callable[..., Any]](), Kernels()

    def form(part: Callable[..., Any], _: str) -> Callable[..., Any]:
        def run(*args: Any) -> Any:
            calls[part] += 1
            with counted() as kernels:
                out = part(*args)
            inside.update(kernels)
            return out

        return run

    for module in (transformer_parts, depformer_parts, forms):
        monkeypatch.setattr(module, "compiled_form", form)
    monkeypatch.setattr(CudaGraphs, "_DRY_RUNS", 0)
    first, second = captured(use_torch_compile=True)
    expected = {Block.forward: LAYERS, DepformerBlock.forward: BLOCKS, forms.choose: STAGES + 2}
    assert calls == expected | {depformer_parts._leave: STAGES, depformer_parts._project: SETS}
    eager = first.total() + second.total() - inside.total()
    assert eager + sum(each[part] * count for part, count in calls.items()) <= 2260
