"""Muon: matrices move by orthogonal steps, in which no direction of what the gradients say drowns the others.

Everything that is no matrix of a layer (embeddings, heads, norms) moves by Adam's rule, at the same rate: a Muon step
is scaled to the size of an Adam step. After Jordan et al. 2024, with the momentum and scale of Liu et al. 2025.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from dia2.core.depformer import DepformerBlock
from dia2.core.linear import multiplies_bfloat16
from dia2.core.transformer import Block

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the quintic that takes all singular values near 1
_ROUNDS = 5
_MOMENTUM = 0.95
_SCALE = 0.2  # root mean square of an Adam step, about, in units of the rate


class Muon(torch.optim.Optimizer):
    """Muon for groups with `muon`, AdamW for the others."""

    def __init__(self, groups: list[dict[str, Any]], rate: float, betas: tuple[float, float]) -> None:
        super().__init__(groups, {"lr": rate, "betas": betas, "weight_decay": 0.0, "muon": False})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # nothing here needs a closure
        """Move every parameter that has a gradient."""
        assert closure is None, "a step has its gradients already"
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                move = self._orthogonal if group["muon"] else self._adam
                parameter.sub_(move(parameter.grad, self.state[parameter], group["betas"]), alpha=group["lr"])

    @staticmethod
    def _orthogonal(gradient: Tensor, state: dict[str, Any], _: object) -> Tensor:
        momentum = state.setdefault("momentum", torch.zeros_like(gradient))
        momentum.lerp_(gradient, 1 - _MOMENTUM)
        step: Tensor = orthogonal(gradient.lerp(momentum, _MOMENTUM)) * (_SCALE * max(gradient.shape) ** 0.5)
        return step

    @staticmethod
    def _adam(gradient: Tensor, state: dict[str, Any], betas: tuple[float, float]) -> Tensor:
        if not state:
            state.update(step=0, mean=torch.zeros_like(gradient), square=torch.zeros_like(gradient))
        state["step"] += 1
        state["mean"].lerp_(gradient, 1 - betas[0])
        state["square"].lerp_(gradient.square(), 1 - betas[1])
        mean, square = (
            state["mean"] / (1 - betas[0] ** state["step"]),
            state["square"] / (1 - betas[1] ** state["step"]),
        )
        step: Tensor = mean / (square.sqrt() + 1e-8)
        return step


def orthogonal(matrix: Tensor) -> Tensor:
    """The orthogonal matrix nearest to `matrix` [n, m], about: its singular values become 0.7 … 1.2."""
    a, b, c = _COEFFICIENTS
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    if matrix.is_cuda or multiplies_bfloat16():
        x = x.bfloat16()
    x = x / (x.norm() + 1e-7)
    for _ in range(_ROUNDS):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    out: Tensor = (x.T if tall else x).to(matrix.dtype)
    return out


def muon_for(model: nn.Module) -> Callable[[list[dict[str, Any]], float, tuple[float, float]], torch.optim.Optimizer]:
    """An optimizer for `fit`: Muon for the matrices of the model's blocks."""
    blocks = [module for module in model.modules() if isinstance(module, Block | DepformerBlock)]
    inside = {id(p) for block in blocks for p in block.parameters() if p.dim() == 2}

    def make(groups: list[dict[str, Any]], rate: float, betas: tuple[float, float]) -> torch.optim.Optimizer:
        split = []
        for group in groups:
            for muon in (True, False):
                if chosen := [p for p in group["params"] if (id(p) in inside) == muon]:
                    split.append({**group, "params": chosen, "muon": muon})
        return Muon(split, rate, betas)

    return make
