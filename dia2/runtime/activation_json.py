"""Edits of activations as JSON has them: their numbers are named by a digest, and lie elsewhere."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, get_args

from dia2.common.checks import is_number, short
from dia2.common.errors import UsageError
from dia2.runtime.activations import EVERYWHERE, MOST, ActivationEdit, Where, vector_field, vector_of
from dia2.runtime.vectors import Vector

KINDS: dict[str, type[ActivationEdit]] = {kind.__name__: kind for kind in get_args(ActivationEdit)}
_DIGEST = re.compile("[0-9a-f]{64}")


def to_json(edit: ActivationEdit) -> dict[str, Any]:
    """`kind` and what of its fields is not as it is by default; a vector as `digest` and `shape`."""
    found: dict[str, Any] = {"kind": type(edit).__name__}
    for field in fields(edit):
        value = getattr(edit, field.name)
        if value is None or value == EVERYWHERE:
            continue
        if isinstance(value, Vector):
            value = {"digest": value.digest, "shape": list(value.shape)}
        elif isinstance(value, Where):
            value = _where_to_json(value)
        elif isinstance(value, tuple):
            value = list(value)
        found[field.name] = value
    return found


def to_table(edit: ActivationEdit) -> dict[str, Any]:
    """As `to_json`, with the numbers of the vector in place of their digest: lists of them."""
    vector = vector_of(edit)
    return to_json(edit) | ({} if vector is None else {vector_field(type(edit)): vector.tensor.tolist()})


def digested(value: object) -> Vector:
    """A vector without its numbers, of digest and shape.

    Raises:
        UsageError: it is something else.
    """
    match value:
        case {"digest": str(digest), "shape": [*shape]} if _DIGEST.fullmatch(digest) and 1 <= len(shape) <= 2:
            if all(type(size) is int and 1 <= size <= MOST for size in shape):
                return Vector.stored(digest, tuple(shape))
    raise UsageError(f"{short(value)} is not a vector's digest and shape.")


def from_json(value: Mapping[str, Any], read: Callable[[object], Vector] = digested) -> ActivationEdit:
    """What `to_json` wrote, without the numbers of its vector.

    Args:
        value: the edit.
        read: gives the vector that stands there, as a manifest has it or otherwise.

    Raises:
        UsageError: it is no edit of activations.
    """
    kind = KINDS[value["kind"]]
    given = {str(name): part for name, part in value.items() if name != "kind"}
    vector, where = vector_field(kind), given.get("where")
    plain = {name: part for name, part in given.items() if name not in (vector, "where", "heads")}
    if not all(is_number(part) or isinstance(part, str) for part in plain.values()):
        raise UsageError(f"{short(value)} is not an edit.")
    if vector in given:
        given[vector] = read(given[vector])
    if where is not None:
        given["where"] = _where(where)
    try:
        return kind(**given)
    except TypeError as error:
        raise UsageError(f"{short(value)} is not an edit.") from error


def _where_to_json(where: Where) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in ("calls", "words", "speakers", "stages"):
        numbers = getattr(where, name)
        if numbers is not None:
            found[name] = list(numbers)
    if where.after is not None:
        found["after"] = {name: list(value) if isinstance(value, tuple) else value for name, value in where.after}
    return found if where.branches == "both" else found | {"branches": where.branches}


def _where(value: object) -> Where:
    try:
        if not isinstance(value, Mapping):
            raise TypeError
        return Where(**value)
    except TypeError as error:
        raise UsageError(f"{short(value)} is not an edit's where.") from error
