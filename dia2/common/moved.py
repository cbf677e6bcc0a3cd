"""Modules by the addresses that they had before the rooms were laid out anew: still importable, with a warning."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from pkgutil import resolve_name
from types import ModuleType
from typing import Any

_RENAMED = {
    "dia2.audio.pieces": "dia2.audio.streaming_decoder",
    "dia2.console": "dia2.common.terminal.summary",
    "dia2.inspect.book": "dia2.inspect.record.sink",
    "dia2.inspect.dia": "dia.adapter",
    "dia2.inspect.dia.diff": "dia2.inspect.trace.diff",
    "dia2.inspect.dia.pipeline": "dia.adapter.rows",
    "dia2.inspect.finding": "dia2.adapter.doctor",
    "dia2.inspect.pipeline": "dia2.adapter.rows",
    "dia2.inspect.search": "dia2.inspect.trace.find",
    "dia2.inspect.sound": "dia2.adapter.prefix",
    "dia2.inspect.sound_findings": "dia2.adapter.findings.recordings",
    "dia2.inspect.stored": "dia2.inspect.trace.trace",
    "dia2.marks": "dia2.core.versions",
    "dia2.meant": "dia2.common.terminal.did_you_mean",
    "dia2.runtime.bounded": "dia2.runtime.lru_cache",
    "dia2.runtime.choices": "dia2.runtime.interventions",
    "dia2.runtime.kept": "dia2.runtime.pool",
    "dia2.runtime.lending": "dia2.runtime.lease",
    "dia2.runtime.taps": "dia2.runtime.capture",
    "dia2.standard": "dia2.common.terminal.standard_streams",
    "dia2.stored": "dia2.common.tensor_file",
    "dia2.tensors": "dia2.core.state_dict",
}
_OF_THE_SAME_NAME = (  # the package that they were in, the one that they are in now, the modules
    ("dia2", "dia2.audio", "spectrogram"),
    ("dia2", "dia2.common", "brief checks errors fields files hooks memory messages progress rust wording"),
    ("dia2", "dia2.common.terminal", "command interrupts"),
    ("dia2", "dia2.core", "config"),
    ("dia2", "dia2.runtime", "assets edits streaming subtitles"),
    ("dia2.inspect", "dia2.adapter", "checkpoint columns describe doctor draws facts fork frame loudness"),
    ("dia2.inspect", "dia2.adapter", "machine prefix_sound recording redact replay sweep"),
    ("dia2.inspect", "dia2.inspect.lab", "follow"),
    ("dia2.inspect", "dia2.inspect.record", "recorder watch"),
    ("dia2.inspect", "dia2.inspect.store", "fingerprint layout lock manifest phases shards writer"),
    ("dia2.inspect", "dia2.inspect.trace", "diff family tables"),
    ("dia2.inspect", "dia2.inspect.views", "console explorer extras plots"),
)
_MOVED = _RENAMED | {
    f"{before}.{name}": f"{now}.{name}" for before, now, names in _OF_THE_SAME_NAME for name in names.split()
}


def new_address(name: str) -> str | None:
    """Where a module lies that was called `name`; `None` if no module had that name."""
    parts = name.split(".")
    for end in range(len(parts), 1, -1):
        if (home := _MOVED.get(".".join(parts[:end]))) is not None:
            return ".".join([home, *parts[end:]])
    return None


class _Finder:
    """Comes last, so that it is asked for nothing that exists."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        return None if new_address(name) is None else spec_from_loader(name, _Alias())  # type: ignore[arg-type]  # typeshed wants its own base class


class _Alias:
    """Loads an old address as the very module of the new one, so that a class is the same by either."""

    @staticmethod
    def create_module(spec: ModuleSpec) -> None:
        return None

    @staticmethod
    def exec_module(module: ModuleType) -> None:
        home = new_address(module.__name__)
        assert home is not None, "the finder knows it"
        warnings.warn(f"{module.__name__} is {home} now: import it from there.", DeprecationWarning, stacklevel=2)
        sys.modules[module.__name__] = import_module(home)


def names(module: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """A `__getattr__` for a package that stands where a module was: its names lie elsewhere now, as `module:name`."""

    def moved(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        home = homes[name].replace(":", ".")
        warnings.warn(f"{module}.{name} is {home} now: import it from there.", DeprecationWarning, stacklevel=2)
        return resolve_name(homes[name])

    return moved


def install() -> None:
    """Let imports find what has moved."""
    if not any(finder is _Finder for finder in sys.meta_path):
        sys.meta_path.append(_Finder)
