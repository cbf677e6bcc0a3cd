"""Torch as a run wants it, whatever the caller has made of it, and afterwards as the caller had it.

Every public way into torch goes through `isolated`. Gradients, inference mode, autocast, modes, the default device and
the number of threads belong to a thread and are put back when the block ends. The rest belongs to the process, see
`dia2.core.switches`; and so do the generators, which nobody here draws from, see `dia2.core.chance`.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

from dia2.core.switches import held

_SMALL_MODEL = 64 << 20  # bytes of weights; nano has a few, Dia2-1B gigabytes
_AUTOCAST = ("cpu", "cuda", "mps")  # the devices that a run may be on

_counts: dict[int, int] = {}  # by thread that computes with another number of threads now: the one it had


@contextmanager
def isolated(threads: int | None = None) -> Iterator[None]:
    """A block in which the caller's settings of torch count for nothing; they come back when it ends, however it ends.

    Inside: float32 and the CPU by default, no gradients, no inference mode (what it made could never be written to
    again), no autocast, no modes of torch functions or of dispatch, denormal numbers kept, float32 products of 24 bits,
    and all else that chooses a kernel as torch has it when it is new. Blocks may be nested, in several threads.

    Args:
        threads: of the CPU; `None`: as many as there are.
    """
    with held(), ExitStack() as stack:
        _take_off_modes(stack)
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.no_grad())
        for device in _AUTOCAST:
            if torch.is_autocast_enabled(device):
                torch.set_autocast_enabled(device, False)
                stack.callback(torch.set_autocast_enabled, device, True)
        if _denormals_are_flushed():
            torch.set_flush_denormal(False)
            stack.callback(torch.set_flush_denormal, True)
        if threads is not None:
            _take_threads(stack, threads)
        yield


def threads_for(model_bytes: int, device: torch.device) -> int | None:
    """How many CPU threads a model computes with from now on; `None`: it does not compute there.

    One for a small model: handing its tiny products to more costs far more than it saves. A larger one has as many as
    torch is set to when the model is loaded; to change them later would change how its sums are rounded.
    """
    if device.type != "cpu":
        return None
    if model_bytes <= _SMALL_MODEL:
        return 1
    # A thread that first uses torch while another runs a small model is born with that one's number.
    return max(torch.get_num_threads(), *_counts.values(), 1)


def _take_threads(stack: ExitStack, threads: int) -> None:
    """So many for this thread; the number of another that has used torch before does not change."""
    before = torch.get_num_threads()
    if before == threads:
        return
    me, outer = threading.get_ident(), _counts.get(threading.get_ident())
    _counts.setdefault(me, before)
    torch.set_num_threads(threads)

    def back() -> None:
        torch.set_num_threads(before)
        if outer is None:
            _counts.pop(me, None)

    stack.callback(back)


def _take_off_modes(stack: ExitStack) -> None:
    """No default device, no `with torch.device(…)`, and no other mode that sees what torch is asked for."""
    core: Any = torch._C  # none of this is public
    if core._len_torch_dispatch_stack():
        from torch.utils._python_dispatch import _disable_current_modes

        stack.enter_context(_disable_current_modes())
    state = core._get_torch_function_state()
    if state != core._TorchFunctionState.ENABLED:
        core._set_torch_function_state(core._TorchFunctionState.ENABLED)
        stack.callback(core._set_torch_function_state, state)
    for _ in range(core._len_torch_function_stack()):
        stack.callback(core._push_on_torch_function_stack, core._pop_torch_function_stack())
    default: Any = torch._GLOBAL_DEVICE_CONTEXT  # of this thread, which `torch.get_default_device` also asks
    device = getattr(default, "device_context", None)
    if device is not None:
        default.device_context = None
        stack.callback(setattr, default, "device_context", device)


def _denormals_are_flushed(smallest: float = sys.float_info.min) -> bool:
    """Whether this thread's processor takes the smallest numbers for zero, as `torch.set_flush_denormal` lets it."""
    return smallest / 2 == 0.0
