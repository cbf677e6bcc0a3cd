"""Dia2: streaming dialogue text-to-speech, built to be looked into.

    from dia2 import Dia2
    tts = Dia2.nano()
    result = tts.generate("[S1] Hello. [S2] Hi!", output_wav="hello.wav", seed=1)

`import dia2` loads nothing yet, so that the command line can take Ctrl-C from its first moment on. The first name that
is used brings torch and nothing heavier: no widget, plot or Whisper library, and transformers only when a checkpoint is
opened whose tokenizer needs it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dia2.common import moved

if TYPE_CHECKING:
    from dia2.common.errors import CheckpointError, Dia2Error, TraceError, UsageError
    from dia2.engine import Dia2
    from dia2.generation import (
        BatchError,
        BatchInterrupted,
        GenerationConfig,
        GenerationInterrupted,
        GenerationResult,
        PlacedWord,
        PrefixConfig,
        SamplingConfig,
    )
    from dia2.runtime.activations import Ablate, Clamp, Patch, Steer, Where
    from dia2.runtime.batch.live import OpenBatch
    from dia2.runtime.batch.many import BatchStream
    from dia2.runtime.edits import ChangeSampling, Edit, ForceAction, ReplaceToken
    from dia2.runtime.live_text import LiveText
    from dia2.runtime.request import Request
    from dia2.runtime.streaming import Stream, StreamChunk
    from dia2.runtime.vectors import Vector

__version__ = "0.1.0"
moved.install()

_HOMES = {
    "dia2.common.errors": ("CheckpointError", "Dia2Error", "TraceError", "UsageError"),
    "dia2.engine": ("Dia2",),
    "dia2.generation": (
        *("BatchError", "BatchInterrupted", "GenerationConfig", "GenerationInterrupted", "GenerationResult"),
        *("PlacedWord", "PrefixConfig", "SamplingConfig"),
    ),
    "dia2.runtime.activations": ("Ablate", "Clamp", "Patch", "Steer", "Where"),
    "dia2.runtime.batch.live": ("OpenBatch",),
    "dia2.runtime.batch.many": ("BatchStream",),
    "dia2.runtime.edits": ("ChangeSampling", "Edit", "ForceAction", "ReplaceToken"),
    "dia2.runtime.live_text": ("LiveText",),
    "dia2.runtime.request": ("Request",),
    "dia2.runtime.streaming": ("Stream", "StreamChunk"),
    "dia2.runtime.vectors": ("Vector",),
}
__all__ = [
    "Ablate",
    "BatchError",
    "BatchInterrupted",
    "BatchStream",
    "ChangeSampling",
    "CheckpointError",
    "Clamp",
    "Dia2",
    "Dia2Error",
    "Edit",
    "ForceAction",
    "GenerationConfig",
    "GenerationInterrupted",
    "GenerationResult",
    "LiveText",
    "OpenBatch",
    "Patch",
    "PlacedWord",
    "PrefixConfig",
    "ReplaceToken",
    "Request",
    "SamplingConfig",
    "Steer",
    "Stream",
    "StreamChunk",
    "TraceError",
    "UsageError",
    "Vector",
    "Where",
    "__version__",
]


def __getattr__(name: str) -> Any:
    """A public name, or a module of the package, when it is first asked for."""
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    for home, names in _HOMES.items():
        if name in names:
            value = globals()[name] = getattr(import_module(home), name)
            return value
    try:
        return import_module(f"{__name__}.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"{__name__}.{name}":
            raise
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
