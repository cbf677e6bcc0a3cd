"""Where a training step is computed: in this process alone, or in several that `accelerate launch` has started."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from dia2.common.errors import Dia2Error, UsageError


class Processes(Protocol):
    """What the loop needs to know of them."""

    count: int
    rank: int  # 0 … count - 1; the first writes and speaks
    forward: Callable[..., Any]  # of the module that `prepare` was given

    def prepare(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
        """Let gradients be those of all processes."""

    def computing(self) -> AbstractContextManager[Any]:
        """In the precision of training."""

    def separate(self) -> AbstractContextManager[Any]:
        """Gradients are not exchanged: more of the same step will follow."""

    def backward(self, loss: Tensor) -> None:
        """Add to the gradients."""

    def mean(self, figures: Mapping[str, float]) -> dict[str, float]:
        """The same figures of all processes, in the mean."""


class Alone:
    """One process, without anything around it."""

    count, rank = 1, 0

    def __init__(self, device: torch.device | None = None, precision: str = "float32") -> None:
        """`precision`: float32, or bfloat16 for products by autocast, with weights and averages in float32."""
        self._autocast = (str((device or torch.device("cpu")).type), precision == "bfloat16")
        self.forward: Callable[..., Any] = _unprepared

    def prepare(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
        """See `Processes`."""
        self.forward = model
        return optimizer

    def computing(self) -> AbstractContextManager[Any]:
        """See `Processes`."""
        device, low = self._autocast
        return torch.autocast(device, torch.bfloat16) if low else nullcontext()

    def separate(self) -> AbstractContextManager[Any]:
        """See `Processes`."""
        return nullcontext()

    def backward(self, loss: Tensor) -> None:
        """See `Processes`."""
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped

    def mean(self, figures: Mapping[str, float]) -> dict[str, float]:
        """See `Processes`."""
        return dict(figures)


class Launched:
    """One of the processes of `accelerate launch`, whose configuration says how weights and gradients are shared."""

    def __init__(self, device: torch.device, precision: str = "float32") -> None:
        """Join the others; `precision` as in `Alone`.

        Raises:
            Dia2Error: accelerate is not installed.
            UsageError: it is configured to shard the network.
        """
        try:
            from accelerate import Accelerator
        except ImportError as error:
            raise Dia2Error("Several processes need accelerate: pip install accelerate.") from error
        mixed = "bf16" if precision == "bfloat16" else "no"
        self._accelerator = Accelerator(cpu=device.type == "cpu", mixed_precision=mixed)
        kind = self._accelerator.distributed_type.name
        if kind != "NO" and not kind.startswith("MULTI_"):  # FSDP and the like leave no process with all of it
            raise UsageError(
                f"accelerate is configured for {kind}, which shards the network, and that cannot be saved here: "
                "choose plain MULTI_GPU in accelerate config, and --lora or --checkpoint-activations for memory."
            )
        self.count, self.rank = self._accelerator.num_processes, self._accelerator.process_index
        self.forward: Callable[..., Any] = _unprepared

    @contextmanager
    def first_alone(self) -> Iterator[None]:
        """A block that the first process goes through before the others."""
        with self._accelerator.main_process_first():
            yield

    @property
    def device(self) -> torch.device:
        """Of this process."""
        found: torch.device = self._accelerator.device
        return found

    def prepare(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
        """See `Processes`."""
        self.forward, prepared = self._accelerator.prepare(model, optimizer)
        found: torch.optim.Optimizer = prepared
        return found

    def computing(self) -> AbstractContextManager[Any]:
        """See `Processes`."""
        context: AbstractContextManager[Any] = self._accelerator.autocast()
        return context

    def separate(self) -> AbstractContextManager[Any]:
        """See `Processes`."""
        context: AbstractContextManager[Any] = self._accelerator.no_sync(self.forward)
        return context

    def backward(self, loss: Tensor) -> None:
        """See `Processes`."""
        self._accelerator.backward(loss)

    def mean(self, figures: Mapping[str, float]) -> dict[str, float]:
        """See `Processes`."""
        values = torch.tensor(list(figures.values()), device=self.device)
        means = self._accelerator.reduce(values, "mean").tolist()
        return dict(zip(figures, means, strict=True))


def launched() -> bool:
    """Whether `accelerate launch` (or torchrun) has started several of us."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def _unprepared(*_: Any) -> Any:
    raise RuntimeError("prepare() gives what computes")
