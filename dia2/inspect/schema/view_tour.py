"""The tour of an explorer: stops that a family declares, or that follow from its tracks.

A stop points at one thing: a part that every explorer has, a track, a tab or a lens. It can go to a call first, which
is named by what is there, since a run's calls are not known where a family declares its tour.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dia2.common.checks import short
from dia2.common.errors import UsageError
from dia2.inspect.schema.view_tracks import LENSES

Stop = dict[str, str]
PARTS = ("verdict", "overview", "controls", "commands")  # see `main.js`
TABS = ("Draw", "Call", "Machine", "Script", "Notes")  # see `inspector.js`
CALLS = ("finding", "word", "surprise", "drawn")  # the worst one, the first word, the least likely draw, the first draw
_OWN = 2  # stops at a family's own tracks, where the tour follows from them


def stop(title: str, text: str, call: str | None = None, **at: str) -> Stop:
    """A stop as the front end gets it.

    Args:
        title: of its card.
        text: at most two sentences.
        call: one of `CALLS` to go to; `None`: where the reader is.
        at: one of `part`, `track`, `tab` and `lens`, by its name.
    """
    return {"title": title, "text": text} | at | ({} if call is None else {"call": call})


VERDICT = stop(
    "Begin with the verdict",
    "What the run comes to is said here, and Show goes to the place. Where something was found, a button lists it all.",
    part="verdict",
)
OVERVIEW = stop(
    "One axis for all tracks",
    "Seconds stand above, calls below. The wheel zooms, a drag moves, a click goes there.",
    part="overview",
)
UNSURE = stop(
    "Where the model was unsure",
    "High means an unlikely draw, ▲ one far above the run's usual. N goes to the next of them.",
    "surprise",
    track="surprise",
)
WHY = stop(
    "Why this token",
    "All candidates of a draw, before and after guidance. A slider shows what would have been drawn instead.",
    "drawn",
    tab="Draw",
)
KEYS = stop(
    "All of it has a key",
    "? lists them, K copies a link to this call, P presents the run slide by slide.",
    part="commands",
)
_OF_KIND = {
    "sound": ("What is heard", "Space plays: the playhead, the tracks and the panes move with the sound."),
    "words": ("Words you can read", "The current word is framed. Space plays: sound and words move together."),
    "grid": ("The grid of codes", "A column a call; the green cells are one frame. A click on a cell shows its draw."),
}


def default_tour(header: Mapping[str, Any]) -> list[Stop]:
    """The tour of a family that declares none: its tracks in their order, between what every explorer has."""
    stops, own = [VERDICT, OVERVIEW], 0
    for track in header["tracks"]:
        name, label, told = track["name"], track["label"], track["told"]
        if track["kind"] in _OF_KIND:
            stops.append(stop(*_OF_KIND[track["kind"]], track=name))
        elif track["kind"] == UNSURE["track"]:
            stops.append(UNSURE | {"track": name})
        elif track["kind"] in ("states", "count") and own < _OWN and told != label:
            own += 1
            stops.append(stop(label, told, track=name))
    return [*stops, WHY, KEYS] if header["draws"] else [*stops, KEYS]


def check_tour(header: Mapping[str, Any]) -> None:
    """Refuse a tour that leads to what the explorer of this header does not have.

    Raises:
        UsageError: a stop names no part, track, tab, lens or call that there is, or more than one of them.
    """
    known = {
        "part": PARTS,
        "track": tuple(track["name"] for track in header["tracks"]),
        "tab": tuple(tab for tab in TABS if tab != "Script" or header["script"] is not None),
        "lens": LENSES,
    }
    for each in header["tour"]:
        what = f"The stop {short(each['title'])} of the tour"
        places = each.keys() - {"title", "text", "call"}
        if len(places) != 1 or not places <= known.keys():
            raise UsageError(f"{what} must be at one of {', '.join(known)}, not at {', '.join(sorted(places))}.")
        (kind,) = places
        if each[kind] not in known[kind]:
            raise UsageError(f"{what} is at the {kind} {short(each[kind])}: there are {', '.join(known[kind])}.")
        if each.get("call", CALLS[0]) not in CALLS:
            raise UsageError(f"{what} goes to {short(each['call'])}: there are {', '.join(CALLS)}.")
