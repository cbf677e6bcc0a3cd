"""Facts of a manifest, each within bounds, that do not go together: a view is drawn, or says what is wrong."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from dia.adapter.trace import DiaTrace
from dia2.adapter.trace import Dia2Trace
from dia2.common.errors import Dia2Error, TraceError
from dia2.inspect import load
from dia2.inspect.store.layout import MANIFEST
from dia2.inspect.views import console

from ..support.traces import HangError, bounded, check_message, copied, recorded, recorded_dia, replace
from .test_hostile import changed, deleting, places, setting

LEFT_ALONE = {"format", "version", "family", "versions", "hashes", "device", "dtype", "started", "hooks", "never_fired"}
Change = tuple[str, dict[str, Any]]


def neighbours(value: Any) -> Iterator[Any]:
    """Other values that a field could have."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield from {0, 1, 2, value - 1, value + 1, 2 * value, value + 100} - {value}
    elif isinstance(value, float):
        yield from (0.0, value / 2, value * 100)
    elif isinstance(value, str):
        yield from ("", "x")
    elif isinstance(value, list) and value:
        yield from ([], value[1:], value[:-1], [*value, value[-1]], value[::-1])
    elif value is None:
        yield from (0, 1, 100)
    if value is not None:
        yield None


def changes(source: Callable[[], Path]) -> Iterator[Change]:
    """Every field of a manifest with each of its neighbours, or without it."""
    content = json.loads((source() / MANIFEST).read_text(encoding="utf-8"))
    for at in places(content):
        if LEFT_ALONE & set(at):
            continue
        value: Any = content
        for key in at:
            value = value[key]
        for other in neighbours(value):
            yield f"{at} = {str(other)[:60]}", changed(content, at, setting(other))
        yield f"without {at}", changed(content, at, deleting)


def views(trace: Dia2Trace | DiaTrace, folder: Path) -> Iterator[Callable[[], object]]:
    """Everything that the command line shows of a trace."""
    page = Console(file=io.StringIO(), width=100)
    last, middle = len(trace) - 1, len(trace) // 2
    if isinstance(trace, DiaTrace):
        yield lambda: console.to_json(console.show_facts(trace))
        yield lambda: console.print_show(trace, page)
        for script in (0, 1):
            yield lambda script=script: console.print_frame(trace, page, middle, script=script)  # type: ignore[misc]  # mypy does not know such a lambda
            yield lambda script=script: console.print_frames(trace, page, 0, last, script=script)  # type: ignore[misc]  # likewise
            yield lambda script=script: console.print_grid(trace, page, None, None, script=script)  # type: ignore[misc]  # likewise
            yield lambda script=script: trace.to_html(folder / "a.html", script=script)  # type: ignore[misc]  # likewise
    else:
        yield lambda: console.to_json(console.show_facts(trace))
        yield lambda: console.print_show(trace, page)
        yield lambda: console.print_prefix(trace, page)
        yield lambda: console.to_json(console.prefix_facts(trace))
        yield lambda: console.to_json(console.frame_facts(trace, middle))
        for call in (0, middle, last):
            yield lambda call=call: console.print_frame(trace, page, call)  # type: ignore[misc]  # likewise
        yield lambda: console.print_frames(trace, page, *console.choose_calls(trace, None, None, None))
        yield lambda: console.print_frames(trace, page, *console.choose_calls(trace, None, None, "Hi"))
        yield lambda: console.print_grid(trace, page, None, None, codes=True)
        yield lambda: (trace.words, trace.heard, trace.rows(), trace.diagnose())
        yield lambda: trace.to_html(folder / "a.html", call=middle)
        yield lambda: trace.to_html(folder / "a.html", other=trace)
        yield lambda: trace.redact(folder / "b.dia2trace", text=True)
    yield lambda: console.print_hooks(page, trace)
    yield lambda: console.print_diff(trace, load(recorded_dia() if isinstance(trace, DiaTrace) else recorded()), page)
    yield lambda: trace.to_parquet(folder / "tables")


def shown(path: Path, folder: Path) -> bool:
    """Whether a trace loads; each of its views is drawn then, or raises one sentence."""
    try:
        with bounded(60):
            try:
                trace = load(path)
            except TraceError as error:
                check_message(error)
                return False
            assert isinstance(trace, Dia2Trace | DiaTrace), "of whichever family"
            for view in views(trace, folder):
                try:
                    view()
                except Dia2Error as error:
                    check_message(error)
    except (HangError, Exception) as error:
        raise AssertionError(f"{type(error).__name__}: {error}"[:300]) from error
    return True


@pytest.mark.parametrize("share", [120, pytest.param(3, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])])
@pytest.mark.parametrize("source", [recorded, recorded_dia], ids=["dia2", "dia"])
def test_every_view_of_facts_that_do_not_go_together(tmp_path: Path, source: Callable[[], Path], share: int) -> None:
    wrong, count = [], {True: 0, False: 0}
    for number, (name, content) in enumerate(changes(source)):
        if number % share:
            continue
        path = copied(tmp_path / f"{number}.dia2trace", source)
        replace(path / MANIFEST, json.dumps(content).encode())
        try:
            count[shown(path, tmp_path)] += 1
        except AssertionError as error:
            wrong.append(f"{name}: {error}")
    assert not wrong, "\n".join(wrong)
    assert sum(count.values()) > 300 // share


@pytest.mark.parametrize(
    ("at", "value", "message"),
    [
        (("run", "entries", 1, 3), 0, "of a speaker without a recording"),
        (("run", "voice_frames"), [1, 2], "voice_frames is"),
        (("run", "voice_frames"), [0, 0, 0], "voice_frames is"),
        (("run", "voice_frames"), [], "of a speaker without a recording"),
        (("run", "prefix_words"), 1, "run.spoken is"),
        (("run", "prefix_frames"), 0, "voice_frames is"),
        (("run", "spoken", 0, "speaker"), 3, "speaker is 3"),
    ],
)
def test_a_prefix_whose_facts_do_not_go_together_is_damaged(
    tmp_path: Path, at: tuple[str | int, ...], value: object, message: str
) -> None:
    content = json.loads((recorded() / MANIFEST).read_text(encoding="utf-8"))
    path = copied(tmp_path / "run.dia2trace")
    replace(path / MANIFEST, json.dumps(changed(content, at, setting(value))).encode())
    with pytest.raises(TraceError, match=f"damaged: .*{message}"):
        load(path)


def test_a_warm_up_of_another_length_than_its_prefix_is_damaged(tmp_path: Path) -> None:
    content = json.loads((recorded() / MANIFEST).read_text(encoding="utf-8"))
    frames = content["run"]["prefix_frames"]
    for number, other in enumerate((frames - 1, frames + 1)):
        path = copied(tmp_path / str(number))
        run = content["run"] | {"prefix_frames": other, "voice_frames": [other - 1, 1]}
        replace(path / MANIFEST, json.dumps(content | {"run": run, "recordings": []}).encode())
        with pytest.raises(TraceError, match=f"its prefix has {other} frames, its warm-up {frames} calls"):
            load(path)
