"""A sparse autoencoder: an activation as a sum of few of many features. Trained by `training/sae.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from dia2.common.brief import brief_repr
from dia2.common.checks import TooLargeError, check_header, counted_from_0, short
from dia2.common.errors import UsageError, one_line
from dia2.common.files import check_writable, write_atomically
from dia2.common.rust import RustPanicError, calling_rust
from dia2.runtime.vectors import Vector

_TENSORS = ("W_enc", "b_enc", "W_dec", "b_dec")  # SAELens' names
_ROWS = 4096  # activations at a time


@dataclass(frozen=True)
class Sae:
    """A TopK autoencoder of F features: only the k largest of each activation stay, and none below zero.

    Tensors have the names and shapes of SAELens, so that its files load: those in which `apply_b_dec_to_input` is true
    and activations are not scaled.
    """

    __repr__ = brief_repr

    W_enc: Tensor  # [width, F] float32
    b_enc: Tensor  # [F]
    W_dec: Tensor  # [F, width]: the direction of each feature, of length 1
    b_dec: Tensor  # [width]
    k: int
    point: str = ""  # what it was trained on
    checkpoint: str = ""  # whose activations

    def encode(self, values: np.ndarray | Tensor) -> np.ndarray:
        """Features [n, F] float32 of activations [n, width].

        Raises:
            UsageError: they have another width.
        """
        x = self._checked(values)
        found = np.zeros((len(x), self.W_enc.shape[1]), dtype=np.float32)
        for first in range(0, len(x), _ROWS):
            found[first : first + _ROWS] = self.features(x[first : first + _ROWS]).numpy()
        return found

    def features(self, x: Tensor) -> Tensor:
        """Of tensors [n, width] at once, with gradients: [n, F]."""
        before = (x - self.b_dec) @ self.W_enc + self.b_enc
        best = before.topk(self.k, dim=-1)
        return torch.zeros_like(before).scatter(-1, best.indices, best.values.relu())

    def decode(self, features: np.ndarray | Tensor) -> np.ndarray:
        """Activations [n, width] float32 of features [n, F]."""
        given = torch.as_tensor(features, dtype=torch.float32)
        found: np.ndarray = (given @ self.W_dec + self.b_dec).detach().numpy()
        return found

    def unexplained(self, values: np.ndarray | Tensor) -> float:
        """The share of the variance of activations [n, width] that decoding their features does not give back."""
        x = self._checked(values)
        left = x - torch.from_numpy(self.decode(self.encode(x)))
        return float(left.square().sum() / (x - x.mean(dim=0)).square().sum())

    def direction(self, feature: int) -> Vector:
        """A feature's direction, for `Steer` and `Clamp`.

        Raises:
            UsageError: there is no such feature.
        """
        number, count = counted_from_0(feature, "feature"), len(self.W_dec)
        if not 0 <= number < count:
            raise UsageError(f"There is no feature {number}: this autoencoder has features 0 … {count - 1}.")
        return Vector(self.W_dec[number])

    def _checked(self, values: np.ndarray | Tensor) -> Tensor:
        x = torch.as_tensor(values, dtype=torch.float32)
        if x.dim() != 2 or x.shape[1] != len(self.b_dec):
            raise UsageError(f"This autoencoder takes activations [n, {len(self.b_dec)}], not {list(x.shape)}.")
        return x

    def save(self, path: str | Path) -> None:
        """Write it as one safetensors file, whole or not at all.

        Raises:
            UsageError: no file can be there.
            Dia2Error: the disk is full.
        """
        check_writable(path)
        tensors = {name: getattr(self, name).detach().contiguous() for name in _TENSORS}
        about = {"architecture": "topk", "k": str(self.k), "hook_name": self.point, "weights": self.checkpoint}
        write_atomically(path, save(tensors, about))

    @classmethod
    def load(cls, path: str | Path, *, k: int | None = None, point: str = "") -> Sae:
        """Read a file of `save`, or of SAELens.

        Args:
            path: of a safetensors file.
            k: where the file does not say how many features stay, as SAELens' files do not: their cfg.json does.
            point: likewise, what it was trained on.

        Raises:
            UsageError: there is no such file, it has no autoencoder, or k is not known.
        """
        try:
            check_header(path)
            with calling_rust(), safe_open(path, framework="pt") as file:
                about: Mapping[str, str] = file.metadata() or {}
                found: dict[str, Any] = {name: file.get_tensor(name) for name in _TENSORS}
        except (OSError, SafetensorError, RustPanicError, TooLargeError, ValueError) as error:
            raise UsageError(
                f"{path} is no autoencoder ({one_line(error)}): give a file with {', '.join(_TENSORS)}."
            ) from error
        width, count = found["W_enc"].shape if found["W_enc"].dim() == 2 else (0, 0)
        wanted = {"W_enc": (width, count), "b_enc": (count,), "W_dec": (count, width), "b_dec": (width,)}
        if not width or any(tuple(found[name].shape) != shape for name, shape in wanted.items()):
            shapes = {name: list(tensor.shape) for name, tensor in found.items()}
            raise UsageError(f"{path} is no autoencoder: its tensors do not go together, {short(shapes)}.")
        stored = about.get("k", "")
        most = k if k is not None else int(stored) if stored.isascii() and stored.isdigit() and len(stored) < 9 else 0
        if not 0 < most <= count:
            raise UsageError(f"How many features of {path} stay is not known: give k=, 1 … {count}.")
        tensors = {name: tensor.float() for name, tensor in found.items()}
        return cls(**tensors, k=most, point=point or about.get("hook_name", ""), checkpoint=about.get("weights", ""))
