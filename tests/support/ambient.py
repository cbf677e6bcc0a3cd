"""What a caller may have made of torch, of the processor and of the generators of chance; and looking at all of it."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

BACKENDS: Any = torch.backends  # its attributes have no types


@contextmanager
def changed(read: Callable[[], Any], write: Callable[[Any], object], value: object) -> Iterator[None]:
    before = read()
    write(value)
    try:
        yield
    finally:
        write(before)


def attribute(owner: Any, name: str, value: object) -> AbstractContextManager[None]:
    return changed(lambda: getattr(owner, name), lambda new: setattr(owner, name, new), value)


def default_dtype(dtype: torch.dtype) -> AbstractContextManager[None]:
    return changed(torch.get_default_dtype, torch.set_default_dtype, dtype)


def deterministic(warn_only: bool) -> AbstractContextManager[None]:
    def write(value: tuple[bool, bool]) -> None:
        torch.use_deterministic_algorithms(value[0], warn_only=value[1])

    return changed(_deterministic, write, (True, warn_only))


def _deterministic() -> tuple[bool, bool]:
    return torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()


@contextmanager
def default_device() -> Iterator[None]:
    torch.set_default_device("meta")
    try:
        yield
    finally:
        torch.set_default_device(None)


@contextmanager
def flushed() -> Iterator[None]:
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


@contextmanager
def precise(word: str) -> Iterator[None]:
    """The older switch, which sets two of the newer ones."""
    kinds = BACKENDS.cuda.matmul, BACKENDS.mkldnn.matmul
    before, words = torch.get_float32_matmul_precision(), [kind.fp32_precision for kind in kinds]
    torch.set_float32_matmul_precision(word)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
        for kind, old in zip(kinds, words, strict=True):
            kind.fp32_precision = old


class FunctionAlarm(TorchFunctionMode):
    """Lets nobody ask torch for anything."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise AssertionError(f"{func} is seen by the caller's mode")


class DispatchAlarm(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's base class has no types
    """Lets no operation run."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise AssertionError(f"{func} is seen by the caller's mode")


State = Callable[[], AbstractContextManager[Any]]
STATES: dict[str, State] = {
    "autocast": partial(torch.autocast, "cpu", dtype=torch.bfloat16),
    "autocast float16": partial(torch.autocast, "cpu", dtype=torch.float16),
    "float16": partial(default_dtype, torch.float16),
    "bfloat16": partial(default_dtype, torch.bfloat16),
    "float64": partial(default_dtype, torch.float64),
    "default device": default_device,
    "with a device": partial(torch.device, "meta"),
    "inference mode": torch.inference_mode,
    "no_grad": torch.no_grad,
    "enable_grad": torch.enable_grad,
    "deterministic": partial(deterministic, warn_only=False),
    "deterministic, warning": partial(deterministic, warn_only=True),
    "threads": partial(changed, torch.get_num_threads, torch.set_num_threads, 2),
    "medium": partial(precise, "medium"),
    "high": partial(precise, "high"),
    "tf32 for all": partial(attribute, BACKENDS, "fp32_precision", "tf32"),
    "bf16 convolutions": partial(attribute, BACKENDS.mkldnn.conv, "fp32_precision", "bf16"),
    "no oneDNN": partial(attribute, BACKENDS.mkldnn, "enabled", False),
    "deterministic oneDNN": partial(attribute, BACKENDS.mkldnn, "deterministic", True),
    "cudnn benchmark": partial(attribute, BACKENDS.cudnn, "benchmark", True),
    "cudnn deterministic": partial(attribute, BACKENDS.cudnn, "deterministic", True),
    "no cudnn": partial(attribute, BACKENDS.cudnn, "enabled", False),
    "exact bf16 sums": partial(attribute, BACKENDS.cuda.matmul, "allow_bf16_reduced_precision_reduction", False),
    "exact fp16 sums": partial(attribute, BACKENDS.cuda.matmul, "allow_fp16_reduced_precision_reduction", False),
    "fp16 accumulation": partial(attribute, BACKENDS.cuda.matmul, "allow_fp16_accumulation", True),
    "attention by parts": partial(sdpa_kernel, SDPBackend.MATH),
    "attention in one": partial(sdpa_kernel, [SDPBackend.FLASH_ATTENTION, SDPBackend.CUDNN_ATTENTION]),
    "denormals": flushed,
    "function mode": FunctionAlarm,
    "dispatch mode": DispatchAlarm,
    "functions off": torch._C.DisableTorchFunction,
}
# All that go together; those under which the settings could not be looked at come apart.
TOGETHER = (
    "float16",
    "default device",
    "autocast",
    "deterministic",
    "threads",
    "medium",
    "bf16 convolutions",
    "no oneDNN",
    "attention by parts",
    "denormals",
    "inference mode",
)


@contextmanager
def ambient(*names: str) -> Iterator[None]:
    """A block in which torch is so."""
    with ExitStack() as stack:
        for name in names:
            stack.enter_context(STATES[name]())
        yield


def settings() -> dict[str, object]:
    """All that the caller may have set, as it is in this thread."""
    core: Any = torch._C
    kinds = {
        "all": BACKENDS,
        "cuda": BACKENDS.cudnn,
        "cuda matmul": BACKENDS.cuda.matmul,
        "cuda conv": BACKENDS.cudnn.conv,
        "cuda rnn": BACKENDS.cudnn.rnn,
        "cpu": BACKENDS.mkldnn,
        "cpu matmul": BACKENDS.mkldnn.matmul,
        "cpu conv": BACKENDS.mkldnn.conv,
    }
    smallest = sys.float_info.min
    return {
        "dtype": torch.get_default_dtype(),
        "modes": [core._get_function_stack_at(i) for i in range(core._len_torch_function_stack())],
        "operations": [core._get_dispatch_stack_at(i) for i in range(core._len_torch_dispatch_stack())],
        "functions": core._get_torch_function_state(),
        "device": getattr(torch._GLOBAL_DEVICE_CONTEXT, "device_context", None),
        "autocast": [torch.is_autocast_enabled(name) for name in ("cpu", "cuda", "mps")],
        "grad": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        "deterministic": _deterministic(),
        "threads": torch.get_num_threads(),
        "precision": _or_error(torch.get_float32_matmul_precision),
        "tf32": [_or_error(partial(getattr, part, "allow_tf32")) for part in (BACKENDS.cuda.matmul, BACKENDS.cudnn)],
        "words": {name: kind.fp32_precision for name, kind in kinds.items()},
        "oneDNN": (BACKENDS.mkldnn.enabled, BACKENDS.mkldnn.deterministic),
        "cudnn": (BACKENDS.cudnn.enabled, BACKENDS.cudnn.benchmark, BACKENDS.cudnn.deterministic),
        "sums": (
            BACKENDS.cuda.matmul.allow_bf16_reduced_precision_reduction,
            BACKENDS.cuda.matmul.allow_fp16_reduced_precision_reduction,
            BACKENDS.cuda.matmul.allow_fp16_accumulation,
        ),
        "attention": (
            BACKENDS.cuda.flash_sdp_enabled(),
            BACKENDS.cuda.mem_efficient_sdp_enabled(),
            BACKENDS.cuda.math_sdp_enabled(),
            BACKENDS.cuda.cudnn_sdp_enabled(),
        ),
        "denormals": smallest / 2 == 0.0,
    }


def _or_error(read: Callable[[], object]) -> object:
    try:
        return read()
    except RuntimeError:  # the older and the newer switches were set apart
        return "apart"


def chance() -> dict[str, object]:
    """Where the process's generators stand."""
    with torch._C.DisableTorchFunction():
        state: Tensor = torch.default_generator.get_state()
        return {
            "torch": bytes(state.tolist()),
            "numpy": str(np.random.get_state(legacy=False)),
            "python": random.getstate(),
        }
