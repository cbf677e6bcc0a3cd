"""The page of a comparison: both of every script, side by side, to be heard."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from pathlib import Path

from dia2.adapter.trace import Dia2Trace
from dia2.common.files import write_atomically
from dia2.inspect.views.explorer.html import to_html
from dia2.inspect.views.explorer.sound import trace_sound
from training.compare import SIDES, Change, Comparison, Heard, shown
from training.nearness import CRUDE

MOST_PAIRS = 40  # scripts that the page lets hear, each with its first seed: some 40 kB a run
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; media-src data:"
_STYLE = """
:root { color-scheme: light dark; --line: #8884; --bad: #c0392b; --good: #1e8449; }
@media (prefers-color-scheme: dark) { :root { --bad: #ff8a7a; --good: #6fdc9a; } }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 1080px; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; margin: 1rem 0 2rem; }
th, td { border-bottom: 1px solid var(--line); padding: .5rem .75rem .5rem 0; text-align: left; vertical-align: top; }
.number { font-variant-numeric: tabular-nums; white-space: nowrap; }
.worse, del { color: var(--bad); } .better { color: var(--good); }
ins { color: var(--bad); text-decoration: none; font-style: italic; }
.figures { overflow-x: auto; } .pairs { table-layout: fixed; } .pairs th:first-child { width: 26%; }
audio { width: 100%; height: 36px; } .heard { margin: .25rem 0 0; }
@media (max-width: 640px) { .pairs thead { display: none; } .pairs td { display: block; border: 0; padding: .25rem 0; }
  .pairs tr { border-bottom: 1px solid var(--line); display: block; padding: .75rem 0; } }
"""


def write_page(found: Comparison, report: Path) -> Path:
    """Write `report/index.html`, and the explorer of the two runs of each script that it lets hear."""
    pairs = list(_pairs(found))[:MOST_PAIRS]
    for number, (before, after) in enumerate(pairs, 1):
        to_html(_trace(report, before), report / _pair_page(number), other=_trace(report, after), voice=False)
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        "<meta name='viewport' content='width=device-width, initial-scale=1'>",
        f"<title>Before and after</title><style>{_STYLE}</style></head><body><h1>Before and after</h1>",
        *(f"<p class='worse' role='alert'><strong>{html.escape(text)}</strong></p>" for text in found.warnings),
        _figures(found.changes, len(found.scripts), len(found.runs)),
        f"<p>Nearness is {html.escape(CRUDE)}.</p>" if found.crude else "",
        "<h2>To be heard</h2><p>Words that were not heard are <del>struck out</del>, what was heard in their place "
        "stands <ins>in italics</ins>. One seed of each script; the explorer has both runs on one timeline.</p>",
        "<table class='pairs'><thead><tr><th scope='col'>Script</th><th scope='col'>Before</th>"
        "<th scope='col'>After</th></tr></thead><tbody>",
        *(_row(found, report, number, pair) for number, pair in enumerate(pairs, 1)),
        "</tbody></table></body></html>",
    ]
    path = report / "index.html"
    write_atomically(path, "\n".join(part for part in parts if part).encode())
    return path


def _pairs(found: Comparison) -> Iterator[tuple[Heard, Heard]]:
    """Of each script the runs of the first seed."""
    for script in range(len(found.scripts)):
        sides = {run.side: run for run in reversed(found.runs) if run.script == script}
        if len(sides) == len(SIDES):
            yield sides["before"], sides["after"]


def _figures(changes: Sequence[Change], scripts: int, runs: int) -> str:
    rows = []
    for change in changes:
        low, high = (shown(value, change.unit) for value in (change.low, change.high))
        kind = change.verdict if change.verdict in ("better", "worse") else ""
        cells = (shown(change.before, change.unit), shown(change.after, change.unit), f"{low} … {high}")
        rows.append(
            f"<tr><th scope='row'>{html.escape(change.what)}</th>"
            + "".join(f"<td class='number'>{cell}</td>" for cell in cells)
            + f"<td class='{kind}'>{html.escape(change.verdict)}</td></tr>"
        )
    return (
        f"<p>{scripts} scripts, {runs} runs; of the difference a 95 % interval, scripts drawn with replacement.</p>"
        "<div class='figures'><table><thead><tr><th></th><th scope='col'>before</th><th scope='col'>after</th>"
        f"<th scope='col'>difference</th><th></th></tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _row(found: Comparison, report: Path, number: int, pair: tuple[Heard, Heard]) -> str:
    script = html.escape(found.scripts[pair[0].script])
    cells = "".join(_cell(report, run) for run in pair)
    link = f"<a href='{_pair_page(number)}'>both in the explorer</a>"
    return f"<tr><td>{script}<br>{link}</td>{cells}</tr>"


def _cell(report: Path, run: Heard) -> str:
    sound = trace_sound(_trace(report, run), voice=False)
    player = "<p>no sound</p>"
    if sound is not None:
        data = base64.b64encode(sound.data).decode()
        player = f"<audio controls preload='none' aria-label='{run.side}' src='data:audio/mpeg;base64,{data}'></audio>"
    return (
        f"<td>{player}<p class='heard'>{_told(run)}</p><p class='number'>{run.wrong} of {len(run.asked)} wrong</p></td>"
    )


def _told(run: Heard) -> str:
    """What was asked for and what was heard, in one line."""
    parts = []
    for kind, a, b, c, d in SequenceMatcher(None, run.asked, run.heard, autojunk=False).get_opcodes():
        asked, heard = (html.escape(" ".join(words)) for words in (run.asked[a:b], run.heard[c:d]))
        if kind == "equal":
            parts.append(asked)
        else:
            parts += [f"<del>{asked}</del>"] if asked else []
            parts += [f"<ins>{heard}</ins>"] if heard else []
    return " ".join(parts)


def _pair_page(number: int) -> str:
    return f"pair-{number:02d}.html"


def _trace(report: Path, run: Heard) -> Dia2Trace:
    return Dia2Trace.load(report / run.trace)
