"""The manifest of a family that needs no fields of its own: sizes of its columns, facts and settings by name."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from msgspec import Meta

from dia2.inspect.store import bounds
from dia2.inspect.store.manifest import Head, require

Fact = str | int | float | bool | None
Facts = Annotated[dict[str, Fact], Meta(max_length=1000)]


@dataclass(frozen=True, kw_only=True)
class DeclaredRun:
    """What decided a run."""

    sizes: Annotated[dict[str, bounds.Size], Meta(max_length=100)]  # that the shapes and bounds of its columns name
    model: Facts = field(default_factory=dict)  # of the checkpoint
    settings: Facts = field(default_factory=dict)  # script, seed, sampling …
    sample_rate: bounds.SampleRate | None = None  # Hz; `None`: it gives no sound
    frame_rate: bounds.FrameRate | None = None  # calls that draw, a second of sound; `None`: nothing tells
    delays: bounds.Delays | None = None  # [K] frames by which each codebook lags; `None`: none does

    def __post_init__(self) -> None:
        """Refuse a delay for anything else than a codebook."""
        require("delays", self.delays is None or bool(self.delays))


@dataclass(frozen=True, kw_only=True)
class DeclaredManifest(Head):
    """A trace's manifest."""

    run: DeclaredRun | None = None  # `None` if the run never began
    result: Facts = field(default_factory=dict)  # what came out
    audio: bounds.Names = field(default_factory=list)  # files with the sound of each script
