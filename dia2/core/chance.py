"""The process's generators of chance, which belong to the caller: no run reads them, and none moves them.

A run draws by `dia2.core.uniforms` alone. Code of others may draw from the global generators: loading initialises
networks, and Whisper draws what it is unsure of.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

_SEED = 2  # so that a recording is heard alike each time
_LOCK = threading.RLock()
_NUMPY: Any = np.random  # its types leave out the generator that its functions share


@contextmanager
def own_chance() -> Iterator[None]:
    """A block for code of others: torch, NumPy and Python draw from a fixed seed in it, and go on as before after it.

    One thread at a time, since the generators belong to the process. (So do the parts of torch that transformers
    changes while it loads; two threads at once would leave them changed.)
    """
    with _LOCK:
        generators = [torch.default_generator]
        if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]  # torch types it nowhere
            generators += torch.cuda.default_generators
        states = [generator.get_state() for generator in generators]
        python, numpy, state = random.getstate(), _NUMPY.get_bit_generator(), np.random.get_state(legacy=False)
        try:
            for generator in generators:
                generator.manual_seed(_SEED)
            random.seed(_SEED)
            _NUMPY.set_bit_generator(np.random.MT19937(_SEED))
            yield
        finally:
            _NUMPY.set_bit_generator(numpy)
            if isinstance(numpy, np.random.MT19937):  # which the caller may have exchanged
                np.random.set_state(state)  # with the second number of a normal pair, which waits outside of it
            random.setstate(python)
            for generator, before in zip(generators, states, strict=True):
                generator.set_state(before)
