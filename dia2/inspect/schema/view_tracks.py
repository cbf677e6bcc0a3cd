"""Tracks of the explorer that every family can have; it declares further ones of its own beside them.

A track has a kind, which says how it is drawn, and the lenses in which it is open at first: `run`, `voice`, `grid`. Of
one whose columns a view does not have nothing is shown.
"""

from __future__ import annotations

from typing import Any

Track = dict[str, Any]
LENSES = ("run", "voice", "grid")


def track(kind: str, name: str, label: str, told: str, *lenses: str, **more: Any) -> Track:
    """A track as the front end gets it.

    Args:
        kind: how it is drawn, see `front/painters.js`.
        name: its own, in links too.
        label: beside it.
        told: what it shows, in a sentence.
        lenses: in which it is open at first.
        more: what its kind needs.
    """
    return {"kind": kind, "name": name, "label": label, "told": told, "lenses": list(lenses)} | more


SOUND = track("sound", "sound", "Sound", "The recordings that were given, then what the model made.", *LENSES)
WORDS = track("words", "words", "Words", "Each word where it sounds; no text is cut off.", *LENSES)
SURPRISE = track(
    "surprise",
    "surprise",
    "Surprise",
    "−log₂ p of what was drawn, in bits: the mean of the codebooks as an area, the action as bars. ▲ marks what is far "
    "above the run's usual.",
    "run",
    "grid",
)
PULL = track(
    "pull",
    "guidance",
    "Guidance pull",
    "How far guidance moves the odds, from 0 (not at all) to 1: of the first codebook as a line, of all as an area.",
    "run",
)
LOUDNESS = track("loudness", "loudness", "Loudness", "RMS of every frame, in dB of full scale.", "voice")
CACHE = track("cache", "cache", "KV cache", "Filled slots of the key/value caches.", "run")
LOOKS = track("looks", "attention", "Attention", "Where this call looks, by a replay; see the tab Attention.", "run")


def grid_track(label: str) -> Track:
    """The grid of codes, under the name that a family has for it."""
    return track("grid", "grid", label, "Each cell a code; click one to see the draw that made it.", "run", "grid")
