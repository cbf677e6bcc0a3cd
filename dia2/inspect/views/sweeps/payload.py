"""What the front end is given of a sweep: its runs as packed columns, where they part, and sounds."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

import numpy as np

from dia2.common.messages import printable
from dia2.inspect.schema.view import Header, View
from dia2.inspect.store.layout import SUFFIX
from dia2.inspect.sweeps import dataset
from dia2.inspect.views.explorer.pack import pack
from dia2.inspect.views.explorer.sound import MIME
from dia2.inspect.views.sweeps.gathered import Gathered, RunColumn
from dia2.inspect.views.sweeps.parting import Parting, scripts
from dia2.inspect.views.sweeps.telling import telling


def payload(
    found: Gathered,
    parted: Sequence[Parting],
    *,
    sounds: Mapping[int, bytes] | None = None,
    pages: Mapping[int, str] | None = None,
    told: Sequence[str] = (),
) -> bytes:
    """The packed runs.

    Args:
        found: the runs.
        parted: where those of each script part.
        sounds: MP3, by place of their run; `None`: each is asked for.
        pages: address of a run's own page, by its place, relative to this one.
        told: sentences about what is not there.
    """
    columns: dict[str, np.ndarray] = {"trace": np.array(found.traces, np.uint8)}
    shown = []
    for place, column in enumerate(found.columns):
        columns[f"column_{place}"] = column.values
        shown.append(_header(column, f"column_{place}"))
    maps = []
    for place, one in enumerate(parted):
        arrays = {"runs": one.runs, "call": one.call, "what": one.what, "calls": one.calls}
        columns |= {f"parting_{place}_{name}": array for name, array in arrays.items()}
        maps.append({"script": one.script, "of": one.of, "parts": one.parts, "column": f"parting_{place}"})
    header: Header = {
        "name": found.name,
        "ids": found.ids,
        "columns": shown,
        "main": [column.name for column in telling(found, 1)],
        "partings": maps,
        "scripts": len(scripts(found)),
        "told": [printable(line) for line in (*found.left_out, *told)],
        "sounds": None if sounds is None else sorted(sounds),
        "mime": MIME,
        "pages": sorted((pages or {}).items()),
        "command": command_of(found),
    }
    extra = {f"sound_{run}": data for run, data in (sounds or {}).items()}
    return pack(View(header, columns), extra)


def command_of(found: Gathered) -> list[str]:
    """What makes a run's page beside its trace: its parts, between which the run's id stands."""
    root = str(found.there.local.resolve()) if found.there.local is not None else found.there.url
    folder = shlex.quote(f"{printable(root)}/{dataset.TRACES}/")
    return [f"dia2 trace html {folder}", f"{SUFFIX} -o {folder}", ".html"]


def _header(column: RunColumn, name: str) -> Header:
    return {
        "name": column.name,
        "role": column.role,
        "kind": column.kind,
        "whole": column.whole,
        "distinct": column.distinct,
        "texts": column.texts if column.kind == "text" else None,
        "column": name,
    }
