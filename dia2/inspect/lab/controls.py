"""Change a run and hear what becomes of it: controls beside the explorer, which need a kernel; made by `Trace.lab`.

Every fork is a trace of its own, shown beside the run that it comes from.
"""

from __future__ import annotations

import shutil
import weakref
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from dia2.adapter.checkpoint import check_checkpoint
from dia2.adapter.checks import check_trace
from dia2.adapter.trace import Dia2Trace
from dia2.common.checks import is_folder
from dia2.common.errors import Dia2Error, TraceError, UsageError
from dia2.common.progress import Progress
from dia2.generation import GenerationInterrupted
from dia2.inspect.store.layout import SUFFIX
from dia2.inspect.views.explorer.instead import display_with_line
from dia2.inspect.views.explorer.widget import Explorer
from dia2.runtime.edits import ChangeSampling, Edit, ForceAction

if TYPE_CHECKING:
    from dia2.engine import Dia2

_STYLE = {"description_width": "90px"}


class Lab(widgets.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """Controls, and the explorer of the run beside its last fork.

    From code: `lab.cfg.value = 3; lab.fork(); lab.forked`.
    """

    def __init__(self, trace: Dia2Trace, tts: Dia2, folder: str | Path | None = None) -> None:
        """See `Trace.lab`."""
        check_trace(trace, "A lab")
        trace.adapter.check_engine(tts, "A lab")
        if not len(trace):
            raise TraceError(f"{trace.path} holds no calls to fork from ({trace.state}).")
        check_checkpoint(trace, tts.runtime)
        if folder is not None and not is_folder(Path(folder)):
            raise UsageError(f"Folder {folder} does not exist: create it, or leave it out for a temporary one.")
        self.trace, self.tts = trace, tts
        self.forked: Dia2Trace | None = None  # the last fork
        self._folder = Path(mkdtemp(prefix="dia2-lab-")) if folder is None else Path(folder)
        if folder is None:
            weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._made = 0
        seed, config = trace.run.seed, trace.config_at(0)
        cfg, heat = config.cfg_scale, config.audio.temperature
        first, last = min(trace.run.prefix_frames, len(trace) - 1), len(trace) - 1
        self.call = widgets.BoundedIntText(first, min=first, max=last, description="from call", style=_STYLE)
        self.action = widgets.Dropdown(
            options=[("as it is drawn", None), ("new_word", "new_word"), ("pad", "pad")],
            description="action there",
            style=_STYLE,
        )
        self.seed = widgets.BoundedIntText(seed, min=0, max=max(seed, 2**31), description="seed", style=_STYLE)
        self.cfg = widgets.FloatSlider(
            cfg, min=min(1.0, cfg), max=max(8.0, cfg), step=0.1, description="cfg", style=_STYLE
        )
        self.temperature = widgets.FloatSlider(
            heat, min=0, max=max(2.0, heat), step=0.05, description="temperature", style=_STYLE
        )
        self.button = widgets.Button(description="Fork", button_style="primary", icon="code-fork")
        self.button.on_click(lambda _: self.fork())
        self.bar = widgets.IntProgress(0, min=0, max=1, layout={"visibility": "hidden"})
        self.told = widgets.Label("Choose a call, and what should be different from there on.")
        self._shown = widgets.Box([Explorer(trace, tts=tts)], layout={"width": "100%", "display": "block"})
        left = widgets.VBox([self.call, self.action, self.seed])
        right = widgets.VBox([self.cfg, self.temperature, widgets.HBox([self.button, self.bar])])
        super().__init__([widgets.HBox([left, right]), self.told, self._shown])

    def __repr__(self) -> str:
        return f"<Lab of {self.trace.path.name}: {self.told.value}>"

    def _ipython_display_(self) -> None:
        display_with_line(self, "its controls need a kernel, so run the notebook's cell again.")

    def edits(self) -> list[Edit]:
        """What the controls ask for, besides the seed."""
        call, config = self.call.value, self.trace.config_at(self.call.value)
        changes: dict[str, Any] = {}
        if self.cfg.value != config.cfg_scale:
            changes["cfg_scale"] = self.cfg.value
        if self.temperature.value != config.audio.temperature:
            changes["temp_audio"] = self.temperature.value
        edits: list[Edit] = [ChangeSampling(call, **changes)] if changes else []
        if self.action.value is not None:
            edits.append(ForceAction(call, self.action.value))
        return edits

    def fork(self) -> None:
        """Generate again from the call on, and show both runs. What fails is said below the controls."""
        self._made += 1
        path = self._folder / f"fork-{self._made:02d}{SUFFIX}"
        self.button.disabled, self.bar.layout.visibility = True, "visible"
        self.told.value = "Generating …"
        try:
            self.trace.fork(
                self.tts,
                self.call.value,
                edits=self.edits(),
                seed=self.seed.value,
                path=path,
                progress=self._progress,
            )
            self._show(path, "")
        except GenerationInterrupted:
            self._show(path, "Stopped early. ")
        except Dia2Error as error:
            self.told.value = str(error)
        finally:
            self.button.disabled, self.bar.layout.visibility = False, "hidden"

    def _show(self, path: Path, told: str) -> None:
        self.forked = Dia2Trace(path)
        self._shown.children = [Explorer(self.trace, other=self.forked)]
        found = self.trace.diff(self.forked)
        first = found.first
        if first is None or not found.parts:
            self.told.value = f"{told}The fork is the same run, call for call."
        else:
            self.told.value = f"{told}They part at call {found.shared}, by {first.what}: {first.a} | {first.b}"

    def _progress(self, now: Progress) -> None:
        self.bar.max, self.bar.value = max(1, now.words_total), now.words
