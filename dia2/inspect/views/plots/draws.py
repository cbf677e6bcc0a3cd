"""The candidates of one draw, before and after guidance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dia2.common.checks import short
from dia2.common.errors import TraceError, UsageError
from dia2.common.messages import printable
from dia2.inspect.schema.report import Facts
from dia2.inspect.schema.report_draws import draw_facts
from dia2.inspect.trace.header import no_draws
from dia2.inspect.trace.trace import Trace
from dia2.inspect.views.plots import page

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_REMOVED = "#b9c0c8"
_ROW = "#fbe6d8"  # behind the choice


def candidates(trace: Trace[Any], call: int, draw: str | None = None, *, script: int = 0) -> Figure:
    """What one draw chose among: its recorded candidates with conditional and guided logits side by side.

    The best by conditional logit comes first. Guidance decides by the guided logits who may be drawn: those it removed
    are pale and hollow. How likely each of the others is follows from the conditional logits. The choice is marked.

    Args:
        trace: of level topk or full.
        call: counted from 0.
        draw: action, cb0, or dep.k for codebook k; of Dia channel.c; `None`: the first of a call.
        script: whose, from 0.

    Raises:
        UsageError: a run has no such draw.
        TraceError: there is no such call, or the trace kept no such draw of it.
        Dia2Error: matplotlib is missing.
    """
    page.check_trace(trace, "plots.candidates")
    call = trace.check_call(call)
    draw = next(iter(trace.adapter.draw_columns(trace.codebooks))) if draw is None else draw
    found = _find(trace, call, draw, script)
    rows, choice = found["candidates"], found["choice"]
    figure = page.new_figure(1.15 + 0.185 * max(2, len(rows)))
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, field in ((left, "cond"), (right, "guided")):
        _dots(axes, rows, field, choice)
    left.set_yticks(range(len(rows)), [printable(str(row["name"] or row["id"])) for row in rows])
    left.set_ylim(len(rows) - 0.4, -0.6)
    for label, row in zip(left.get_yticklabels(), rows, strict=True):
        label.set_color(page.INK if row["kept"] else page.GREY)
        label.set_fontweight("bold" if row["id"] == choice else "normal")
    sampling, guidance = trace.sampling(call, draw)
    left.set_xlabel("conditional logit: how likely" + f" ({sampling})" * bool(sampling), fontsize=8)
    right.set_xlabel("guided logit: which may be drawn" + f" ({guidance})" * bool(guidance), fontsize=8)
    page.headline(left, f"Candidates of {draw}", "")
    page.headline(right, "", _told(trace, call, found))
    page.legend(figure, _legend(rows))
    return figure


def _find(trace: Trace[Any], call: int, name: str, script: int) -> Facts:
    names = list(trace.adapter.draw_columns(trace.codebooks))
    if name not in names:
        told = f"{', '.join(names[:2])} and {names[2]} … {names[-1]}" if len(names) > 3 else ", ".join(names)
        raise UsageError(f"There is no draw {short(name)}: a run has {told}.")
    draws = trace.draws(call, script)
    found = next((draw for draw in draws if draw.name == name), None)
    if found is None:
        kept = ", ".join(trace.manifest.draws)
        why = f"this trace keeps only {kept}." if draws else no_draws(trace, call)
        raise TraceError(f"Call {call} of {trace.path} has no candidates of {name}: {why}")
    return draw_facts(found, trace.token_names(name))


def _dots(axes: Axes, rows: list[Facts], field: str, choice: int) -> None:
    """One logit of every candidate: a dot, and its number beside it."""
    page.style(axes, spines=("bottom",))
    axes.tick_params(axis="y", length=0)
    for y, row in enumerate(rows):
        chosen, kept, value = row["id"] == choice, row["kept"], row[field]
        axes.axhline(y, color=page.PALE, linewidth=0.6, zorder=0)
        if chosen:
            axes.axhspan(y - 0.5, y + 0.5, color=_ROW, zorder=0).set_gid("choice")
        if value is None:  # JSON's facts have no infinities
            axes.text(
                0.02, y, "not finite", transform=axes.get_yaxis_transform(), fontsize=page.SMALL, va="center_baseline"
            )
            continue
        ink = page.NEW if chosen else page.SPEAKER[1] if kept else _REMOVED
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
            fontsize=page.SMALL,
            color=page.INK if kept else page.GREY,
            bbox={"facecolor": _ROW if chosen else "white", "edgecolor": "none", "pad": 0.5},
        )
    axes.margins(x=0.16)


def _told(trace: Trace[Any], call: int, found: Facts) -> str:
    rows = found["candidates"]
    name = next((row["name"] for row in rows if row["id"] == found["choice"]), None) or found["choice"]
    chance = "" if found["probability"] is None else f", p = {found['probability']:.3f}"
    kept = sum(row["kept"] for row in rows)
    return f"{trace.place(call)} · {name} chosen{chance} · {kept} of {len(rows)} kept"


def _legend(rows: list[Facts]) -> list[tuple[str, dict[str, object]]]:
    entries: list[tuple[str, dict[str, object]]] = [
        ("chosen", {"marker": "D", "color": page.NEW, "markersize": 5.5}),
        ("kept by guidance", {"marker": "o", "color": page.SPEAKER[1], "markersize": 4.5}),
    ]
    if not all(row["kept"] for row in rows):
        hollow = {"marker": "o", "color": _REMOVED, "markerfacecolor": "white", "markersize": 4.5}
        entries.append(("removed", hollow))
    return entries
