"""Change a run and hear what becomes of it: controls beside the explorer, which need a kernel; made by `Trace.lab`.

Every fork is a trace of its own, shown beside the run that it comes from.
"""

from __future__ import annotations

import shutil
import weakref
from collections.abc import Mapping
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import ipywidgets as widgets

from dia2.common.checks import is_folder
from dia2.common.errors import Dia2Error, UsageError
from dia2.common.progress import Progress
from dia2.inspect.schema.knob import Knob, Knobs
from dia2.inspect.store.layout import SUFFIX
from dia2.inspect.trace.family import offered
from dia2.inspect.trace.load import load
from dia2.inspect.trace.trace import Trace
from dia2.inspect.views.explorer.instead import Beside
from dia2.inspect.views.explorer.saved import told
from dia2.inspect.views.explorer.widget import Explorer

_STYLE = {"description_width": "90px"}


class Lab(widgets.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """Controls, and the explorer of the run beside its last fork.

    From code, of Dia2: `lab.cfg.value = 3; lab.fork(); lab.forked`.
    """

    def __init__(
        self,
        trace: Trace[Any],
        tts: Any,
        folder: str | Path | None = None,
        steer: Mapping[str, Any] | None = None,
    ) -> None:
        """See `Trace.lab`."""
        self._knobs: Knobs = offered(trace, "knobs")(trace, tts, steer or {})
        if folder is not None and not is_folder(Path(folder)):
            raise UsageError(f"Folder {folder} does not exist: create it, or leave it out for a temporary one.")
        self.trace, self.tts = trace, tts
        self.forked: Trace[Any] | None = None  # the last fork
        self._folder = Path(mkdtemp(prefix="dia2-lab-")) if folder is None else Path(folder)
        if folder is None:
            weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._made = 0
        first, last, seed = self._knobs.first, len(trace) - 1, self._knobs.seed
        self.call = widgets.BoundedIntText(first, min=first, max=last, description="from call", style=_STYLE)
        self.seed = widgets.BoundedIntText(seed, min=0, max=max(seed, 2**31), description="seed", style=_STYLE)
        self._controls = {knob.name: _control(knob) for knob in self._knobs.knobs()}
        choices = [each for each in self._controls.values() if isinstance(each, widgets.Dropdown)]
        sliders = [each for each in self._controls.values() if each not in choices]
        self.button = widgets.Button(description="Fork", button_style="primary", icon="code-fork")
        self.button.on_click(lambda _: self.fork())
        self.bar = widgets.IntProgress(0, min=0, max=1, layout={"visibility": "hidden"})
        self.told = widgets.Label("Choose a call, and what should be different from there on.")
        self._beside = Beside("its controls need a kernel, so run the notebook's cell again.")
        self._first = Explorer(trace, tts=tts, cell=self._beside.cell)
        self._shown = widgets.Box([self._first], layout={"width": "100%", "display": "block"})
        left = widgets.VBox([self.call, *choices, self.seed])
        right = widgets.VBox([*sliders, widgets.HBox([self.button, self.bar])])
        super().__init__([widgets.HBox([left, right]), self.told, self._shown])

    def __getattr__(self, name: str) -> Any:
        """A control by the name of its knob."""
        controls = self.__dict__.get("_controls", {})
        if name not in controls:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return controls[name]

    def __repr__(self) -> str:
        return f"<Lab of {self.trace.path.name}: {self.told.value}>"

    def _ipython_display_(self) -> None:
        self._beside.display(self, told(self.trace, repr(self)), self._first.kept())

    def edits(self) -> list[Any]:
        """What the controls ask for, besides the seed."""
        return self._knobs.edits(self.call.value, {name: each.value for name, each in self._controls.items()})

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
        except KeyboardInterrupt:  # that of a family, too, which holds what there is
            if is_folder(path):
                self._show(path, "Stopped early. ")
            else:
                self.told.value = "Stopped before the first call."
        except Dia2Error as error:
            self.told.value = str(error)
        finally:
            self.button.disabled, self.bar.layout.visibility = False, "hidden"

    def _show(self, path: Path, told: str) -> None:
        self.forked = load(path)
        self._shown.children = [Explorer(self.trace, other=self.forked, cell=self._beside.cell)]
        found = self.trace.diff(self.forked)
        first = found.first
        if first is None or not found.parts:
            self.told.value = f"{told}The fork is the same run, call for call."
        else:
            self.told.value = f"{told}They part at call {found.shared}, by {first.what}: {first.a} | {first.b}"

    def _progress(self, now: Progress) -> None:
        self.bar.max, self.bar.value = max(1, now.words_total), now.words


def _control(knob: Knob) -> Any:
    if knob.options:
        # By its index: a value of None would be no change to ipywidgets, and hosts show an index of None as a blank.
        index = [value for _, value in knob.options].index(knob.value)
        return widgets.Dropdown(options=list(knob.options), index=index, description=knob.label, style=_STYLE)
    return widgets.FloatSlider(
        knob.value, min=knob.least, max=knob.most, step=knob.step, description=knob.label, style=_STYLE
    )
