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

_MOVED = {
    "dia2.assets": "dia2.runtime.assets",
    "dia2.audio.pieces": "dia2.audio.streaming_decoder",
    "dia2.brief": "dia2.common.brief",
    "dia2.checks": "dia2.common.checks",
    "dia2.command": "dia2.common.terminal.command",
    "dia2.config": "dia2.core.config",
    "dia2.console": "dia2.common.terminal.summary",
    "dia2.edits": "dia2.runtime.edits",
    "dia2.errors": "dia2.common.errors",
    "dia2.fields": "dia2.common.fields",
    "dia2.files": "dia2.common.files",
    "dia2.hooks": "dia2.common.hooks",
    "dia2.inspect.book": "dia2.inspect.record.sink",
    "dia2.inspect.checkpoint": "dia2.adapter.checkpoint",
    "dia2.inspect.columns": "dia2.adapter.columns",
    "dia2.inspect.console": "dia2.inspect.views.console",
    "dia2.inspect.describe": "dia2.adapter.describe",
    "dia2.inspect.dia": "dia.adapter",
    "dia2.inspect.dia.diff": "dia2.inspect.trace.diff",
    "dia2.inspect.dia.pipeline": "dia.adapter.rows",
    "dia2.inspect.diff": "dia2.inspect.trace.diff",
    "dia2.inspect.doctor": "dia2.adapter.doctor",
    "dia2.inspect.draws": "dia2.adapter.draws",
    "dia2.inspect.explorer": "dia2.inspect.views.explorer",
    "dia2.inspect.extras": "dia2.inspect.views.extras",
    "dia2.inspect.facts": "dia2.adapter.facts",
    "dia2.inspect.family": "dia2.inspect.trace.family",
    "dia2.inspect.finding": "dia2.adapter.finding",
    "dia2.inspect.fingerprint": "dia2.inspect.store.fingerprint",
    "dia2.inspect.follow": "dia2.inspect.lab.follow",
    "dia2.inspect.fork": "dia2.adapter.fork",
    "dia2.inspect.frame": "dia2.adapter.frame",
    "dia2.inspect.layout": "dia2.inspect.store.layout",
    "dia2.inspect.lock": "dia2.inspect.store.lock",
    "dia2.inspect.loudness": "dia2.adapter.loudness",
    "dia2.inspect.machine": "dia2.adapter.machine",
    "dia2.inspect.manifest": "dia2.inspect.store.manifest",
    "dia2.inspect.phases": "dia2.inspect.store.phases",
    "dia2.inspect.pipeline": "dia2.adapter.rows",
    "dia2.inspect.plots": "dia2.inspect.views.plots",
    "dia2.inspect.prefix_sound": "dia2.adapter.prefix_sound",
    "dia2.inspect.recorder": "dia2.inspect.record.recorder",
    "dia2.inspect.recording": "dia2.adapter.recording",
    "dia2.inspect.redact": "dia2.adapter.redact",
    "dia2.inspect.replay": "dia2.adapter.replay",
    "dia2.inspect.search": "dia2.inspect.trace.find",
    "dia2.inspect.shards": "dia2.inspect.store.shards",
    "dia2.inspect.sound": "dia2.adapter.prefix",
    "dia2.inspect.sound_findings": "dia2.adapter.sound_findings",
    "dia2.inspect.stored": "dia2.inspect.trace.trace",
    "dia2.inspect.sweep": "dia2.adapter.sweep",
    "dia2.inspect.tables": "dia2.inspect.trace.tables",
    "dia2.inspect.watch": "dia2.inspect.record.watch",
    "dia2.inspect.writer": "dia2.inspect.store.writer",
    "dia2.interrupts": "dia2.common.terminal.interrupts",
    "dia2.marks": "dia2.core.versions",
    "dia2.meant": "dia2.common.terminal.did_you_mean",
    "dia2.memory": "dia2.common.memory",
    "dia2.messages": "dia2.common.messages",
    "dia2.progress": "dia2.common.progress",
    "dia2.runtime.bounded": "dia2.runtime.lru_cache",
    "dia2.runtime.choices": "dia2.runtime.interventions",
    "dia2.runtime.kept": "dia2.runtime.pool",
    "dia2.runtime.lending": "dia2.runtime.lease",
    "dia2.runtime.taps": "dia2.runtime.capture",
    "dia2.rust": "dia2.common.rust",
    "dia2.spectrogram": "dia2.audio.spectrogram",
    "dia2.standard": "dia2.common.terminal.standard_streams",
    "dia2.stored": "dia2.common.tensor_file",
    "dia2.streaming": "dia2.runtime.streaming",
    "dia2.subtitles": "dia2.runtime.subtitles",
    "dia2.tensors": "dia2.core.state_dict",
    "dia2.wording": "dia2.common.wording",
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
