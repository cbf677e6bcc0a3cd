"""What a trace can do that rooms above this one make: they say where by name, as accessors of pandas are registered."""

from __future__ import annotations

from collections.abc import Callable
from pkgutil import resolve_name
from typing import Any

_PLACES: dict[str, str] = {}  # `module:name` by method of `Trace`


def register(**places: str) -> None:
    """Say where methods of `Trace` are made: `register(explore="package.module:function")`."""
    _PLACES.update(places)


def extension(name: str) -> Callable[..., Any]:
    """The function behind a method of `Trace`, imported when it is first called."""
    function: Callable[..., Any] = resolve_name(_PLACES[name])
    return function
