"""Which activations a replay is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import NamedTuple

from dia2.common.checks import short
from dia2.common.errors import UsageError
from dia2.common.hooks import HookPoint, PointFilter, listed


class Reading(NamedTuple):
    """One activation of a checkpoint."""

    name: str  # such as act.2.resid
    shape: tuple[int, ...]  # of one call
    point: HookPoint


def readings(spec: PointFilter, sizes: Mapping[str, int], model: str) -> list[Reading]:
    """The activations that a filter matches, in the order of the registry, layer by layer.

    A name is matched part by part, and `*` stands for one part: `act.*.resid` are the residual streams of all layers.
    At the end it stands for all that follow: `act.*` is everything, `act.2.*` everything of layer 2.

    Args:
        spec: a name or glob, several of them (a list, or one string with commas), or a predicate of a `HookPoint`.
        sizes: what the names in shapes stand for, and how many layers there are of each kind.
        model: the family that runs.

    Raises:
        UsageError: something in `spec` matches nothing; says what there is.
    """
    points = [point for point in listed() if point.activation is not None and model in point.models]
    if not points:
        raise UsageError(f"Runs of {model} have no activations to read.")
    all_, there = [reading for point in points for reading in _expanded(point, sizes)], _told(points, sizes)
    if callable(spec):
        found = [reading for reading in all_ if spec(reading.point)]
        if not found:
            raise UsageError(f"The filter matches no activation: there is {there}.")
        return found
    names: set[str] = set()
    patterns = spec.split(",") if isinstance(spec, str) else list(spec)
    for pattern in (str(pattern).strip() for pattern in patterns):
        matched = {reading.name for reading in all_ if _matches(reading.name.split("."), pattern.split("."))}
        if not matched:
            raise UsageError(f"No activation is called {short(pattern)}: there is {there}.")
        names |= matched
    if not names:
        raise UsageError(f"No activation is named: there is {there}.")
    return [reading for reading in all_ if reading.name in names]


def _expanded(point: HookPoint, sizes: Mapping[str, int]) -> list[Reading]:
    """What a point of the registry stands for in a checkpoint."""
    found = point.activation
    if found is None:
        return []
    shape = tuple(sizes[name] for name in found.shape)
    layers = [str(layer) for layer in range(sizes[found.layers])] if found.layers else [""]
    names = [point.name.replace("{l}", layer) for layer in layers]
    return [Reading(name, shape, replace(point, name=name)) for name in names]


def _matches(name: Sequence[str], pattern: Sequence[str]) -> bool:
    if pattern[-1] == "*" and len(name) > len(pattern):
        name = name[: len(pattern)]
    return len(name) == len(pattern) and all(map(fnmatchcase, name, pattern))


def _told(points: Sequence[HookPoint], sizes: Mapping[str, int]) -> str:
    """What there is, with a letter for layers, and how many of them."""
    names = [point.name.replace("{l}", "L") for point in points]
    kinds = dict.fromkeys(point.activation.layers for point in points if point.activation and point.activation.layers)
    layers = [f"{kind} 0 … {sizes[kind] - 1}" for kind in kinds]
    return ", ".join(names) + (f" ({', '.join(layers)})" if layers else "")
