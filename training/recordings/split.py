"""Which recordings are held back to measure by: told by the sound itself, so that files may come and go.

A recording stays on its side for as long as the folder of results is there: what was learnt from once is no measure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence


def split(sounds: Sequence[str], share: float, before: Mapping[str, bool]) -> dict[str, bool]:
    """Whether each sound is held back.

    Args:
        sounds: digests, each once.
        share: of the sounds, 0 … 1, that are to be held back, about.
        before: what was decided earlier, which stays so.

    Returns:
        Of each sound, in order. Where no sound has a side yet and there are several, there is one of either side
        at least, unless the share is 0; a single one is not held back.
    """
    sides = {sound: before.get(sound, _place(sound) < share) for sound in sounds}
    if len(sides) == 1 and not before:
        return dict.fromkeys(sides, False)
    if share > 0 and len(sides) > 1 and not before and len(set(sides.values())) == 1:
        held = next(iter(sides.values()))
        lone = (max if held else min)(sides, key=_place)  # the nearest to the other side
        sides[lone] = not held
    return sides


def _place(sound: str) -> float:
    """A number in 0 … 1 that a sound has by chance, and always."""
    digest = hashlib.sha256(f"held back {sound}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
