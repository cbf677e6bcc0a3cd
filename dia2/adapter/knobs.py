"""What the lab lets people change of a run of Dia2."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from dia2.adapter import ADAPTER
from dia2.adapter.checkpoint import check_checkpoint
from dia2.adapter.trace import Dia2Trace
from dia2.common.checks import short
from dia2.common.errors import TraceError, UsageError
from dia2.engine import Dia2
from dia2.inspect.schema.knob import OWN, Knob
from dia2.runtime.activations import Steer
from dia2.runtime.edits import ChangeSampling, Edit, ForceAction

_STRENGTH = 2.0  # times its scale, in both ways, that a direction can be added


class Dia2Knobs:
    """See `Knobs`."""

    def __init__(self, trace: Dia2Trace, tts: Dia2, steer: Mapping[str, Any]) -> None:
        """Check that they go together.

        Raises:
            UsageError: another checkpoint, no engine of Dia2, or something to steer by that is no `Steer`, or is called
                as another control is.
            TraceError: the trace was redacted, or holds no calls.
        """
        ADAPTER.check_engine(tts, "A lab")
        if not len(trace):
            raise TraceError(f"{trace.path} holds no calls to fork from ({trace.state}).")
        check_checkpoint(trace, tts.runtime)
        self._trace, self._steer = trace, dict(steer)
        self.first, self.seed = min(trace.run.prefix_frames, len(trace) - 1), trace.run.seed
        taken = {*OWN, *(knob.name for knob in self._plain())}
        for name, edit in self._steer.items():
            if not isinstance(edit, Steer):
                raise UsageError(f"A lab steers by edits such as Steer('act.1.resid', vector), not {short(edit)}.")
            if not isinstance(name, str) or not name or name in taken:
                raise UsageError(f"A control cannot be called {short(name)}: name it after the direction.")

    def knobs(self) -> list[Knob]:
        """See `Knobs`."""
        sliders = [Knob(name, name, 0.0, least=-_STRENGTH, most=_STRENGTH, step=0.05) for name in self._steer]
        return [*self._plain(), *sliders]

    def _plain(self) -> list[Knob]:
        """Those of every run."""
        config = self._trace.config_at(0)
        cfg, heat = config.cfg_scale, config.audio.temperature
        actions = (("as it is drawn", None), ("new_word", "new_word"), ("pad", "pad"))
        return [
            Knob("action", "action there", None, options=actions),
            Knob("cfg", "cfg", cfg, least=min(1.0, cfg), most=max(8.0, cfg), step=0.1),
            Knob("temperature", "temperature", heat, most=max(2.0, heat), step=0.05),
        ]

    def edits(self, call: int, values: Mapping[str, Any]) -> list[Edit]:
        """See `Knobs`."""
        config = self._trace.config_at(call)
        changes: dict[str, Any] = {}
        if values["cfg"] != config.cfg_scale:
            changes["cfg_scale"] = values["cfg"]
        if values["temperature"] != config.audio.temperature:
            changes["temp_audio"] = values["temperature"]
        edits: list[Edit] = [ChangeSampling(call, **changes)] if changes else []
        if values["action"] is not None:
            edits.append(ForceAction(call, values["action"]))
        strengths = {name: values[name] for name in self._steer if values[name]}
        steered = [replace(self._steer[name], scale=self._steer[name].scale * by) for name, by in strengths.items()]
        return [*edits, *steered]
