"""A `config.json` as frozen dataclasses: every field is checked when it is read."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeVar

from dia2.common.checks import TooLargeError, is_number, read_small, short
from dia2.common.errors import CheckpointError, one_line

T = TypeVar("T")


class Between(NamedTuple):
    """Bounds of a whole number."""

    least: int
    most: int


# No real width, vocabulary or context comes near these; a hostile one must not exhaust memory.
Size = Annotated[int, Between(1, 1 << 24)]
Vocabulary = Annotated[int, Between(2, 1 << 24)]
Layers = Annotated[int, Between(1, 1024)]


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


def read_block(
    cls: type[T], raw: object, where: str, prefix: str = "", *, model: str, names: Mapping[str, str] | None = None
) -> T:
    """Build dataclass `cls` from a JSON object, field by field; unknown fields are left alone.

    Args:
        cls: with fields of plain types, also with bounds as `Size` has, lists of them, and other such dataclasses.
        raw: parsed JSON.
        where: what errors call the file.
        prefix: what stands before the names of its fields in errors, `data.`.
        model: whose config it should be, for errors: `a Dia2`.
        names: what errors call a field, where that is not `prefix` and its name.

    Raises:
        CheckpointError: a field is missing, of another type, or out of its bounds.
    """
    if not isinstance(raw, dict):
        raise CheckpointError(f"{where}: {prefix.rstrip('.') or 'the file'} must be an object, not {_kind(raw)}.")
    hints = typing.get_type_hints(cls, include_extras=True)
    values: dict[str, Any] = {}
    for spec in dataclasses.fields(cls):  # type: ignore[arg-type]  # every caller passes a dataclass
        name = (names or {}).get(spec.name, prefix + spec.name)
        if spec.name in raw:
            values[spec.name] = _read_value(hints[spec.name], raw[spec.name], where, name, model)
        elif spec.default is dataclasses.MISSING and spec.default_factory is dataclasses.MISSING:
            raise _missing(where, name, model)
    return cls(**values)


def value_at(raw: object, path: str, where: str, *, defaults: Mapping[str, Any], model: str) -> Any:
    """What stands in parsed JSON at a dotted path, of any type; or its default, if it has one and is not there.

    Raises:
        CheckpointError: it is missing, or something on the way to it is no object.
    """
    passed = ""
    for key in path.split("."):
        if not isinstance(raw, dict):
            raise CheckpointError(f"{where}: {passed} must be an object, not {_kind(raw)}.")
        passed = f"{passed}.{key}".removeprefix(".")
        if key not in raw:
            if path in defaults:
                return defaults[path]
            raise _missing(where, passed, model)
        raw = raw[key]
    return raw


def requirement(where: str) -> Callable[[bool, str], None]:
    """A function that raises CheckpointError, of the file that errors call `where`, unless what it is given holds."""

    def need(holds: bool, message: str) -> None:
        if not holds:
            raise CheckpointError(f"{where}: {message}.")

    return need


def _read_value(hint: Any, value: object, where: str, name: str, model: str) -> Any:
    """Check one JSON value against a field's type."""
    if dataclasses.is_dataclass(hint):
        return read_block(typing.cast(type[Any], hint), value, where, name + ".", model=model)
    if typing.get_origin(hint) is Annotated:
        hint, bounds = typing.get_args(hint)
        number = _read_value(hint, value, where, name, model)
        if not bounds.least <= number <= bounds.most:
            raise CheckpointError(f"{where}: {name} must be {bounds.least} to {bounds.most}, not {short(number)}.")
        return number
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


def _missing(where: str, name: str, model: str) -> CheckpointError:
    return CheckpointError(f"{where}: field {name} is missing; add it, or give the config of {model} model.")


def _ill_typed(where: str, name: str, wanted: str, value: object) -> CheckpointError:
    return CheckpointError(f"{where}: field {name} must be {wanted}, not {_kind(value)}.")
