"""What a family's declaration tells by itself, and what is said of a family that is not there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dia2.common.errors import TraceError, UsageError
from dia2.inspect.schema import adapter as families
from dia2.inspect.schema.adapter import Adapter, adapter_of, adapters, own_files
from dia2.inspect.schema.column import Column, Layout
from dia2.inspect.schema.draw import DrawKind

from .test_console_declared import ADAPTER

ACTION = Column("action", "I32", ("n",), "tokens", "drawn")
CODES = Column("codes", "I32", ("n", "K"), "tokens", "drawn")
SUNG = Column("sung", "I32", ("n", "voices", "C"), "tokens", "drawn")


class Singer:
    """An engine."""


class Hum:
    """Of another family: its class is called as its title says."""


def family(*columns: Column, **changes: Any) -> Adapter:
    """A family that draws what those columns have."""
    draws = tuple(DrawKind(f"{c.name}.{{c}}" if len(c.shape) > 1 else c.name, c.name) for c in columns)
    layout = Layout({column.name: column for column in columns}, frozenset())
    return replace(ADAPTER, layout=layout, draws=draws, engine=f"{__name__}:Singer", **changes)


@pytest.mark.parametrize(("columns", "axes", "batched"), [
    ((), (None, None), False),
    ((ACTION,), (None, None), False),
    ((ACTION, CODES), (None, "K"), False),
    ((ACTION, SUNG), ("voices", "C"), True),
    ((CODES, SUNG), ("voices", "K"), True),
])  # fmt: skip
def test_scripts_and_codebooks_are_axes_of_what_is_drawn(
    columns: tuple[Column, ...], axes: tuple[str | None, str | None], batched: bool
) -> None:
    found = family(*columns)
    assert (found.axes, found.batched) == (axes, batched)


def test_each_draw_has_a_column_with_what_was_chosen() -> None:
    assert family(ACTION, CODES).draw_columns(2) == {"action": "action", "codes.0": "codes", "codes.1": "codes"}


def test_another_engine_is_refused_by_its_family_or_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    hers = family(CODES, title="Singer", example="Singer()")
    monkeypatch.setattr(families, "installed", lambda: {"singer": hers, "hum": ADAPTER})
    hers.check_engine(Singer(), "A sweep")
    for given, told in ((Hum(), "a Hum"), (7, "7"), ("Hum", "'Hum'")):
        with pytest.raises(UsageError) as error:
            hers.check_engine(given, "A sweep")
        assert str(error.value) == f"A sweep needs a Singer, such as Singer(), not {told}."


def test_a_family_that_is_not_installed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert adapter_of("dia", "run") is adapters()["dia"]
    for name in ("hum", None, ["dia"]):
        with pytest.raises(TraceError, match=r"^run is a run of .*, a model that this dia2 does not know \(Dia2, Dia"):
            adapter_of(name, "run")
    monkeypatch.setattr(families, "installed", dict)
    with pytest.raises(TraceError, match=r"\(none: reinstall dia2 \(group dia2\.models\)\): update dia2, or install"):
        adapter_of("dia2", "run")


def test_files_are_those_of_any_family(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"one": replace(ADAPTER, files=("a", "b")), "two": ADAPTER, "three": replace(ADAPTER, files=("c",))}
    monkeypatch.setattr(families, "installed", lambda: found)
    assert list(own_files()) == ["a", "b", "c"]
