"""Drawing for several runs: each by its own sampling and guidance, those of equal settings at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from dia2.core.acts import Writes
from dia2.core.cache import Span
from dia2.core.layers import Rotation
from dia2.core.transformer import TransformerOutput
from dia2.generation import GenerationConfig
from dia2.runtime.forms import Form, Kind


class Group(NamedTuple):
    """Rows that draw alike."""

    rows: list[int]
    config: GenerationConfig


def groups_of(configs: Sequence[GenerationConfig]) -> list[Group]:
    """The rows by how they draw, given each row's config."""
    found: dict[object, Group] = {}
    for row, config in enumerate(configs):
        key = config.text, config.audio, config.cfg_scale, config.cfg_filter_k
        found.setdefault(key, Group([], config)).rows.append(row)
    return list(found.values())


class BatchForm:
    """A `Form` of N rows: the network once for all lanes, a draw for each group."""

    def __init__(self, forms: Sequence[tuple[Form, Tensor]], order: Tensor, branches: int) -> None:
        """Note who draws how.

        Args:
            forms: of each group, with its rows [n] int64.
            order: [N] int64, where each row's token stands once those of the groups are put side by side.
            branches: lanes of a row.
        """
        self._forms, self._order, self._branches = forms, order, branches
        self._network = forms[0][0]

    def transformer(
        self, tokens: Tensor, rotation: Rotation, span: Span, writes: Writes | None = None
    ) -> TransformerOutput:
        """See `Form`."""
        return self._network.transformer(tokens, rotation, span, writes)

    def begin(self, hidden: Tensor, rotation: Rotation | None) -> None:
        """See `Form`."""
        self._network.begin(hidden, rotation)

    def stage(
        self, stage: int, code: Tensor, text: tuple[Tensor, Tensor], span: Span, writes: Writes | None = None
    ) -> Tensor:
        """See `Form`."""
        return self._network.stage(stage, code, text, span, writes)

    def choose(self, logits: Tensor, kind: Kind, uniform: Tensor, specials: Tensor | None = None) -> Tensor:
        """See `Form`: tokens [N, 1] of `logits` [N · B, V] by `uniform` [N, 1]."""
        by_branch = logits.view(-1, self._branches, logits.shape[-1]).transpose(0, 1)  # [B, N, V]
        if len(self._forms) == 1:
            return self._network.choose(by_branch, kind, uniform, specials)
        drawn = [
            form.choose(by_branch.index_select(1, rows), kind, uniform.index_select(0, rows), specials)
            for form, rows in self._forms
        ]
        return torch.cat(drawn).index_select(0, self._order)
