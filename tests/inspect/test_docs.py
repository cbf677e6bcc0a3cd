"""The pages of reference agree with the code: their tables are made from it, and their examples run.

`python -m tests.inspect.test_docs` writes the tables anew.
"""

import contextlib
import io
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import pytest

from dia.adapter import layout as dia_layout
from dia.adapter import measures as dia_measures
from dia.adapter import rows as dia_rows
from dia2.adapter import layout as dia2_layout
from dia2.adapter.findings import DETECTORS
from dia2.adapter.measures import MEASURES
from dia2.adapter.rows import ROWS
from dia2.common import hooks
from dia2.inspect import load, record
from dia2.inspect.schema.column import Layout
from dia2.inspect.schema.measure import Measures
from dia2.inspect.schema.row import Row
from dia2.inspect.store import layout
from dia2.inspect.trace.findings import FIRST, LAST
from dia2.runtime.activations import ActivationEdit, Steer, Where
from dia2.runtime.edits import ChangeSampling, Edit, ForceAction, ReplaceToken

from ..support.acts import vector
from ..support.reference import Case, engine
from ..support.traces import recorded_dia

DOCS = Path(__file__).parents[2] / "docs"
FORMAT, HOOKS, FINDINGS, SWEEPS = (DOCS / f"{name}.md" for name in ("trace-format", "hooks", "findings", "sweeps"))
ACTIVATIONS = DOCS / "activations.md"
CASE = Case("tiny8", "prefix2")
DIA_BOUNDS = {
    "MAX_SCRIPTS": "scripts of a run of Dia",
    "MAX_TEXT": "bytes of one script",
    "MAX_ENCODER": "bytes of `encoder.safetensors`",
    "MAX_SECONDS": "seconds of one step",
}
HOOK_BOUNDS = {"MAX_CODEBOOKS": "codebooks"}
DIA2_BOUNDS = {"MAX_PREFIX_FRAMES": "frames of a prefix", "MAX_EDITS": "bytes of vectors in `edits.safetensors`"}
BOUNDS = {
    "MAX_MANIFEST": "bytes of `manifest.json`",
    "MAX_PHASES": "bytes of `phases.jsonl`",
    "MAX_PHASE_LINES": "lines of it",
    "MAX_HEADER": "bytes of a shard's header",
    "MAX_SHARDS": "shards",
    "MAX_CALLS": "calls",
    "MAX_SHARD_CALLS": "calls of a shard",
    "MAX_CELLS": "codes of a column: calls × scripts × codebooks",
    "MAX_VOCABULARY": "tokens of a vocabulary",
    "MAX_AUDIO": "bytes of `audio.flac`",
    "MAX_AUDIO_SAMPLES": "samples of it",
}


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _columns(of: Layout) -> str:
    """The table of a layout's columns."""
    rows = [
        (
            f"`{c.name}`",
            f"{c.dtype} or I16" if c.name in of.small else c.dtype,
            f"[{', '.join(c.shape)}]",
            f"`{c.level}`",
            c.meaning,
        )
        for c in of.columns.values()
    ]
    return _table(("column", "type", "shape", "level", "meaning"), rows)


def _bounds(of: ModuleType, bounds: dict[str, str]) -> str:
    return _table(("at most", "of"), [(f"{getattr(of, name):,}", text) for name, text in bounds.items()])


def _rows(rows: Sequence[Row]) -> str:
    cells = [(str(r.number), r.title, f"`{r.where}`", f"`{r.phase}`") for r in rows]
    return _table(("row", "title", "where", "phase"), cells)


def _kinds() -> str:
    """Every kind of finding of a run of Dia2, from causes to effects."""
    detectors = [FIRST, *DETECTORS, LAST]
    kinds = dict.fromkeys(kind for detector in detectors for kind in detector.kinds)
    rows = [(f"`{k.name}`", k.severity, k.meaning, k.reason, k.fix) for k in kinds]
    return _table(("kind", "severity", "is found when", "why these limits", "what to do"), rows)


def _measures(of: Measures) -> str:
    """The table of a family's measures."""
    return _table(
        ("measure", "unit", "kind", "what it says"), [(f"`{m.name}`", m.unit, m.kind, m.what) for m in of.columns]
    )


def _activations(listed: Sequence[hooks.HookPoint]) -> str:
    """What a replay reads within the network."""
    rows = [
        (
            f"`{p.name}`",
            f"`{a.alias}`",
            f"[{', '.join(a.shape)}] {a.dtype}",
            p.when,
            "yes" if a.edited else "no",
            p.value.partition(": ")[2],
        )
        for p in listed
        if (a := p.activation) is not None
    ]
    return _table(("point", "TransformerLens", "shape", "when", "edits", "value"), rows)


def generated() -> dict[str, str]:
    """The tables by their names in the pages."""
    listed = [point for point in hooks.listed() if {"dia2", "dia"}.issuperset(point.models)]
    points = [(f"`{p.name}`", p.family, p.of, p.when, p.value) for p in listed if p.activation is None]
    return {
        "columns": _columns(dia2_layout.LAYOUT),
        "dia-columns": _columns(dia_layout.LAYOUT),
        "bounds": _bounds(layout, BOUNDS)
        + "".join(
            "".join(_bounds(room, names).splitlines(keepends=True)[2:])
            for room, names in ((hooks, HOOK_BOUNDS), (dia2_layout, DIA2_BOUNDS), (dia_layout, DIA_BOUNDS))
        ),
        "points": _table(("point", "family", "of", "when", "value"), points),
        "activations": _activations(listed),
        "rows": _rows(ROWS),
        "dia-rows": _rows(dia_rows.ROWS),
        "findings": _kinds(),
        "measures": _measures(MEASURES),
        "dia-measures": _measures(dia_measures.MEASURES),
    }


def _filled(page: str) -> str:
    """A page with its tables as they have to be."""
    for name, table in generated().items():
        page = re.sub(
            rf"(<!-- {name}: [^\n]* -->\n).*?(<!-- end -->)",
            lambda found, table=table: f"{found[1]}\n{table}\n{found[2]}",  # type: ignore[misc]  # mypy does not know such a lambda
            page,
            flags=re.DOTALL,
        )
    return page


@pytest.mark.parametrize(
    ("page", "names"),
    [
        (FORMAT, ("columns", "dia-columns", "bounds")),
        (HOOKS, ("points", "activations", "rows", "dia-rows")),
        (FINDINGS, ("findings",)),
        (SWEEPS, ("measures", "dia-measures")),
    ],
)
def test_the_tables_are_those_of_the_code(page: Path, names: tuple[str, ...]) -> None:
    content = page.read_text(encoding="utf-8")
    assert all(generated()[name] in content for name in names), "python -m tests.inspect.test_docs"
    assert _filled(content) == content, "python -m tests.inspect.test_docs"


def test_every_bound_is_listed() -> None:
    assert list(BOUNDS) == [name for name in vars(layout) if name.startswith("MAX_")]
    for room, names in ((hooks, HOOK_BOUNDS), (dia2_layout, DIA2_BOUNDS), (dia_layout, DIA_BOUNDS)):
        assert list(names) == [name for name in vars(room) if name.startswith("MAX_") and name not in BOUNDS]


def test_the_edits_of_the_page_are_all_there_are() -> None:
    content = HOOKS.read_text(encoding="utf-8")
    for kind in get_args(Edit):
        assert f"| `{kind.__name__}(" in content
    acts = ACTIVATIONS.read_text(encoding="utf-8")
    for change in get_args(ActivationEdit):
        (row,) = re.findall(rf"^\| `{change.__name__}\((.*)\)` \|", acts, flags=re.MULTILINE)
        assert [name.split("=")[0] for name in row.split(", ")] + ["where"] == [field.name for field in fields(change)]
    assert {field.name for field in fields(ReplaceToken)} == {"call", "token", "codebook", "stream"}
    assert {field.name for field in fields(ForceAction)} == {"call", "action"}
    assert ChangeSampling(1, cfg_scale=3).changes == {"cfg_scale": 3}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where `run.dia2trace` is a full trace with a prefix, and `copy.dia2trace` a redacted copy."""
    path = tmp_path_factory.mktemp("docs")
    edits: list[Edit] = [ForceAction(40, "pad"), ReplaceToken(50, 17, codebook=3), ChangeSampling(60, cfg_scale=3)]
    edits.append(Steer("act.1.resid", vector(engine("tiny8")), where=Where(calls=(70, 71), words=(1,))))
    with record(path / "run.dia2trace", level="full"):
        engine("tiny8").generate("[S1] Hello. [S2] You.", CASE.config(seed=1), edits=edits)
    load(path / "run.dia2trace").redact(path / "copy.dia2trace", voice=True)
    return path


def _keys(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """(where, name) of every field in a JSON value."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield path, name
            yield from _keys(part, f"{path}.{name}")
    elif isinstance(value, list):
        for part in value:
            yield from _keys(part, path)


def _named(page: str) -> set[str]:
    """Everything in backticks."""
    prose = re.sub(r"```.*?```", "", page, flags=re.DOTALL)
    return set(re.findall(r"`([^`\n]+)`", prose))


def test_the_page_names_every_field_of_a_manifest(folder: Path) -> None:
    named = _named(FORMAT.read_text(encoding="utf-8"))
    manifest = json.loads((folder / "copy.dia2trace" / "manifest.json").read_text(encoding="utf-8"))
    full = json.loads((folder / "run.dia2trace" / "manifest.json").read_text(encoding="utf-8"))
    found = {key for part in (manifest, full) for key in _keys(part)}
    edits = {(where, name) for where, name in found if where.startswith(".run.edits") and name != "kind"}
    assert len(found) > 80
    assert {f"{where}.{name}" for where, name in found - edits if name not in named} == set()


def test_the_page_has_no_field_that_is_not_written(folder: Path) -> None:
    """Rows of the three tables of fields."""
    page = FORMAT.read_text(encoding="utf-8")
    page = page[page.index("## The manifest") : page.index("## Phases")]
    rows = [name for line in re.findall(r"^\| (`.*?`) \|", page, flags=re.MULTILINE) for name in line.split(", ")]
    manifest = json.loads((folder / "copy.dia2trace" / "manifest.json").read_text(encoding="utf-8"))
    written = {name for _, name in _keys(manifest)}
    assert len(rows) > 50
    assert {name.strip("`") for name in rows} - written == set()


def test_the_page_names_every_field_and_file_of_dia() -> None:
    """And has none that is not written, in the tables of its section."""
    page = FORMAT.read_text(encoding="utf-8")
    section = page[page.index("## Runs of Dia") : page.index("## Bounds")]
    manifest = json.loads((recorded_dia() / "manifest.json").read_text(encoding="utf-8"))
    found = {name for where, name in _keys(manifest) if where.startswith((".run", ".result"))}
    assert len(found) > 40
    assert found - _named(section) == set()
    assert {name for _, name in _keys(manifest)} - _named(page) == set()
    fields = section[section.index("`run`:") :]
    rows = [name for line in re.findall(r"^\| (`.*?`) \|", fields, flags=re.MULTILINE) for name in line.split(", ")]
    assert {name.strip("`") for name in rows} - found == set()
    files = {re.sub(r"\d{5}", "00000", path.name) for path in recorded_dia().iterdir()}
    assert files <= _named(page[: page.index("## Levels")]) | _named(section)


def test_the_page_names_every_field_of_an_event_and_every_file(folder: Path) -> None:
    page = FORMAT.read_text(encoding="utf-8")
    named = _named(page[page.index("## Phases") : page.index("## Bounds")])
    events = [json.loads(line) for line in (folder / "run.dia2trace" / "phases.jsonl").read_text().splitlines()]
    assert {event["event"] for event in events} == {"begin", "end"}
    assert {name for event in events for name in event} - {"event"} <= named
    files = {re.sub(r"\d{5}", "00000", path.name) for path in (folder / "run.dia2trace").iterdir()}
    assert files <= _named(page[: page.index("## Levels")])
    assert len(files) == 9  # whatever the number of shards


def _examples() -> list[Any]:
    return [
        pytest.param(code, id=f"{page.stem}-{i}")
        for page in (FORMAT, HOOKS, ACTIVATIONS)
        for i, code in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL))
    ]


@pytest.mark.parametrize("code", _examples())
def test_the_examples_run(code: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    if "record(" not in code:
        (tmp_path / "run.dia2trace").symlink_to(folder / "run.dia2trace")
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(code, {"tts": engine("tiny8")})
    assert "print(" not in code or said.getvalue().strip()


def test_there_are_examples() -> None:
    assert len(_examples()) == 9


if __name__ == "__main__":
    for file in (FORMAT, HOOKS, FINDINGS, SWEEPS):
        file.write_text(_filled(file.read_text(encoding="utf-8")), encoding="utf-8")
