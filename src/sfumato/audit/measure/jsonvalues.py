"""Dataclasses as JSON values, and back: a file may come from anyone, so every type is checked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

_TYPES = {int: "integer", bool: "boolean", str: "string", dict: "object", list: "array"}


def written(thing: Any) -> dict[str, Any]:  # noqa: ANN401 - any dataclass
    """Return a dataclass as JSON values; null for what JSON has no number for."""
    return {name: finite(value) for name, value in asdict(thing).items()}


def finite(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return JSON values with null for what JSON has no number for."""
    if isinstance(value, dict):
        return {key: finite(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_as(kind: Any, value: Any, *, null_is_nan: bool = False) -> Any:  # noqa: ANN401 - as asked for
    """Return a JSON value as `kind`, as `written` wrote it.

    `kind` is a dataclass, int, float, bool, str, dict, list or Literal, or a tuple, a mapping by
    text, or an optional one of such. Every field is there. With `null_is_nan` a
    number may be undefined.

    Raises:
        TypeError, ValueError, KeyError: it is something else, or a number that is not finite.
    """
    nan = null_is_nan
    if is_dataclass(kind) and isinstance(kind, type):
        return _dataclass(kind, _of(value, dict), nan)
    origin, inner = get_origin(kind), get_args(kind)
    if origin is tuple:
        return _tuple(inner, _of(value, list), nan)
    if origin is Mapping:
        entries = _of(value, dict).items()
        return {_of(key, str): read_as(inner[1], one, null_is_nan=nan) for key, one in entries}
    if origin is UnionType:
        (other,) = (one for one in inner if one is not NoneType)
        return None if value is None else read_as(other, value, null_is_nan=nan)
    if origin is Literal:
        if value not in inner:
            raise ValueError(f"expected one of {inner}, got {value!r}")
        return value
    if kind is float:
        return math.nan if nan and value is None else _float(value)
    return _of(value, kind)


def _dataclass(kind: type, document: Mapping[str, Any], nan: bool) -> Any:  # noqa: ANN401
    hints, given = get_type_hints(kind), {}
    unknown = set(document) - {field.name for field in fields(kind)}
    if unknown:
        raise ValueError(f"{kind.__name__} has no {', '.join(sorted(unknown))}")
    for field in fields(kind):
        told = document[field.name]
        given[field.name] = read_as(hints[field.name], told, null_is_nan=nan)
    return kind(**given)


def _tuple(inner: tuple[Any, ...], values: list[Any], nan: bool) -> tuple[Any, ...]:
    if inner[-1] is Ellipsis:
        return tuple(read_as(inner[0], value, null_is_nan=nan) for value in values)
    pairs = zip(inner, values, strict=True)
    return tuple(read_as(kind, value, null_is_nan=nan) for kind, value in pairs)


def _float(value: object) -> float:
    number = float(_of(value, (int, float)))
    if not math.isfinite(number):
        raise ValueError(f"expected a finite number, got {number}")
    return number


def _of(value: Any, kind: Any) -> Any:  # noqa: ANN401
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise TypeError(f"expected {kind}, got {type(value).__name__}")
    return value


def schema_of(kind: Any, *, null_is_nan: bool = False) -> dict[str, Any]:  # noqa: ANN401 - as read_as
    """Return the JSON Schema of exactly what `read_as` takes as `kind`."""
    nan = null_is_nan
    if is_dataclass(kind) and isinstance(kind, type):
        hints = get_type_hints(kind)
        return object_of(
            {one.name: schema_of(hints[one.name], null_is_nan=nan) for one in fields(kind)}
        )
    origin, inner = get_origin(kind), get_args(kind)
    if origin is tuple:
        return _array_of(inner, nan)
    if origin is Mapping:
        return {"type": "object", "additionalProperties": schema_of(inner[1], null_is_nan=nan)}
    if origin is UnionType:
        (other,) = (one for one in inner if one is not NoneType)
        return nullable(schema_of(other, null_is_nan=nan))
    if origin is Literal:
        return {"enum": list(inner)}
    if kind is float:
        return nullable({"type": "number"}) if nan else {"type": "number"}
    return {"type": _TYPES[kind]}


def object_of(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of an object with exactly these properties."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }


def nullable(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of a value or null."""
    return {"anyOf": [dict(schema), {"type": "null"}]}


def _array_of(inner: tuple[Any, ...], nan: bool) -> dict[str, Any]:
    if inner[-1] is Ellipsis:
        return {"type": "array", "items": schema_of(inner[0], null_is_nan=nan)}
    return {
        "type": "array",
        "prefixItems": [schema_of(kind, null_is_nan=nan) for kind in inner],
        "items": False,
        "minItems": len(inner),
    }
