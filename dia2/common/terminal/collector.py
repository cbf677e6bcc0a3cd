"""Python's garbage collector in a command, which is kept from what it would look through in vain.

What an import leaves is there to stay: some 170,000 objects of torch, which the collector goes through again and again
while they are made, and once more when Python ends. That takes a fifth of the time of a run of one word.
"""

from __future__ import annotations

import gc

_ours = False  # this process is a command's alone


def pause() -> None:
    """Collect nothing while modules are imported; for a command that is this whole process."""
    global _ours
    if gc.isenabled():  # else whoever started Python has had it otherwise
        gc.disable()
        _ours = True


def resume() -> None:
    """Collect again, but only what is made from here on; belongs after the imports and before the work."""
    if _ours:
        gc.freeze()
        gc.enable()


def end() -> None:
    """All is done, and files are closed: what is left is given back with the process, not object by object."""
    if _ours:
        gc.freeze()
