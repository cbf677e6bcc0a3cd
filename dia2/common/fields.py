"""A `config.json` as frozen dataclasses: every field is checked when it is read."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from pathlib import Path
from typing import Any, TypeVar

from dia2.common.checks import TooLargeError, is_number, read_small
from dia2.common.errors import CheckpointError, one_line

T = TypeVar("T")


def load_json(path: str | Path) -> object:
    """What a config file holds.

    Raises:
        CheckpointError: the file is missing, too large, or no JSON.
    """
    path = Path(path)
    try:
        return json.loads(read_small(path).decode("utf-8"))
    except FileNotFoundError as error:
        raise CheckpointError(f"There is no config file {path}: give the path of the model's config.json.") from error
    except OSError as error:
        raise CheckpointError(f"Config file {path} cannot be read: {error.strerror}.") from error
    except TooLargeError as error:
        raise CheckpointError(f"{path} is {error}: give the model's config.json.") from error
    except (ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{path} is not a JSON file ({one_line(error)}): give the model's config.json."
        ) from error


def read_block(cls: type[T], raw: object, where: str, prefix: str = "", *, model: str) -> T:
    """Build dataclass `cls` from a JSON object, field by field; unknown fields are left alone.

    Args:
        cls: with fields of plain types, lists of them, and other such dataclasses.
        raw: parsed JSON.
        where: what errors call the file.
        prefix: what stands before the names of its fields in errors, `data.`.
        model: whose config it should be, for errors: `a Dia2`.

    Raises:
        CheckpointError: a field is missing or of another type.
    """
    if not isinstance(raw, dict):
        raise CheckpointError(f"{where}: {prefix.rstrip('.') or 'the file'} must be an object, not {_kind(raw)}.")
    hints = typing.get_type_hints(cls)
    values: dict[str, Any] = {}
    for spec in dataclasses.fields(cls):  # type: ignore[arg-type]  # every caller passes a dataclass
        name = prefix + spec.name
        if spec.name in raw:
            values[spec.name] = _read_value(hints[spec.name], raw[spec.name], where, name, model)
        elif spec.default is dataclasses.MISSING and spec.default_factory is dataclasses.MISSING:
            raise CheckpointError(f"{where}: field {name} is missing; add it, or give the config of {model} model.")
    return cls(**values)


def _read_value(hint: Any, value: object, where: str, name: str, model: str) -> Any:
    """Check one JSON value against a field's type."""
    if dataclasses.is_dataclass(hint):
        return read_block(typing.cast(type[Any], hint), value, where, name + ".", model=model)
    if isinstance(hint, types.UnionType):  # the only unions here are "X | None"
        if value is None:
            return None
        hint = next(arm for arm in typing.get_args(hint) if arm is not type(None))
    if typing.get_origin(hint) is list:
        if not isinstance(value, list):
            raise _ill_typed(where, name, "a list", value)
        inner = typing.get_args(hint)[0]
        return [_read_value(inner, item, where, f"{name}[{i}]", model) for i, item in enumerate(value)]
    if hint is float and is_number(value):
        return float(typing.cast(float, value))
    if hint is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    if hint is bool and isinstance(value, bool):
        return value
    if hint is str and isinstance(value, str):
        return value
    wanted = {float: "a finite number", int: "a whole number", bool: "true or false", str: "a string"}[hint]
    raise _ill_typed(where, name, wanted, value)


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def _ill_typed(where: str, name: str, wanted: str, value: object) -> CheckpointError:
    return CheckpointError(f"{where}: field {name} must be {wanted}, not {_kind(value)}.")
