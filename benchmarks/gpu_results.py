"""The file of `gpu.py`: whole at any time, since it is replaced whenever a step has said something."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gpu_figures import Claim, Figure
from gpu_limits import Limits, limits_of
from gpu_plan import Step
from rich.markup import escape
from rich.table import Table

from dia2.common.files import write_atomically

FORMAT = 1
FAULTS = ("fault", "broke", "died", "hung")
MARKS = {"well": "✓", "cut": "✂", "dropped": "–", "running": "…", "waiting": " "}  # else ✗


@dataclass
class Outcome:
    """What came of a step, so far."""

    step: str
    limit: float  # seconds it may take
    state: str = "waiting"  # running, well, cut, dropped, or one of FAULTS
    seconds: float = 0.0
    why: str = ""  # of a state that is not `well`
    figures: list[dict[str, Any]] = field(default_factory=list)
    claims: list[dict[str, Any]] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)  # figures that cannot be, claims that do not hold
    log: str = ""  # the end of what it printed, where it did not end well

    def said(self) -> list[str]:
        """Lines for people."""
        lines = [self.why] if self.why else []
        for content in self.figures:
            share = content.get("share")
            figure = Figure(**{name: value for name, value in content.items() if name != "share"})
            lines.append(f"{figure.name}: {figure.text}" + (f", {share:.0%} of the floor" if share else ""))
        lines += [f"{_mark(claim['holds'])} {claim['what']}: {claim['said']}" for claim in self.claims]
        return lines + [f"✗ {fault}" for fault in self.faults]


class Results:
    """All outcomes, and the file."""

    def __init__(self, path: Path, steps: Sequence[Step], budget: float) -> None:
        """Write the file anew: all steps are waiting."""
        self._path, self.budget, self._began = path, budget, time.monotonic()
        self.device: dict[str, Any] = {}
        self.limits = Limits()
        self.outcomes = {step.name: Outcome(step.name, step.seconds) for step in steps}
        self.write()

    @property
    def spent(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._began

    def begin(self, name: str) -> Outcome:
        """A step is running."""
        outcome = self.outcomes[name]
        outcome.state = "running"
        self.write()
        return outcome

    def hear(self, name: str, kind: str, content: Mapping[str, Any]) -> None:
        """A step has said something: it is judged, and written."""
        outcome = self.outcomes[name]
        if kind == "figure":
            figure = Figure(**content)
            fault = self.limits.fault(figure)
            if fault is not None:
                outcome.faults.append(fault)
            else:
                self.limits = self.limits.after(figure)
            outcome.figures.append(asdict(figure) | {"share": self.limits.share(figure)})
        elif kind == "claim":
            claim = Claim(**content)
            outcome.claims.append(asdict(claim))
            if claim.holds == "fault":
                outcome.faults.append(f"does not hold: {claim.what}")
        elif kind == "note" and content["name"] == "device":
            self.device = dict(content["value"])
            self.limits = limits_of(self.device)
        elif kind == "note":
            outcome.notes[content["name"]] = content["value"]
        else:
            assert kind == "broke", f"a step says figure, claim, note or broke, not {kind}"
            outcome.state, outcome.why = "broke", content["error"]
        self.write()

    def end(self, name: str, state: str, why: str, seconds: float, log: str) -> Outcome:
        """A step is over: `well`, unless what it said was a fault, `cut`, `died` or `hung`."""
        outcome = self.outcomes[name]
        outcome.seconds = seconds
        if state != "well" and outcome.state != "broke":
            outcome.state, outcome.why = state, why
        elif outcome.state != "broke":
            outcome.state = "fault" if outcome.faults else "well"
        if outcome.state in FAULTS:
            outcome.log = log
        self.write()
        return outcome

    def drop(self, name: str, why: str) -> Outcome:
        """A step is left out."""
        outcome = self.outcomes[name]
        outcome.state, outcome.why = "dropped", why
        self.write()
        return outcome

    def write(self) -> None:
        """Replace the file."""
        content = {
            "format": FORMAT,
            "device": self.device,
            "limits": asdict(self.limits),
            "budget": self.budget,
            "spent": round(self.spent, 1),
            "steps": [asdict(outcome) for outcome in self.outcomes.values()],
        }
        write_atomically(self._path, (json.dumps(content, indent=1) + "\n").encode())


def read(path: Path) -> tuple[dict[str, Any], list[Outcome]]:
    """A file of `Results`: all of it, and its outcomes."""
    content = json.loads(path.read_text(encoding="utf-8"))
    return content, [Outcome(**one) for one in content["steps"]]


def table(device: Mapping[str, Any], outcomes: Sequence[Outcome]) -> Table:
    """What came of each step, a row each."""
    rows = Table("step", "", "s", escape(str(device.get("name", "no device"))))
    for outcome in outcomes:
        rows.add_row(outcome.step, _mark(outcome.state), f"{outcome.seconds:.0f}", escape("\n".join(outcome.said())))
    return rows


def _mark(state: str) -> str:
    return "?" if state == "unclear" else MARKS.get(state, "✗")
