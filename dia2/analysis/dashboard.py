"""One feature of an autoencoder on a page of its own: HTML without scripts, which any notebook and browser shows."""

from __future__ import annotations

import base64
import io
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np

from dia2.adapter.trace import Dia2Trace
from dia2.analysis.firing import Features, Moment, Told
from dia2.analysis.gather import check_traces
from dia2.common.checks import counted_from_0
from dia2.common.errors import UsageError
from dia2.common.files import check_writable, write_atomically

_ROWS = 8  # values of labels that are shown
_WIDTH, _HEIGHT = 320, 90  # of the histogram

_STYLE = """
.dia2-feature { color-scheme: light dark; --ink: #1f2328; --dim: #59636e; --line: #d1d9e0; --bar: #4269d0; --page: #fff;
  color: var(--ink); background: var(--page); font: 14px/1.45 system-ui, sans-serif; max-width: 60rem; padding: 1rem;
  box-sizing: border-box; border-radius: 6px }
@media (prefers-color-scheme: dark) { .dia2-feature { --ink: #e6edf3; --dim: #9198a1; --line: #3d444d; --bar: #6d8ee8;
  --page: #0d1117 } }
[data-jp-theme-light="true"] .dia2-feature { color-scheme: light; --ink: #1f2328; --dim: #59636e; --line: #d1d9e0;
  --bar: #4269d0; --page: #fff }
[data-jp-theme-light="false"] .dia2-feature { color-scheme: dark; --ink: #e6edf3; --dim: #9198a1; --line: #3d444d;
  --bar: #6d8ee8; --page: #111 }
.dia2-feature h2 { font-size: 1.15rem; margin: 0 }
.dia2-feature p { color: var(--dim); margin: .1rem 0 1rem }
.dia2-feature h3 { font-size: .95rem; margin: 0 0 .3rem }
.dia2-feature .columns { display: flex; flex-wrap: wrap; gap: 1.5rem 2.5rem; margin-bottom: 1.25rem }
.dia2-feature table { border-collapse: collapse; background: none; margin: 0; font-size: .9rem; color: inherit }
.dia2-feature tr { background: none !important }
.dia2-feature th, .dia2-feature td { text-align: left; padding: .2rem .9rem .2rem 0; border: 0;
  border-bottom: 1px solid var(--line); white-space: nowrap; color: inherit }
.dia2-feature th { color: var(--dim); font-weight: 500 }
.dia2-feature .number { text-align: right; font-variant-numeric: tabular-nums }
.dia2-feature td.said { white-space: normal; color: var(--dim) }
.dia2-feature td.said b { color: var(--ink) }
.dia2-feature audio { height: 2rem; width: 15rem; display: block }
.dia2-feature .wide { overflow-x: auto }
.dia2-feature svg text { fill: var(--dim); font-size: 10px }
.dia2-feature svg rect { fill: var(--bar) }
.dia2-feature svg line { stroke: var(--line) }
"""
_PAGE = ":root { color-scheme: light dark } body { margin: 0 }"


@dataclass(frozen=True)
class Dashboard:
    """A feature, as a notebook shows it."""

    feature: int
    summary: str  # of one line
    html: str  # of the page's body, all that comes from data escaped

    def __repr__(self) -> str:
        return f"<Dashboard of {self.summary}>"

    def _repr_html_(self) -> str:
        return self.html

    def save(self, path: str | Path) -> None:
        """Write it as one HTML file for any browser, its sound inside, whole or not at all.

        Raises:
            UsageError: no file can be there.
            Dia2Error: the disk is full.
        """
        check_writable(path)
        head = f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(self.summary)}</title>'
        view = '<meta name="viewport" content="width=device-width">'
        whole = f"{head}{view}<style>{_PAGE}</style></head><body>{self.html}</body></html>\n"
        write_atomically(path, whole.encode())


def dashboard(found: Features, feature: int, traces: Sequence[Dia2Trace] | Dia2Trace) -> Dashboard:
    """See `Features.dashboard`."""
    number, count = counted_from_0(feature, "feature"), len(found.frequency)
    if not 0 <= number < count:
        raise UsageError(f"There is no feature {number}: this autoencoder has features 0 … {count - 1}.")
    listed, moments = check_traces(traces, "dashboard"), found.top[number]
    if moments and max(moment.run for moment in moments) >= len(listed):
        raise UsageError(f"The table was made of more than these {len(listed)} traces: give the same ones.")
    summary = f"feature {number}: above zero in {found.frequency[number]:.1%} of {found.calls:,} calls"
    mean = f", {found.mean[number]:.3g} in the mean there, {found.largest[number]:.3g} at most" if moments else ""
    parts = [
        f"<style>{_STYLE}</style>",
        f"<h2>Feature {number}</h2><p>{escape(summary.partition(': ')[2])}{mean}</p>",
        f'<div class="columns">{_histogram(found, number)}{_rates(found, number)}</div>',
        "<h3>Where it is largest</h3>",
        _moments(moments, listed) if moments else "<p>Nowhere: it is dead in these runs.</p>",
    ]
    return Dashboard(number, summary, f'<div class="dia2-feature">{"".join(parts)}</div>')


def _histogram(found: Features, feature: int) -> str:
    counts, most = found.histogram[feature], max(int(found.histogram[feature].max()), 1)
    step = _WIDTH / len(counts)
    bars = []
    for number, calls in enumerate(counts):
        if not calls:
            continue
        height = max(_HEIGHT * float(calls) / most, 1.0)  # one call among thousands is seen, too
        place = f'x="{number * step + 0.5:.1f}" y="{_HEIGHT - height:.1f}" width="{step - 1:.1f}" height="{height:.1f}"'
        bars.append(f"<rect {place}><title>{int(calls)} calls</title></rect>")
    label = f"how often the feature has which value: {int(counts.sum())} calls, {most} at most in a bar"
    return (
        f'<div><h3>Values above zero</h3><svg role="img" aria-label="{label}" width="{_WIDTH}" height="{_HEIGHT + 16}">'
        f'{"".join(bars)}<line x1="0" x2="{_WIDTH}" y1="{_HEIGHT}" y2="{_HEIGHT}"/>'
        f'<text x="0" y="{_HEIGHT + 13}">0</text><text x="{_WIDTH}" y="{_HEIGHT + 13}" text-anchor="end">'
        f"{found.largest[feature]:.3g}</text></svg></div>"
    )


def _rates(found: Features, feature: int) -> str:
    """The labels that it tells best, beside what saying yes in every call would have."""

    def f1(one: Told) -> float:
        precision, recall = float(one.precision[feature]), float(one.recall[feature])
        return 2 * precision * recall / (precision + recall) if precision + recall else 0.0

    told = sorted(found.told, key=f1, reverse=True)[:_ROWS]
    if not told:
        return ""
    head = "".join(f'<th class="number">{name}</th>' for name in ("precision", "recall", "always yes", "calls"))
    rows = []
    for one in told:
        shares = (one.precision[feature], one.recall[feature], one.share)
        cells = "".join(f'<td class="number">{share:.0%}</td>' for share in shares)
        rows.append(f'<tr><td>{escape(_name(one))}</td>{cells}<td class="number">{one.calls:,}</td></tr>')
    return (
        f"<div><h3>What it tells, of these calls</h3><table><tr><th>label</th>{head}</tr>{''.join(rows)}</table></div>"
    )


def _name(one: Told) -> str:
    if one.label in ("silent", "voiced"):
        return one.label if one.value else f"not {one.label}"
    return f"{one.label} {one.value}"


def _moments(moments: Sequence[Moment], traces: Sequence[Dia2Trace]) -> str:
    rows = []
    for moment in moments:
        words = (
            f"{escape(moment.before)} <b>{escape(moment.word)}</b> {escape(moment.after)}" if moment.word else "no word"
        )
        speaker = f"[S{moment.speaker}]" if moment.speaker else ""
        name = f"{moment.word or 'no word'}, run {moment.run}, call {moment.call}"
        sound = _wav(*moment.play(traces))
        rows.append(
            f'<tr><td class="number">{moment.value:.3g}</td><td>{speaker}</td><td class="said">{words}</td>'
            f'<td class="number">{moment.run}</td><td class="number">{moment.call}</td>'
            f'<td><audio controls preload="metadata" aria-label="{escape(name)}" src="{sound}"></audio></td></tr>'
        )
    head = '<th class="number">value</th><th></th><th>words</th>'
    head += '<th class="number">run</th><th class="number">call</th><th>sound</th>'
    return f'<div class="wide"><table><tr>{head}</tr>{"".join(rows)}</table></div>'


def _wav(sound: np.ndarray, rate: int) -> str:
    """Samples [N] as a data URL."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(np.round(np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes())
    return f"data:audio/wav;base64,{base64.b64encode(file.getvalue()).decode()}"
