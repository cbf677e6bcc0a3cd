"""Dia, the first generation: an encoder-decoder that turns a dialogue's text into audio codes.

`Dia` loads checkpoints and speaks; `dia2.inspect` records and shows its runs as it does those of Dia2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dia.generation import GenerationConfig, GenerationInterrupted, GenerationResult
    from dia.model import Dia

__all__ = ["Dia", "GenerationConfig", "GenerationInterrupted", "GenerationResult"]


def __getattr__(name: str) -> Any:
    if name == "Dia":
        from dia.model import Dia

        return Dia
    if name in __all__:
        from dia import generation

        return getattr(generation, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
