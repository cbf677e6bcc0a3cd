"""The launches of a frame, counted and compiled without a device: `python -m tests.support.kernels` compiles them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from dia2.core.config import DiaConfig
from dia2.core.model import Dia2Model
from dia2.core.quantize import Int8Linear, Kernel, quantize
from dia2.generation import GenerationConfig
from dia2.runtime.forms import form_of
from dia2.runtime.frame import GenerationState, first_half, second_half
from dia2.runtime.state_machine import TokenIds

SLOTS = 1875  # of a run's cache: 1,500 frames, and room for 30 seconds of prefix
META = torch.device("meta")  # shapes without numbers


class Launch(NamedTuple):
    """A kernel with what it was started with; tensors by dtype and by whether their address is aligned."""

    kernel: str
    arguments: tuple[Any, ...]
    warps: int
    options: tuple[tuple[str, Any], ...]


def as_on_a_gpu(model: nn.Module) -> None:
    """Let the columns of every int8 matrix stand in their order, as they do but on a CPU."""
    for linear in model.modules():
        if isinstance(linear, Int8Linear) and linear.words is not None:
            linear.weight, linear.words = nn.Parameter(linear.in_order, requires_grad=False), None
            linear.take(Kernel.BLOCKS, torch.float32)


class _Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's own
    """Counts torch's own operations that a device would run; views and allocations run nothing there."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # likewise
        self.seen = Counter[str]()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = function(*args, **(kwargs or {}))
        name = function.overloadpacket.__name__
        if not function.is_view and name not in ("empty", "new_empty", "empty_like", "_unsafe_view"):
            self.seen[name] += 1
        return out


def a_frame(
    config: DiaConfig, dtype: torch.dtype, *, int8: bool = False
) -> tuple[list[Launch], list[Launch], Counter[str]]:
    """One guided frame under graphs, on tensors without numbers: no kernel is started.

    Returns:
        The launches of its first half, those of its second, and the operations of torch's own beside them.
    """
    with META:
        model = Dia2Model(config, dtype).eval().requires_grad_(False)
        if int8:
            quantize(model)
            as_on_a_gpu(model)
        gen = _state(model)
        slots = torch.arange(SLOTS)
        ids, settings = _ids(config), GenerationConfig(use_triton=True)
    with torch.no_grad(), _caught() as found, _Operations() as operations:
        first = first_half(form_of(model, settings), gen, ids, gen.span(slots), None)
        half = len(found)
        second_half(form_of(model, settings), model, gen, first, None)
    return found[:half], found[half:], operations.seen


def _state(model: Dia2Model) -> GenerationState:
    data = model.config.data

    def whole(*shape: int) -> Tensor:
        return torch.empty(shape, dtype=torch.int64)

    return GenerationState(
        step_tokens=whole(2, data.channels, 1),
        audio_buf=whole(2, data.num_codebooks, SLOTS),
        decode=model.new_decode_state(branches=2, slots=SLOTS, positions=SLOTS, device=META),
        text=whole(2),
        step=whole(1),
        call=whole(1),
        uniforms=torch.empty(SLOTS, data.channels),
        delays=whole(data.num_codebooks),
        specials=torch.empty(data.audio_vocab_size, dtype=torch.bool),
    )


def _ids(config: DiaConfig) -> TokenIds:
    data = config.data
    return TokenIds(
        new_word=data.text_new_word_token_id,
        pad=data.text_pad_token_id,
        bos=1,
        zero=data.text_zero_token_id,
        spk1=5,
        spk2=6,
        action_new_word=data.action_new_word_token_id,
        action_pad=data.action_pad_token_id,
        audio_pad=data.audio_pad_token_id,
        audio_bos=data.audio_bos_token_id,
    )


@contextmanager
def _caught() -> Iterator[list[Launch]]:
    """A block in which launches are noted, not carried out."""
    from dia2.core.kernels import attention, draw, embedding, product

    found: list[Launch] = []

    def note(kernel: Any, _: Any, __: Any, *args: Any, warps: int = 4, **options: Any) -> None:
        arguments = tuple(_described(arg) for arg in args)
        found.append(Launch(kernel.__name__, arguments, warps, tuple(sorted(options.items()))))

    with ExitStack() as patches:
        for module in (attention, draw, embedding, product):
            patches.enter_context(patch.object(module, "launch", note))
        yield found


_POINTERS = {
    torch.float32: "*fp32", torch.bfloat16: "*bf16", torch.float16: "*fp16", torch.int8: "*i8", torch.int64: "*i64",
    torch.bool: "*i1",
}  # fmt: skip


def _described(value: Any) -> tuple[str, bool, Any]:
    """Triton's type of an argument, whether it is a multiple of 16, and its value if that is part of the code."""
    if value is None:
        return "constexpr", False, None
    if isinstance(value, Tensor):
        return _POINTERS[value.dtype], value.storage_offset() * value.element_size() % 16 == 0, None
    if isinstance(value, float):
        return "fp32", False, None
    if value == 1:
        return "constexpr", False, 1
    return "i32", value % 16 == 0, None


def compiled(launch: Launch, capability: int) -> dict[str, Any]:
    """What `launch` becomes for a GPU of that compute capability: no device is needed."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from dia2.core.kernels import attention_kernel, draw_kernel, embedding_kernel, product_kernel

    modules = (attention_kernel, draw_kernel, embedding_kernel, product_kernel)
    kernel = next(getattr(module, launch.kernel) for module in modules if hasattr(module, launch.kernel))
    options = dict(launch.options)
    fusion = options.pop("enable_fp_fusion", False)
    names = kernel.arg_names
    signature = {name: kind for name, (kind, _, _) in zip(names, launch.arguments, strict=False)}
    constants = {
        name: value for name, (kind, _, value) in zip(names, launch.arguments, strict=False) if kind == "constexpr"
    }
    attributes = {(i,): [["tt.divisibility", 16]] for i, (_, aligned, _) in enumerate(launch.arguments) if aligned}
    source = ASTSource(
        kernel, signature | dict.fromkeys(options, "constexpr"), constexprs=constants | options, attrs=attributes
    )
    target = GPUTarget("cuda", capability, 32)
    made = triton.compile(source, target=target, options={"num_warps": launch.warps, "enable_fp_fusion": fusion})
    tool = Path(triton.__file__).parent / "backends/nvidia/bin/cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        Path(file.name).write_bytes(made.asm["cubin"])
        told = subprocess.run([tool, "-res-usage", file.name], capture_output=True, text=True, check=True)
    used = dict(re.findall(r"(REG|STACK|LOCAL):(\d+)", told.stdout + told.stderr))
    loads = re.findall(r"ld\.global\S*", made.asm["ptx"])
    return {
        "kernel": launch.kernel,
        "registers": int(used["REG"]),
        "spilled": int(used["STACK"]) + int(used["LOCAL"]),
        "shared": made.metadata.shared,
        "loads": len(loads),
        "wide": sum(".v4" in load for load in loads),
    }


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
    from shapes import shape_config  # type: ignore[import-not-found]  # in benchmarks

    kinds: dict[Launch, None] = {}
    for packed in (False, True):
        first, second, _ = a_frame(shape_config("2b"), torch.bfloat16, int8=packed)
        kinds |= dict.fromkeys((*first, *second))
    for one in kinds:
        sys.stdout.write(json.dumps(compiled(one, int(sys.argv[1]))) + "\n")
        sys.stdout.flush()
