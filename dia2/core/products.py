"""Which kernel multiplies by packed weights: what this device does fastest with a matrix of such a shape, by a race.

A frame's product has one or two rows. What is fast then depends on the machine: torch's own product with int8 weights
is quick for bfloat16 where there is AVX2, a dozen times slower than that for float32, and missing on some devices.
Frames that are compiled do not ask: `dia2.core.linear` turns their products into loops.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from dia2.core.model import Dia2Model
from dia2.core.quantize import Int8Linear, Kernel, Shape, packed_linears

Kernels = dict[Shape, Kernel]

ROWS = 2  # of a race: a guided frame's
TOLERANCE = 1.05  # what packed products may take of the time of unpacked ones
_LEAD = 0.9  # of the usual kernel's time that another one has to stay below: chance must not choose between equals
_TURNS = 7
_CALLS = 20  # timed together where a call only hands over work
_CACHE = 64 << 20  # bytes that push a matrix out of a processor's caches, as the rest of a large model does
_APART = {torch.float32: 1e-4, torch.bfloat16: 3e-2}  # of the largest value: how far kernels lie from one another


def usual(dtype: torch.dtype, device: torch.device) -> Kernel:
    """The packed kernel for rows of `dtype`, where nothing was measured."""
    return Kernel.BLOCKS if device.type == "cpu" and dtype == torch.float32 else Kernel.PACKED


def race(linear: Int8Linear, dtype: torch.dtype, *, cold: bool) -> dict[Kernel, float]:
    """Shortest seconds of a product by each kernel that this device has, one after the other in several turns.

    Args:
        linear: whose matrix is multiplied by; still packed.
        dtype: of the rows.
        cold: push the matrix out of the processor's caches before each product.
    """
    device, inputs = linear.weight.device, linear.shape[1]
    x = torch.linspace(-1, 1, ROWS * inputs, device=device).view(ROWS, inputs).to(dtype)
    loose = _unpacked(linear, dtype)
    entrants, wanted = {Kernel.UNPACKED: loose}, loose.times(x, Kernel.UNPACKED)
    for kernel in linear.kernels:
        if _works(linear, kernel, x, wanted):
            entrants[kernel] = linear
    on_cpu = device.type == "cpu"
    calls, module = 1 if on_cpu else _CALLS, torch.get_device_module(device)
    ground = torch.ones(_CACHE // 4) if cold and on_cpu else None
    best = dict.fromkeys(entrants, float("inf"))
    for _ in range(_TURNS):
        for kernel, entrant in entrants.items():
            if ground is not None:
                ground.sum()
            module.synchronize()
            began = time.perf_counter()
            for _ in range(calls):
                entrant.times(x, kernel)
            module.synchronize()
            best[kernel] = min(best[kernel], (time.perf_counter() - began) / calls)
    return best


def settled(races: Mapping[Shape, Mapping[Kernel, float]], uses: Mapping[Shape, int], usual: Kernel) -> Kernels:
    """A kernel for each shape: packed ones, unless a frame's products take longer by them than with unpacked weights.

    Args:
        races: seconds of each kernel, by shape.
        uses: how many products a frame has, by shape.
        usual: the packed kernel to take where none is clearly faster.
    """
    chosen = {shape: _best(times, usual) for shape, times in races.items()}
    packed, loose = (
        sum(uses[shape] * times[kernel or chosen[shape]] for shape, times in races.items())
        for kernel in (None, Kernel.UNPACKED)
    )
    return chosen if packed <= TOLERANCE * loose else dict.fromkeys(races, Kernel.UNPACKED)


def _best(times: Mapping[Kernel, float], usual: Kernel) -> Kernel:
    packed = [kernel for kernel in times if kernel is not Kernel.UNPACKED]
    best = min(packed, key=times.__getitem__, default=Kernel.UNPACKED)
    return usual if usual in packed and times[best] > _LEAD * times[usual] else best


def choose(model: Dia2Model) -> Kernels:
    """A kernel for every shape of packed matrix in `model`, by a race of each."""
    counts = uses(model)
    cold = sum(linear.weight.numel() for linear in packed_linears(model)) > _CACHE
    races: dict[Shape, dict[Kernel, float]] = {}
    for linear in packed_linears(model):
        if linear.shape not in races:
            races[linear.shape] = race(linear, model.dtype, cold=cold)
    return settled(races, counts, usual(model.dtype, next(model.parameters()).device))


def uses(model: Dia2Model) -> Counter[Shape]:
    """How many products a frame has by packed matrices of each shape."""
    parts: list[nn.Module] = [model.transformer]
    depformer: Any = model.depformer  # whose lists of modules have no types
    if depformer.text_embed is not None:
        parts.append(depformer.text_embed)
    parts += [depformer.depformer_in[weights] for weights in set(depformer.schedule)]  # once for all stages of a set
    for weights in depformer.schedule:
        for layer in depformer.layers:
            attention = layer.self_attention
            parts += (attention.in_proj[weights], attention.out_proj[weights], layer.mlp)
    return Counter(linear.shape for part in parts for linear in packed_linears(part))


def take(model: Dia2Model, chosen: Mapping[Shape, Kernel]) -> Kernels:
    """Let every packed matrix of `model` be multiplied by the kernel `chosen` for its shape; returns what they took."""
    for linear in packed_linears(model):
        linear.take(chosen[linear.shape], model.dtype)
    return {linear.shape: linear.kernel for linear in packed_linears(model)}


def said(chosen: Mapping[Shape, Kernel]) -> str:
    """What was chosen, in a line: `packed`, or which shapes (outputs × inputs) each kernel has."""
    counts = Counter(chosen.values())
    if len(counts) == 1:
        return str(next(iter(counts)))
    shapes = {
        kernel: ", ".join(
            f"{outputs}×{inputs}" for (outputs, inputs), taken in sorted(chosen.items()) if taken is kernel
        )
        for kernel in sorted(counts)
    }
    return "; ".join(f"{kernel} {names}" for kernel, names in shapes.items())


def _unpacked(linear: Int8Linear, dtype: torch.dtype) -> Int8Linear:
    """A second one with the same numbers, unpacked."""
    twin = deepcopy(linear)
    twin.take(Kernel.UNPACKED, dtype)
    return twin


def _works(linear: Int8Linear, kernel: Kernel, x: Tensor, wanted: Tensor) -> bool:
    """Whether this device has the kernel, and it computes what is `wanted` of `x`."""
    try:
        found = linear.times(x, kernel)
    except (NotImplementedError, RuntimeError):  # torch knows no such kernel for this device or dtype
        return False
    return bool((found - wanted).abs().max() <= _APART[x.dtype] * wanted.abs().max())
