"""A model family, as `dia2.inspect` knows it: one declaration, found by the entry point group `dia2.models`.

An adapter names what it takes time to import as `module:name`, so that looking at a trace brings no model with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import Any

from dia2.common.checks import short
from dia2.common.errors import TraceError, UsageError
from dia2.common.hooks import GROUP, installed
from dia2.inspect.schema.column import Layout
from dia2.inspect.schema.draw import DrawKind
from dia2.inspect.schema.row import Row


@dataclass(frozen=True)
class Adapter:
    """What a family declares. Its hook points are declared by `dia2.common.hooks.declare` when it is imported."""

    family: str  # by which manifests and hook points name it
    title: str  # by which sentences name it
    rows: tuple[Row, ...]  # what a run goes through
    layout: Layout  # the columns of its traces
    draws: tuple[DrawKind, ...]  # what a call draws, in its order
    begins: str  # the phase with which a run begins
    engine: str  # the class that loads its checkpoints and speaks, called as the title says
    example: str  # how to open one
    trace: str  # its `dia2.inspect.trace.Trace`
    recording: str  # its `dia2.inspect.record.recording.Recording`
    codebook: str = "codebook"  # what it calls one
    needed: frozenset[str] = frozenset()  # points that a trace's manifest is made of; no filter can leave them out
    watched: frozenset[str] = frozenset()  # points that `Watch` needs to know the values of others
    files: tuple[str, ...] = ()  # that its traces have beside the manifest, phases, shards and sound
    # What its columns say, unless it says more; `None`: they speak for themselves.
    values: str | None = None  # its `dia2.inspect.record.watch.Values`
    reports: str | None = None  # its `dia2.inspect.trace.reports.Reports`
    view: str | None = None  # gives what the explorer shows of a trace
    pipeline: str | None = None  # gives the `dia2.inspect.schema.view_pipeline.Pipeline` of a trace; `None`: no picture
    calls: str | None = None  # gives the table of calls for Parquet
    # What not every family has.
    replay: str | None = None
    replayed: str | None = None  # gives the `dia2.inspect.schema.view_replay.Replayed` of a trace, a replay, a script
    fork: str | None = None
    findings: str | None = None  # its `dia2.inspect.trace.findings.Detector`s, from causes to effects
    word_errors: str | None = None  # gives the share of a trace's words that a Whisper checkpoint hears otherwise
    measures: str | None = None  # its `dia2.inspect.schema.measure.Measures`; `None`: those that any run has
    witness: str | None = None  # gives the engine that findings of a trace need, if they do and it is at hand
    doctor: str | None = None
    redact: str | None = None
    tracks: str | None = None  # gives the `dia2.inspect.schema.pictures.Tracks` of some calls
    attention: str | None = None  # its `dia2.inspect.schema.pictures.Attention`
    live: str | None = None  # its `dia2.inspect.views.explorer.live.Live`: a run while it goes on
    knobs: str | None = None  # its `dia2.inspect.schema.knob.Knobs`, for the lab
    maker: str | None = None  # opens a `dia2.inspect.schema.maker.Maker`, for sweeps, of a plan's `[model]`
    codebooks: str | None = None  # gives the sound of some codebooks alone

    def check_engine(self, tts: object, what: str) -> None:
        """Refuse an engine that is none of this family.

        Args:
            tts: as the caller gave it.
            what: what needs one, as a subject: `A sweep`.

        Raises:
            UsageError: says what was given.
        """
        if not isinstance(tts, self.load("engine")):
            kind = type(tts).__name__
            given = f"a {kind}" if any(kind == adapter.title for adapter in adapters().values()) else short(tts)
            raise UsageError(f"{what} needs a {self.title}, such as {self.example}, not {given}.")

    @property
    def batched(self) -> bool:
        """Its runs speak several scripts side by side: what is chosen has a place for each."""
        return self.axes[0] is not None

    @property
    def axes(self) -> tuple[str | None, str | None]:
        """Names of the sizes of its scripts and of its codebooks: those of the columns that have what was chosen."""
        shapes = [shape for kind in self.draws if len(shape := self.layout.columns[kind.column].shape) > 1]
        return next((shape[1] for shape in shapes if len(shape) > 2), None), shapes[0][-1] if shapes else None

    def draw_columns(self, codebooks: int) -> dict[str, str]:
        """For each draw of a call, in their order, the column that has what was chosen."""
        return {name: kind.column for kind in self.draws for name in kind.names(codebooks)}

    def load(self, name: str) -> Any:
        """What a field of the declaration names."""
        return resolve_name(getattr(self, name))


def adapters() -> Mapping[str, Adapter]:
    """The families that are installed, by name."""
    found: Mapping[str, Adapter] = installed()
    return found


def adapter_of(family: object, path: object) -> Adapter:
    """The family of the trace at `path`.

    Raises:
        TraceError: it is not installed.
    """
    if isinstance(family, str) and family in adapters():
        return adapters()[family]
    known = ", ".join(adapter.title for adapter in adapters().values()) or f"none: reinstall dia2 (group {GROUP})"
    raise TraceError(
        f"{path} is a run of {short(family)}, a model that this dia2 does not know ({known}): update dia2, or install "
        "what declares it."
    )


def own_files() -> Iterator[str]:
    """Names of the files that traces of any family have."""
    return (name for adapter in adapters().values() for name in adapter.files)
