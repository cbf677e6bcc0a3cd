"""The kernels that a packed model's products take on this machine: chosen once, and remembered."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import platform
from contextlib import suppress
from pathlib import Path

import torch

from dia2.common.errors import UsageError
from dia2.common.kept import keep, kept
from dia2.core.model import Dia2Model
from dia2.core.products import Kernels, choose, said, take, uses
from dia2.core.quantize import Kernel, packed_linears

logger = logging.getLogger("dia2")

FORCED = "DIA2_INT8_PRODUCTS"  # an environment variable: the kernel of all products, in place of a race
_FILE, _REMEMBERED = "products.json", 200  # choices: of models, precisions and machines that share a home folder


def suit(model: Dia2Model) -> str:
    """Let a packed `model` take kernels that suit its device; returns which, as `dia2.core.products.said` has it.

    They are chosen for the number of threads that torch is set to now.

    Raises:
        UsageError: the environment asks for a kernel that there is none of.
    """
    where, forced = machine(next(model.parameters()).device), _forced()
    chosen = dict.fromkeys(uses(model), forced) if forced else _remembered(model, where)
    products = said(take(model, chosen))
    told = "; not quantised in memory: unpacked weights are faster here" if unpacked(products) else ""
    logger.info("int8 products on %s: %s%s", where, products, told)
    return products


def machine(device: torch.device) -> str:
    """What a kernel's speed depends on, but for the product itself."""
    if device.type != "cpu":
        name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
        return f"{name}, torch {torch.__version__}"
    threads, capability = torch.get_num_threads(), torch.backends.cpu.get_cpu_capability()
    return f"{_processor()} ({capability}, {threads} threads), torch {torch.__version__}"


def unpacked(products: str | None) -> bool:
    """Whether, by what `suit` returned, the weights are floats in memory after all."""
    return products == Kernel.UNPACKED


def _forced() -> Kernel | None:
    word = os.environ.get(FORCED, "")
    if word and word not in list(Kernel):
        raise UsageError(
            f"The environment variable {FORCED} is {word!r}: make it one of {', '.join(Kernel)}, or unset it."
        )
    return Kernel(word) if word else None


def _remembered(model: Dia2Model, where: str) -> Kernels:
    """Kernels for the shapes of `model`: as they were chosen on this machine before, or chosen now."""
    counts = sorted((f"{outputs}x{inputs}", count) for (outputs, inputs), count in uses(model).items())
    digest = hashlib.sha256(json.dumps(counts).encode()).hexdigest()[:16]
    key = f"{where}|{str(model.dtype).removeprefix('torch.')}|{digest}"
    shapes = {linear.shape for linear in packed_linears(model)}
    known = _read(kept(_FILE).get(key))
    if known is not None and known.keys() == shapes:
        return known
    logger.info("timing int8 products, once on this machine")
    chosen = choose(model)  # where it cannot be kept, the next load holds another race, and may choose otherwise
    keep(_FILE, key, {f"{outputs}x{inputs}": str(kernel) for (outputs, inputs), kernel in chosen.items()}, _REMEMBERED)
    return chosen


def _read(choice: object) -> Kernels | None:
    """Kernels as the file has them; nothing, where that is something else."""
    if not isinstance(choice, dict):
        return None
    try:
        sizes = {tuple(int(size) for size in name.split("x")): Kernel(word) for name, word in choice.items()}
    except ValueError:
        return None
    return {(size[0], size[1]): kernel for size, kernel in sizes.items() if len(size) == 2}


def _processor() -> str:
    """The processor's name, as its maker gives it; the architecture where the system does not tell."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine() or "unknown processor"
