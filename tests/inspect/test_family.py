"""What goes with runs of one family only: offered where it is declared, and else told whose it is."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from dia2.common.errors import Dia2Error
from dia2.inspect.trace import family
from dia2.inspect.trace.family import OtherFamilyError, missing, offered


class Sung:
    """A trace of one family."""

    notes = ()


class Drummed:
    """A trace of another."""

    beats = notes = ()


def adapter(title: str, trace: type, **declares: str) -> Any:
    fields: dict[str, Any] = {"fork": None, "doctor": None} | declares
    return SimpleNamespace(title=title, load=lambda name: trace if name == "trace" else f"{title}'s {name}", **fields)


SINGS, DRUMS, BASS = adapter("Hum", Sung, doctor="it"), adapter("Drum", Drummed, fork="it"), adapter("Bass", Drummed)


@pytest.fixture
def trace(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(family, "adapters", lambda: {"hum": SINGS, "drum": DRUMS, "bass": BASS})
    made: Any = Sung()
    made.adapter, made.path = SINGS, "run"
    return cast("Any", made)


def test_what_a_family_declares_is_offered(trace: Any) -> None:
    assert cast("Any", offered(trace, "doctor")) == "Hum's doctor"


def test_what_others_declare_is_theirs(trace: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OtherFamilyError, match=r"^run is a trace of Hum, and 'fork' is of Drum's only\.$"):
        offered(trace, "fork")
    monkeypatch.setattr(family, "adapters", lambda: {"hum": SINGS})
    with pytest.raises(OtherFamilyError, match=r"^run is a trace of Hum, and 'fork' is of no installed model's\.$"):
        offered(trace, "fork")


def test_an_attribute_of_others_is_theirs(trace: Any) -> None:
    error = missing(trace, "beats")
    assert isinstance(error, Dia2Error)
    assert str(error) == "run is a trace of Hum, and 'beats' is of Drum and Bass's only."


@pytest.mark.parametrize("name", ["_beats", "nothing", "notes"])
def test_what_nobody_has_or_the_trace_itself_is_a_plain_attribute_error(name: str, trace: Any) -> None:
    """`notes`: what it has itself failed with an `AttributeError`, which is not to be hidden."""
    Drummed._beats = ()  # type: ignore[attr-defined]  # private names of others are nobody's business
    error = missing(trace, name)
    assert not isinstance(error, Dia2Error)
    assert str(error) == f"'Sung' object has no attribute '{name}'"
