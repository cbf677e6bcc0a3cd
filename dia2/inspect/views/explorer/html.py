"""The explorer as one HTML file that needs no kernel and no network.

The file runs no script and uses no style but its own: its Content-Security-Policy names them by their hashes and
forbids everything else. What comes from the trace is base64, or JSON without a `<`.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dia2.common.files import write_atomically
from dia2.inspect.trace.recordings import told_of
from dia2.inspect.trace.trace import Trace
from dia2.inspect.views.explorer.bundle import script, style
from dia2.inspect.views.explorer.payload import check_alone, difference_of, payload

_PAGE_STYLE = (
    ":root { color-scheme: light dark; } html, body { margin: 0; height: 100%; } "
    "body { display: flex; flex-direction: column; } #explorer { flex: 1 0 auto; } "
    "#explorer:is(:not(.narrow), .phone) { flex: 1 1 0; height: auto; min-height: 560px; } "
    "#told { padding: 4px 16px; font: 12px/1.4 system-ui, sans-serif; }"
)
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
{told}<main id="explorer">{noscript}</main>
{views}
<script type="application/json" id="options">{options}</script>
<script type="module">{script}</script>
</body>
</html>
"""
_NOSCRIPT = "This page draws a trace by its own script, which this viewer does not run."


def to_html(
    trace: Trace[Any],
    path: str | Path,
    *,
    other: Trace[Any] | None = None,
    tts: Any = None,
    books: Sequence[Sequence[int]] = (),
    call: int | None = None,
    script: int = 0,
    voice: bool = True,
    notes: bool = True,
    replay: Any = None,
) -> Path:
    """Write the explorer of a trace as one HTML file.

    Args:
        trace: what to show.
        path: of the file; replaced as a whole.
        other: a second trace to compare with.
        tts: an engine with the run's codec, if codebooks are to be heard apart.
        books: which codebooks to put into the file beside the whole sound, such as `[[0], [0, 1]]`.
        call: where to begin.
        script: which, from 0.
        voice: with the recordings that the run was given, which the page says in words. Without them, the codes of the
            prefix and what the run's sound holds of it are left out too; what the run made stays.
        notes: with those that are pinned to calls.
        replay: `trace.replay(tts, calls, attention=True)`: the page then shows where those calls look, and all logits
            of their draws, as far as 1.5 MB hold them; it says what was left out.

    Raises:
        TraceError: a trace holds no calls, or is damaged; or the two are of different models.
        UsageError: there is no such codebook, or `books` without `tts`; or `tts` with a run of Dia; or the replay is
            of another run, or given with `other`.
    """
    check_alone(other, replay)
    options: dict[str, Any] = {}
    if other is not None:
        options["difference"] = difference_of(trace, other)
    packed = [payload(trace, tts, books, script=script, voice=voice, notes=notes, replay=replay)]
    if other is not None:
        packed.append(payload(other, script=script, voice=voice, notes=notes))
    if call is not None:
        options["call"] = trace.check_call(call)
    title = trace.path.name if other is None else f"{trace.path.name} and {other.path.name}"
    shown = [trace] if other is None else [trace, other]
    said = told_of(shown) if voice else ""
    write_page(Path(path), packed, options, title, said and f"This page {said}." if other is None else said)
    return Path(path)


def write_page(path: Path, packed: Sequence[bytes], options: dict[str, Any], title: str, told: str = "") -> None:
    """Write a page that shows packed views, see `payload`, and says what is `told` of it."""
    write_front(path, packed, options, title, script=script("page"), style=style(), noscript=_NOSCRIPT, told=told)


def write_front(
    path: Path,
    packed: Sequence[bytes],
    options: dict[str, Any],
    title: str,
    *,
    script: str,
    style: str,
    noscript: str,
    told: str = "",
) -> None:
    """Write a page that shows packed data by a script of ours.

    Args:
        path: of the file; replaced as a whole.
        packed: what is shown.
        options: of the script.
        title: of the page.
        script: the front end for pages.
        style: its style sheets.
        noscript: what stands there where scripts do not run.
        told: a line above it all.
    """
    views = "\n".join(
        f'<script type="application/dia2view">{base64.b64encode(data).decode()}</script>' for data in packed
    )
    sheet = style + _PAGE_STYLE
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(sheet)}; "
        "media-src blob:; base-uri 'none'; form-action 'none'"
    )
    page = _PAGE.format(
        policy=policy,
        title=html.escape(title),
        told=f'<header id="told">{html.escape(told)}</header>\n' if told else "",
        style=sheet,
        noscript=html.escape(noscript),
        views=views,
        options=json.dumps(options).replace("<", "\\u003c"),
        script=script,
    )
    write_atomically(path, page.encode())


def _hash(text: str) -> str:
    """How a Content-Security-Policy names an inline script or style."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
