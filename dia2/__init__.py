"""Dia2: streaming dialogue text-to-speech, built to be looked into.

    from dia2 import Dia2
    tts = Dia2.nano()
    result = tts.generate("[S1] Hello. [S2] Hi!", output_wav="hello.wav", seed=1)

`import dia2` loads torch and nothing heavier: no widget, plot or Whisper library, and transformers only
when a checkpoint is opened.
"""

from dia2.engine import Dia2
from dia2.errors import CheckpointError, Dia2Error, UsageError
from dia2.generation import GenerationConfig, GenerationInterrupted, GenerationResult, PrefixConfig, SamplingConfig

__version__ = "0.1.0"

__all__ = [
    "CheckpointError",
    "Dia2",
    "Dia2Error",
    "GenerationConfig",
    "GenerationInterrupted",
    "GenerationResult",
    "PrefixConfig",
    "SamplingConfig",
    "UsageError",
    "__version__",
]
