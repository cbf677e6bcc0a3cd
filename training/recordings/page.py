"""The report as one page that needs nothing else: figures, faults, and the worst recordings to be heard."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable
from pathlib import Path

import soundfile

from dia2.common.errors import UsageError
from dia2.common.files import write_atomically
from dia2.common.messages import printable
from dia2.common.wording import counted
from training.recordings.clips import Fault
from training.recordings.doubts import Ready, worst
from training.recordings.reading import read_clip
from training.recordings.report import Summary

_RATE = 16_000  # Hz of the sound in the page: enough to hear words by
_LONGEST = 20.0  # seconds of each
_SHOWN = 1000  # rows of faults; all are in the terminal
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; media-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width">
<title>Recordings</title>
<style>
:root {{ color-scheme: light dark; font: 16px/1.45 system-ui, sans-serif; }}
body {{ max-width: 68rem; margin: 2rem auto; padding: 0 1rem; }}
h2 {{ margin: 2.2rem 0 .6rem; font-size: 1.15rem; }}
table {{ border-collapse: collapse; width: 100%; }}
th, td {{ text-align: left; vertical-align: top; padding: .4rem .8rem .4rem 0; border-bottom: 1px solid #8884; }}
td {{ overflow-wrap: anywhere; }}
.figures {{ width: auto; }}
.figures th {{ font-weight: 400; opacity: .75; }}
.number {{ text-align: right; white-space: nowrap; }}
.doubt {{ color: light-dark(#a11, #f99); }}
.heard {{ opacity: .75; }}
audio {{ width: 16rem; height: 2.2rem; }}
</style>
</head>
<body>
<h1>Recordings</h1>
<table class="figures">{figures}</table>
{parts}
</body>
</html>
"""


def write_page(path: Path, summary: Summary) -> None:
    """Write the page, whole or not at all.

    Raises:
        Dia2Error: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, page(summary).encode())


def page(summary: Summary) -> str:
    """The page's HTML; whatever comes from the recordings is text in it."""
    figures = "".join(f"<tr><th>{_text(name)}</th><td>{_text(value)}</td></tr>" for name, value in summary.rows())
    parts = [
        _worst(worst(summary.ready)),
        _faults("Cannot be used", summary.faults),
        _faults("Not quite right, and used all the same or left out", summary.notes),
    ]
    return _PAGE.format(figures=figures, parts="\n".join(part for part in parts if part))


def _worst(found: list[Ready]) -> str:
    if not found:
        return ""
    rows = "".join(
        f"<tr><td>{_text(one.judged.clip.name)}<br>{_player(one)}</td>"
        f'<td class="number">{"–" if one.prepared.matched is None else f"{one.prepared.matched:.0%}"}</td>'
        f'<td class="number">{one.words_a_second:.1f}</td>'
        f'<td>{_text(one.text)}<div class="heard">{_text(one.prepared.heard)}</div></td>'
        f'<td class="doubt">{_text("; ".join(one.doubts))}</td></tr>'
        for one in found
    )
    head = "<tr><th>recording</th><th>heard</th><th>words a second</th><th>transcript, and what Whisper heard</th>"
    return f"<h2>The worst: listen to them</h2><table>{head}<th>doubtful, because</th></tr>{rows}</table>"


def _player(one: Ready) -> str:
    """Its sound, or the beginning of it."""
    try:
        sound = read_clip(one.judged.clip, _RATE)
    except (UsageError, OSError):  # the file went away meanwhile; the page is about what there was
        return "(its sound is not there any more)"
    buffer = io.BytesIO()
    soundfile.write(
        buffer, sound.samples[: round(_LONGEST * _RATE)].clamp(-1, 1).numpy(), _RATE, format="WAV", subtype="PCM_16"
    )
    content = base64.b64encode(buffer.getvalue()).decode()
    return f'<audio controls preload="metadata" src="data:audio/wav;base64,{content}"></audio>'


def _faults(title: str, faults: tuple[Fault, ...]) -> str:
    if not faults:
        return ""
    rows = "".join(_row((fault.name, fault.what)) for fault in faults[:_SHOWN])
    if len(faults) > _SHOWN:
        rows += _row((f"and {counted(len(faults) - _SHOWN, 'more fault')}", ""))
    return f"<h2>{_text(title)}</h2><table><tr><th>recording</th><th>what</th></tr>{rows}</table>"


def _row(cells: Iterable[str]) -> str:
    return "<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in cells) + "</tr>"


def _text(text: str) -> str:
    return html.escape(printable(text, joined=True))
