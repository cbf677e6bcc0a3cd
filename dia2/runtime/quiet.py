"""Whisper at work without a word of its own: of its warnings and bars, what matters is said in ours."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from dia2.common.progress import doing


@contextmanager
def quiet() -> Iterator[None]:
    """A block in which libraries warn nobody. The filters belong to the process: one thread at a time."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def own_bar(whisper: ModuleType, what: str) -> Iterator[None]:
    """A block in which Whisper's download shows on our bar, where one is, and not as a bar of its own.

    Args:
        whisper: the package, whose bar is the name `tqdm` in it.
        what: is done, such as “loading Whisper turbo”.
    """

    class Bar:
        def __init__(self, *_: object, total: float | None = None, **__: object) -> None:
            self._total, self._done, self._told = total, 0, 0

        def __enter__(self) -> Bar:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def update(self, count: int) -> None:
            self._done += count
            percent = int(100 * self._done / self._total) if self._total else 0
            if percent > self._told:
                self._told = percent
                doing(f"{what}: {percent} % downloaded", log=False)

    theirs: Any = getattr(whisper, "tqdm", None)
    if theirs is None:
        yield
        return
    whisper.tqdm = Bar  # type: ignore[attr-defined]  # seen above
    try:
        yield
    finally:
        whisper.tqdm = theirs  # type: ignore[attr-defined]
