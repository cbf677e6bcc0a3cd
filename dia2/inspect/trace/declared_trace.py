"""`DeclaredTrace`: a run of a family whose declaration says all that there is to know of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dia2.common.errors import TraceError
from dia2.inspect.store.declared import DeclaredManifest, DeclaredRun
from dia2.inspect.store.layout import MANIFEST, audio_name
from dia2.inspect.store.manifest import decode
from dia2.inspect.trace.trace import Trace


class DeclaredTrace(Trace[DeclaredManifest]):
    """A recorded run as its columns tell it. A family names itself by `adapter`; it may add what only its runs have."""

    def _parse(self, raw: Mapping[str, Any]) -> DeclaredManifest:
        manifest = decode(raw, DeclaredManifest, self.path)
        run, adapter = manifest.run, self.adapter
        if run is None:
            return manifest
        named = {size for column in adapter.layout.columns.values() for size in (*column.shape[1:], column.below)}
        wanted = {size for size in named if isinstance(size, str) and not size.isdigit() and size != "D"}
        scripts, books = (run.sizes.get(axis or "", 1) for axis in adapter.axes)
        for field, holds in (
            ("run.sizes", wanted <= run.sizes.keys()),
            ("run.delays", run.delays is None or len(run.delays) == books),
            ("draws", manifest.has_draws_of(adapter.draw_columns(books))),
            ("audio", manifest.audio in ([], [audio_name(i, scripts) for i in range(scripts)])),
        ):
            if not holds:
                raise TraceError(f"{self.path / MANIFEST} is damaged: {field} does not go with its columns.")
        return manifest

    def _sizes(self) -> dict[str, int] | None:
        run = self.manifest.run
        if run is None:
            return None
        return run.sizes | {"D": len(self.manifest.draws) * run.sizes.get(self.adapter.axes[0] or "", 1)}

    @property
    def run(self) -> DeclaredRun:
        """What decided the run.

        Raises:
            TraceError: the run ended before it began.
        """
        return self._begun(self.manifest.run)

    def _audio_name(self, script: int) -> str | None:
        return self.manifest.audio[script] if self.manifest.audio else None

    def settings(self, scripts: int) -> dict[str, object]:
        """See `Trace`."""
        found: dict[str, object] = {**self.run.settings}
        return found | {f"checkpoint's {name}": value for name, value in self.run.model.items()}
