"""What a run went through: a line a row; in full, with all that a row read, changed and gave."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.text import Text as Rich

from dia2.common.wording import duration
from dia2.inspect.schema.report import Align, Cell, Cut, Facts, Style
from dia2.inspect.views.console.page import Page

WIDE = 120  # columns from which the rows are a table
_SIGNS = {"done": "✓", "not run": "·", "failed": "✗", "not finished": "…"}
_LONGEST = 30  # cells of a title
_TIME = 8  # cells of a wall time
_ALIGNED: list[Align] = ["left", "left", "left", "right"]
_CELLS = ("trigger", "before", "mutations", "outputs")
_HEADS = ("    #", "phase, file → function", "trigger", "state before", "mutations", "outputs", "wall time")


def print_rows(rows: Sequence[Facts], page: Page, *, full: bool) -> None:
    """Print what a run went through, a line a row; in full after an empty line as blocks, or as a wide table."""
    if not full:
        _print_lines(rows, page)
        return
    page.line()
    if page.width >= WIDE:
        _print_wide(rows, page)
    else:
        for row in rows:
            _print_narrow(row, page)


def _style(row: Facts, otherwise: Style) -> Style:
    return {"done": otherwise, "not run": "dim"}.get(row["status"], "failed")


def _print_lines(rows: Sequence[Facts], page: Page) -> None:
    title = min(_LONGEST, max((cell_len(row["title"]) for row in rows), default=0))
    widths = [4, title, page.width - 4 - title - 2 * 2]
    for row in rows:
        sign: Cell = (f"{_SIGNS[row['status']]} {row['number']:>2}", _style(row, "label"))
        cells: list[Cell] = [sign, Cut(*_title(row)), _told(row)]
        if time := duration(row["seconds"]):
            page.row([*cells, time], [*widths[:2], widths[2] - 2 - _TIME, _TIME], _ALIGNED)
        else:
            page.row(cells, widths)


def _told(row: Facts) -> Cell:
    """What came of a row, and where nothing came of it, what it changed, or why it did neither."""
    if row["status"] == "done":
        return Cut(next((row[name] for name in ("outputs", "mutations") if row[name] not in ("", "none")), ""))
    if row["status"] == "not run":
        return Cut(f"not run: {row['note']}", "dim")
    return f"{row['status'].upper()}: {row['note']}", "failed"


def _print_narrow(row: Facts, page: Page) -> None:
    missing, indent, width = row["status"] == "not run", 6, page.width - 8
    name: Cell = [(f"{_SIGNS[row['status']]} {row['number']:>2}  ", _style(row, "label")), _title(row)]
    time: Cell = ("not run", "dim") if missing else duration(row["seconds"])
    page.row([name, time], [page.width - 12, 10], ["left", "right"])
    page.row([(row["note"] if missing else row["where"], "dim")], [width], indent=indent)
    if missing:
        return
    pairs: list[tuple[str, Cell]] = [(name, row[name]) for name in _CELLS if row[name] not in ("", "none")]
    if row["status"] != "done":
        pairs.append((row["status"].upper(), (row["note"], "failed")))
    label = max(map(len, ["mutations", *(name for name, _ in pairs)]))
    for name, text in pairs:
        page.row([(name, "label"), text], [label, width - label], indent=indent)


def _print_wide(rows: Sequence[Facts], page: Page) -> None:
    room = page.width - 5 - 29 - 9 - 6 * 2
    shares = [room * 22 // 100, room * 20 // 100, room * 29 // 100]
    widths = [5, 29, *shares, room - sum(shares), 9]
    aligned: list[Align] = ["left", "left", "left", "left", "left", "left", "right"]
    page.row([(head, "head") for head in _HEADS], widths, aligned)
    page.line(("─" * page.width, "dim"))
    tall = False  # the row before
    for row in rows:
        missing = row["status"] == "not run"
        if tall or (row["number"] > 1 and not missing):
            page.line()
        tall = not missing
        sign: Cell = (f"{_SIGNS[row['status']]}  {row['number']:>2}", _style(row, "label"))
        note = row["status"] if missing else row["status"].upper()
        note += f": {row['note']}" if row["note"] else ""
        if missing:
            told = f"{note}  ({row['where']})"
            page.row([sign, (row["title"], "dim"), (told, "dim")], [*widths[:2], page.width - 38])
            continue
        file, function = row["where"].split(" → ")
        parts: list[Cell] = [_title(row), (file, "dim"), (f"→ {function}", "dim")]
        what = Rich("\n").join(page.text(part) for part in parts)
        cells: list[Cell] = [(row[name], "dim" if row[name] == "none" else "") for name in _CELLS]
        page.row([sign, what, *cells, duration(row["seconds"])], widths, aligned)
        if row["status"] != "done":
            page.row(["", (note, "failed")], [5, page.width - 7])


def _title(row: Facts) -> tuple[str, Style]:
    return row["title"], _style(row, "head")
