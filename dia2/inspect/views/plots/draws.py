"""The candidates of one draw, before and after guidance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dia2.adapter.checks import check_trace
from dia2.adapter.layout import draw_names
from dia2.adapter.reports.call import call_facts
from dia2.adapter.trace import Dia2Trace
from dia2.common.checks import short
from dia2.common.errors import TraceError, UsageError
from dia2.common.messages import printable
from dia2.inspect.schema.report import Facts
from dia2.inspect.views.plots.page import GREY, INK, NEW, PALE, SMALL, SPEAKER, headline, legend, new_figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_REMOVED = "#b9c0c8"
_ROW = "#fbe6d8"  # behind the choice


def candidates(trace: Dia2Trace, call: int, draw: str = "action") -> Figure:
    """What one draw chose among: its recorded candidates with conditional and guided logits side by side.

    The best by conditional logit comes first. Guidance decides by the guided logits who may be drawn: those it removed
    are pale and hollow. How likely each of the others is follows from the conditional logits. The choice is marked.

    Args:
        trace: of level topk or full.
        call: counted from 0.
        draw: action, cb0, or dep.k for codebook k.

    Raises:
        UsageError: a run has no such draw.
        TraceError: there is no such call, or the trace kept no such draw of it.
        Dia2Error: matplotlib is missing.
    """
    check_trace(trace, "plots.candidates")
    facts = call_facts(trace, call, times=False)
    found = _find(trace, facts, draw)
    rows, choice = found["candidates"], found["choice"]
    figure = new_figure(1.15 + 0.185 * max(2, len(rows)))
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, field in ((left, "cond"), (right, "guided")):
        _dots(axes, rows, field, choice)
    left.set_yticks(range(len(rows)), [printable(str(row["name"] or row["id"])) for row in rows])
    left.set_ylim(len(rows) - 0.4, -0.6)
    for label, row in zip(left.get_yticklabels(), rows, strict=True):
        label.set_color(INK if row["kept"] else GREY)
        label.set_fontweight("bold" if row["id"] == choice else "normal")
    sampling, guidance = _settings(facts, draw)
    left.set_xlabel(f"conditional logit: how likely ({sampling})", fontsize=8)
    right.set_xlabel(f"guided logit: who may be drawn ({guidance})", fontsize=8)
    headline(left, f"Candidates of {draw}", "")
    headline(right, "", _told(facts, found))
    legend(figure, _legend(rows))
    return figure


def _find(trace: Dia2Trace, facts: Facts, name: str) -> Facts:
    names = draw_names(trace.model.codebooks)
    if name not in names:
        raise UsageError(f"There is no draw {short(name)}: a run has action, cb0 and dep.1 … {names[-1]}.")
    found: Facts | None = next((draw for draw in facts["draws"] if draw["name"] == name), None)
    if found is None:
        kept = ", ".join(trace.manifest.draws)
        why = facts["no_draws"] or f"this trace keeps only {kept}."
        raise TraceError(f"Call {facts['call']} of {trace.path} has no candidates of {name}: {why}")
    return found


def _dots(axes: Axes, rows: list[Facts], field: str, choice: int) -> None:
    """One logit of every candidate: a dot, and its number beside it."""
    style(axes, spines=("bottom",))
    axes.tick_params(axis="y", length=0)
    for y, row in enumerate(rows):
        chosen, kept, value = row["id"] == choice, row["kept"], row[field]
        axes.axhline(y, color=PALE, linewidth=0.6, zorder=0)
        if chosen:
            axes.axhspan(y - 0.5, y + 0.5, color=_ROW, zorder=0).set_gid("choice")
        if value is None:  # JSON's facts have no infinities
            axes.text(0.02, y, "not finite", transform=axes.get_yaxis_transform(), fontsize=SMALL, va="center_baseline")
            continue
        ink = NEW if chosen else SPEAKER[1] if kept else _REMOVED
        look: dict[str, Any] = {
            "color": ink,
            "markerfacecolor": ink if kept else "white",
            "markersize": 5.5 if chosen else 4.5,
        }
        (dot,) = axes.plot([value], [y], "D" if chosen else "o", clip_on=False, **look)
        dot.set_gid("kept" if kept else "removed")
        axes.annotate(
            f"{value:.2f}".replace("-", "−"),
            (value, y),
            (6, 0),
            textcoords="offset points",
            va="center_baseline",
            fontsize=SMALL,
            color=INK if kept else GREY,
            bbox={"facecolor": _ROW if chosen else "white", "edgecolor": "none", "pad": 0.5},
        )
    axes.margins(x=0.16)


def _settings(facts: Facts, draw: str) -> tuple[str, str]:
    """How the draw was sampled, and how it was guided, in words."""
    sampling = facts["sampling"]
    own, scale, best = (
        sampling["text" if draw == "action" else "audio"],
        sampling["cfg_scale"],
        sampling["cfg_filter_k"],
    )
    drawn = f"T {own['temperature']:g}, top-k {own['top_k']}" if own["temperature"] > 0 else "argmax"
    off = scale == 1.0 or best <= 0
    return drawn, f"cfg {scale:g}, all" if off else f"cfg {scale:g}, best {best}"


def _told(facts: Facts, found: Facts) -> str:
    rows = found["candidates"]
    name = next((row["name"] for row in rows if row["id"] == found["choice"]), None) or found["choice"]
    chance = "" if found["probability"] is None else f", p = {found['probability']:.3f}"
    kept = sum(row["kept"] for row in rows)
    return f"call {facts['call']}, step {facts['step']} · {name} chosen{chance} · {kept} of {len(rows)} kept"


def _legend(rows: list[Facts]) -> list[tuple[str, dict[str, object]]]:
    entries: list[tuple[str, dict[str, object]]] = [
        ("chosen", {"marker": "D", "color": NEW, "markersize": 5.5}),
        ("kept by guidance", {"marker": "o", "color": SPEAKER[1], "markersize": 4.5}),
    ]
    if not all(row["kept"] for row in rows):
        hollow = {"marker": "o", "color": _REMOVED, "markerfacecolor": "white", "markersize": 4.5}
        entries.append(("removed", hollow))
    return entries
