"""The tour of the explorer: where each family's leads, and that a wrong way is refused."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from dia.adapter.view_tour import TOUR as DIA_TOUR
from dia2.adapter.view_tour import TOUR
from dia2.common.errors import UsageError
from dia2.inspect import load, sample
from dia2.inspect.schema import view_tour
from dia2.inspect.schema.view_tour import CALLS, KEYS, PARTS, TABS, WHY, check_tour, default_tour, stop
from dia2.inspect.store import phases
from dia2.inspect.views.explorer.payload import payload
from dia2.inspect.views.explorer.view import view_of

from ..support.traces import recorded_dia
from .test_console_declared import HumTrace
from .test_console_declared import recorded as hummed
from .test_explorer import FRONT, opened


def hum(folder: Path) -> dict[str, Any]:
    """The header of a run whose family declares no view."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(phases, "PHASES", {"hum.loop", "hum.rest"})
        return view_of(HumTrace(hummed(folder / "hum.dia2trace"))).header


def headers(folder: Path) -> dict[str, dict[str, Any]]:
    """Of each family's runs."""
    return {"dia2": view_of(sample()).header, "dia": view_of(load(recorded_dia())).header, "hum": hum(folder)}


def test_every_stop_is_at_something_that_its_family_declares(tmp_path: Path) -> None:
    for family, header in headers(tmp_path).items():
        tracks = {track["name"] for track in header["tracks"]}
        assert header["tour"], family
        for each in header["tour"]:
            assert each.get("track", "grid") in tracks, family
            assert each.get("tab", "Draw") in TABS, family
            assert each.get("call", "word") in CALLS, family


def test_a_card_is_short(tmp_path: Path) -> None:
    for header in headers(tmp_path).values():
        for each in header["tour"]:
            assert len(re.findall(r"[.!?](?= |$)", each["text"])) <= 2, each["text"]
            assert each["text"].endswith(".")
            assert len(each["title"]) <= 32
            assert len(each["text"]) <= 140


def test_families_have_their_own_and_others_one_of_their_tracks(tmp_path: Path) -> None:
    found = headers(tmp_path)
    assert found["dia2"]["tour"] == TOUR
    assert found["dia"]["tour"] == DIA_TOUR
    tour = found["hum"]["tour"]
    assert tour[:2] == [view_tour.VERDICT, view_tour.OVERVIEW]
    assert tour[-2:] == [WHY, KEYS]
    assert [each["track"] for each in tour[2:-2]] == ["sound", "phase", "surprise", "grid"]
    assert tour[3]["text"] == "Calls that are given, and those that draw."
    assert default_tour(found["hum"] | {"draws": []}) == [*tour[:-2], KEYS]


def test_the_page_gets_it() -> None:
    header, _ = opened(payload(sample()))
    assert header["tour"] == TOUR


@pytest.mark.parametrize(
    ("at", "told"),
    [
        ({"track": "surprize"}, "is at the track 'surprize': there are sound"),
        ({"tab": "Pipes"}, "is at the tab 'Pipes': there are Draw"),
        ({"tab": "Script"}, "is at the tab 'Script'"),  # this run has none
        ({"lens": "all"}, "is at the lens 'all': there are run, voice, grid"),
        ({"part": "foot"}, "is at the part 'foot': there are verdict"),
        ({"pane": "Draw"}, "must be at one of part, track, tab, lens, not at pane"),
        ({"tab": "Draw", "lens": "run"}, "must be at one of part, track, tab, lens, not at lens, tab"),
        ({}, "must be at one of"),
        ({"part": "verdict", "call": "first"}, "goes to 'first': there are finding"),
    ],
)
def test_a_wrong_way_is_refused(at: dict[str, str], told: str) -> None:
    header = view_of(sample()).header
    check_tour(header)
    with pytest.raises(UsageError, match="The stop 'Here' of the tour") as refused:
        check_tour(header | {"tour": [*TOUR, stop("Here", "It is.", **at)]})
    assert told in str(refused.value)


def test_a_family_that_declares_a_wrong_one_hears_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dia2.adapter.view.TOUR", [stop("Here", "It is.", track="nowhere")])
    with pytest.raises(UsageError, match="the track 'nowhere'"):
        view_of(sample())


def test_the_front_end_has_the_parts_and_tabs_that_a_stop_can_name() -> None:
    tabs = re.findall(r'name: "([A-Z]\w+)"', (FRONT / "inspector.js").read_text(encoding="utf-8"))
    assert set(TABS) <= set(tabs)
    parts = re.search(r"parts: \{ (.*) \}", (FRONT / "main.js").read_text(encoding="utf-8"))
    assert parts is not None
    assert tuple(re.findall(r"(\w+):", parts[1])) == PARTS
