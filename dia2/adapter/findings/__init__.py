"""What can be wrong with a run of Dia2, from causes to effects; see `dia2.inspect.trace.findings`."""

from dia2.adapter.findings import hearing, pace, recordings, repeats, script, settings, voices, words
from dia2.inspect.trace.findings import Detector

DETECTORS: tuple[Detector, ...] = (
    *voices.DETECTORS,
    *recordings.DETECTORS,
    *words.DETECTORS,
    *script.DETECTORS,
    *settings.DETECTORS,
    *repeats.DETECTORS,
    *pace.DETECTORS,
    *hearing.DETECTORS,
)
