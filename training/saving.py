"""The state of a training run on disk: replaced as a whole, and never twice in memory."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dia2.common.errors import Dia2Error, one_line
from dia2.common.files import remove_leftovers, replacing
from dia2.common.memory import in_words

_SECONDS = 30.0  # between two saves at least
_SHARE = 0.02  # of the time that saves may take


class State:
    """`state.pt` of a run: parameters, the optimiser's averages, and whatever else the loop wants to find again."""

    def __init__(self, folder: Path, module: nn.Module) -> None:
        """Remove what a save that was killed has left.

        Args:
            folder: of the run, in which nobody else writes.
            module: whose parameters and buffers are kept.
        """
        self.path = folder / "state.pt"
        self._module = module
        self._saved, self._cost = time.monotonic(), 0.0
        remove_leftovers(folder)

    def due(self) -> bool:
        """Whether a save now would take a fiftieth of the time since the last one, or less."""
        return time.monotonic() - self._saved > max(_SECONDS, self._cost / _SHARE)

    def restore(self, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
        """Take up what is there; empty where nothing is.

        Raises:
            Dia2Error: it is the state of something else, or damaged.
        """
        if not self.path.exists():
            return {}
        try:
            found = torch.load(self.path, map_location="cpu", weights_only=True, mmap=True)
            targets, stored = self._module.state_dict(), found.pop("model")
            if odd := sorted(targets.keys() ^ stored.keys()):
                raise KeyError(f"{odd[0]} is on one side only")
            for name, target in targets.items():
                if target.shape != stored[name].shape:
                    raise ValueError(f"{name} has shape {list(stored[name].shape)}")
            with torch.no_grad():
                for name, target in targets.items():
                    target.copy_(stored[name])
            optimizer.load_state_dict(found.pop("optimizer"))
            for values in optimizer.state.values():  # out of the file, which will be replaced
                values.update({name: v.clone() for name, v in values.items() if isinstance(v, Tensor) and v.is_cpu})
            int(found["step"])
        except Exception as error:  # whatever a damaged file makes of torch's readers
            raise Dia2Error(
                f"{self.path} is not the state of such a run ({one_line(error)}): remove it, or name another folder."
            ) from error
        return dict(found)

    def save(self, optimizer: torch.optim.Optimizer, facts: Mapping[str, Any]) -> None:
        """Write it, tensor by tensor, beside the one before and then in its place.

        Raises:
            Dia2Error: the disk has no room for it; the one before is as it was.
        """
        content = {"model": self._module.state_dict(), "optimizer": optimizer.state_dict(), **facts}
        begin = time.monotonic()
        storages = {storage.data_ptr(): storage.nbytes() for storage in map(Tensor.untyped_storage, _tensors(content))}
        size = sum(storages.values())
        try:
            if (free := shutil.disk_usage(self.path.parent).free) < size:
                raise OSError(f"it takes {in_words(size)}, and {in_words(free)} are free")
            with replacing(self.path) as temporary, temporary.open("xb") as file:
                torch.save(content, file)
                file.flush()
                os.fsync(file.fileno())
        except (OSError, RuntimeError) as error:  # torch's writer has its own for a full disk
            raise Dia2Error(
                f"{self.path} could not be written ({one_line(error)}): free some space; "
                + ("the state before is kept." if self.path.exists() else "nothing is kept yet.")
            ) from error
        finally:
            self._saved = time.monotonic()
            self._cost = self._saved - begin

    def try_to_save(self, optimizer: torch.optim.Optimizer, facts: Mapping[str, Any]) -> None:
        """The same while training goes on: a full disk is told, and tried again later."""
        try:
            self.save(optimizer, facts)
        except Dia2Error as error:
            print(f"warning: {error} Training goes on.", file=sys.stderr, flush=True)


def state_bytes(trained: int) -> int:
    """Of the state of so many trained float32 parameters: they, and AdamW's two averages."""
    return 12 * trained


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _tensors(part)
