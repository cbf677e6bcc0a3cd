"""A model without memory, filled from a safetensors file: names and shapes checked, each tensor straight in place."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from dia2.common.checks import short
from dia2.common.errors import CheckpointError, one_line
from dia2.common.messages import warn
from dia2.common.tensor_file import FLOATS, Entry, StoredTensors
from dia2.common.wording import counted

Model = TypeVar("Model", bound=nn.Module)


class NoInit(TorchFunctionMode):
    """Skips the initialisation of weights, which are loaded anyway: on the meta device it imports sympy, 2 s."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__module__", None) == "torch.nn.init":
            return args[0] if args else kwargs["tensor"]
        return func(*args, **(kwargs or {}))


def without_memory(build: Callable[[], Model]) -> Model:
    """A model whose parameters have shapes and dtypes only.

    Raises:
        CheckpointError: its sizes are too large even for that.
    """
    try:
        with torch.device("meta"), NoInit():
            return build()
    except RuntimeError as error:  # a product of sizes overflows
        raise CheckpointError(
            f"No model can have the sizes of the config ({one_line(error)}): check config.json."
        ) from error


def fill(
    model: Model,
    path: str | Path,
    *,
    device: torch.device,
    strict: bool = False,
    config: str = "this config",
    parts: Sequence[str | Path] = (),
    layout: Callable[[Collection[str]], Callable[[Model], Mapping[str, Tensor]]] | None = None,
) -> None:
    """Fill a model that has no memory from safetensors files, holding little more than the weights themselves.

    Args:
        model: of `without_memory`.
        path: of the file, or of what names several.
        device: where the weights go.
        strict: refuse tensors that the model does not know, instead of warning.
        config: what errors call the config.
        parts: the files, where there are several.
        layout: by the names that are stored, what gives the tensors that there must be, as views of the parameters;
            `None`: the model's state dict.

    Raises:
        CheckpointError: a file is damaged; tensors are missing, of a wrong shape, stored twice, or (`strict`) unknown.
    """
    with ExitStack() as stack:
        files = [stack.enter_context(StoredTensors(part)) for part in parts or [path]]
        found = {name: Found.of(entry) for file in files for name, entry in file.entries.items()}
        if len(found) < sum(len(file.entries) for file in files):
            raise CheckpointError(f"Two files of {path} hold tensors of the same name: download the checkpoint again.")
        views = nn.Module.state_dict if layout is None else layout(found)
        check_tensors(views(model), found, Path(path), strict=strict, config=config)
        allocate(model, device)
        targets = views(model)
        for file in files:
            for name in file.in_file_order(targets.keys() & file.entries.keys()):
                file.copy(name, targets[name])


def allocate(model: nn.Module, device: torch.device) -> None:
    """Give every parameter memory on `device`; what `Module.to_empty` does, but for its import of 50 MB of sympy."""
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            empty = torch.empty(parameter.shape, dtype=parameter.dtype, device=device)
            setattr(module, name, nn.Parameter(empty, requires_grad=False))


class Found(NamedTuple):
    """What a checkpoint says of one tensor."""

    shape: tuple[int, ...]
    dtype: str  # as the file calls it
    floats: bool  # it can be loaded

    @classmethod
    def of(cls, entry: Entry) -> Found:
        """Of a tensor in a safetensors file."""
        return cls(entry.shape, entry.dtype, entry.dtype in FLOATS)


def check_tensors(
    wanted: Mapping[str, Tensor], found: Mapping[str, Found], path: Path, *, strict: bool, config: str = "this config"
) -> None:
    """Refuse a checkpoint that does not hold the tensors of a model; warn of others, or with `strict` refuse them.

    Args:
        wanted: the tensors that there must be, by name.
        found: those that there are.
        path: of the checkpoint.
        strict: refuse tensors that nobody wants.
        config: what errors call the config.

    Raises:
        CheckpointError: tensors are missing, of a wrong shape, no floats, or (`strict`) unknown.
    """
    if missing := sorted(wanted.keys() - found.keys()):
        raise CheckpointError(f"{path} lacks {_names(missing)}: is it the checkpoint of {config}?")
    for name, target in wanted.items():
        shape, dtype, floats = found[name]
        if shape != tuple(target.shape):
            raise CheckpointError(
                f"Tensor {name} of {path} has shape {short(list(shape))}, the config asks for {list(target.shape)}."
            )
        if not floats:
            raise CheckpointError(f"Tensor {name} of {path} holds {dtype}, not floats: is it a quantised checkpoint?")
    if unknown := sorted(found.keys() - wanted.keys()):
        message = f"{path} has {_names(unknown)} that the model does not know"
        if strict:
            raise CheckpointError(f"{message}: leave out --strict to ignore them.")
        warn(f"{message}; ignored.", stacklevel=3)


def _names(names: list[str]) -> str:
    """`tensor a`, or `3 tensors (a, b, …)`."""
    if len(names) == 1:
        return f"tensor {short(names[0])}"
    shown = ", ".join(short(name) for name in names[:5])
    return f"{counted(len(names), 'tensor')} ({shown}{', …' if len(names) > 5 else ''})"
