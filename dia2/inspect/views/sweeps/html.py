"""The explorer of a sweep as one HTML file that needs no kernel and no network."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

from dia2.common.checks import short
from dia2.common.errors import UsageError
from dia2.inspect.sweeps import dataset
from dia2.inspect.views.explorer.html import write_front
from dia2.inspect.views.sweeps.bundle import script, style
from dia2.inspect.views.sweeps.gathered import Gathered, gather
from dia2.inspect.views.sweeps.parting import partings
from dia2.inspect.views.sweeps.payload import payload
from dia2.inspect.views.sweeps.sounds import SOUND_BYTES, sounds_within, trace_of

_NOSCRIPT = "This page draws a sweep by its own script, which this viewer does not run."


def sweep_to_html(
    destination: str | Path,
    path: str | Path,
    *,
    sounds: int = SOUND_BYTES,
    pages: int = 0,
    voice: bool = True,
) -> Path:
    """Write the explorer of a sweep as one HTML file.

    Args:
        destination: what `dia2 sweep` has written to.
        path: of the file; replaced as a whole.
        sounds: bytes of sound that it may hold; the page says how many runs are heard.
        pages: of how many runs the own explorer is written too, beside its trace, if there is none; a run's name leads
            to it. Those of the runs that are heard first.
        voice: with what the runs' sounds hold of recordings that they go on from; else that is silent.

    Raises:
        UsageError: there is no dataset, or a number is none.
        Dia2Error: the dataset is damaged, or the file cannot be written.
    """
    for name, number in (("sounds", sounds), ("pages", pages)):
        if not isinstance(number, int) or isinstance(number, bool) or number < 0:
            raise UsageError(f"{name} is a whole number from 0, not {short(number)}.")
    found, path = gather(destination), Path(path)
    heard, told = sounds_within(found, sounds, voice=voice)
    _write_pages(found, [*heard, *range(len(found))], pages, voice)
    data = payload(found, partings(found), sounds=heard, pages=_pages(found, path), told=[told] if told else [])
    write_front(path, [data], {}, found.name, script=script("page"), style=style(), noscript=_NOSCRIPT)
    return path


def page_name(run: str) -> str:
    """Of a run's own page, in the destination."""
    return f"{dataset.TRACES}/{run}.html"


def _write_pages(found: Gathered, runs: list[int], count: int, voice: bool) -> None:
    if not count:
        return
    if found.there.local is None:
        raise UsageError(f"Pages of runs are written beside their traces, and {found.there} is not on this machine.")
    for run in [run for run in dict.fromkeys(runs) if found.traces[run]][:count]:
        page = found.there.local / page_name(found.raw_ids[run])
        if not page.exists():
            trace_of(found, run).to_html(page, voice=voice)


def _pages(found: Gathered, path: Path) -> dict[int, str]:
    """Addresses of the pages that are there, relative to the file."""
    if found.there.local is None:
        return {}
    there = {name for name in found.there.children(dataset.TRACES) if name.endswith(".html")}
    try:
        folder = Path(os.path.relpath(found.there.local.resolve(), path.resolve().parent)).as_posix()
    except ValueError:  # on another drive
        return {}
    runs = [run for run in range(len(found)) if found.traces[run] and f"{found.raw_ids[run]}.html" in there]
    return {run: quote(f"./{folder}/{page_name(found.raw_ids[run])}") for run in runs}
