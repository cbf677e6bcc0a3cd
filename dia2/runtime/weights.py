"""Safetensors into the model: every name and shape checked, each tensor straight into its dtype and device."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from dia2.config import DiaConfig
from dia2.core.model import Dia2Model
from dia2.errors import CheckpointError, one_line
from dia2.runtime.stored import FLOATS, StoredTensors


class NoInit(TorchFunctionMode):
    """Skips the initialisation of weights, which are loaded anyway: on the meta device it imports sympy, 2 s."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__module__", None) == "torch.nn.init":
            return args[0] if args else kwargs["tensor"]
        return func(*args, **(kwargs or {}))


def load_model(
    config: DiaConfig, path: str | Path, *, device: torch.device, dtype: torch.dtype, strict: bool = False
) -> Dia2Model:
    """Build the model and fill it from `path`, holding little more than the weights themselves.

    Args:
        config: says which tensors there must be.
        path: a safetensors file.
        device: where the weights go.
        dtype: of all weights but the float32 heads.
        strict: refuse tensors that the model does not know, instead of warning.

    Raises:
        CheckpointError: the file is damaged; tensors are missing, of a wrong shape, or (`strict`) unknown.
    """
    try:
        with torch.device("meta"), NoInit():
            model = Dia2Model(config, dtype)
    except RuntimeError as error:  # a product of sizes overflows
        raise CheckpointError(
            f"No model can have the sizes of the config ({one_line(error)}): check config.json."
        ) from error
    with StoredTensors(path) as stored:
        _check_header(model.state_dict(), stored, strict)
        allocate(model, device)
        targets = model.state_dict()  # views of the parameters
        for name in stored.in_file_order(targets):
            stored.copy(name, targets[name])
    return model.eval()


def allocate(model: nn.Module, device: torch.device) -> None:
    """Give every parameter memory on `device`; what `Module.to_empty` does, but for its import of 50 MB of sympy."""
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            empty = torch.empty(parameter.shape, dtype=parameter.dtype, device=device)
            setattr(module, name, nn.Parameter(empty, requires_grad=False))


def _check_header(wanted: dict[str, Tensor], file: StoredTensors, strict: bool) -> None:
    stored, path = file.entries, file.path
    if missing := sorted(wanted.keys() - stored.keys()):
        raise CheckpointError(f"{path} lacks {names_of(missing)}: is it the checkpoint of this config?")
    for name, target in wanted.items():
        shape, dtype = stored[name].shape, stored[name].dtype
        if shape != tuple(target.shape):
            raise CheckpointError(
                f"Tensor {name} of {path} has shape {list(shape)}, the config asks for {list(target.shape)}."
            )
        if dtype not in FLOATS:
            raise CheckpointError(f"Tensor {name} of {path} holds {dtype}, not floats: is it a quantised checkpoint?")
    if unknown := sorted(stored.keys() - wanted.keys()):
        message = f"{path} has {names_of(unknown)} that the model does not know"
        if strict:
            raise CheckpointError(f"{message}: leave out --strict to ignore them.")
        warnings.warn(f"{message}; ignored.", stacklevel=3)


def names_of(names: list[str]) -> str:
    """`tensor a`, or `3 tensors (a, b, …)`."""
    if len(names) == 1:
        return f"tensor {names[0]!r}"
    shown = ", ".join(repr(name) for name in names[:5])
    return f"{len(names)} tensors ({shown}{', …' if len(names) > 5 else ''})"


def weight_bytes(model: nn.Module) -> int:
    """Bytes of all parameters."""
    return sum(math.prod(p.shape) * p.element_size() for p in model.parameters())
