"""Read JSON objects as dataclasses and refuse unknown, missing and wrong keys."""

import difflib
from collections.abc import Collection, Mapping
from dataclasses import MISSING, Field, fields
from typing import TYPE_CHECKING, Any, TypeVar

from ..configuration_emonet import check_field
from ..errors import EmoNetError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Object = TypeVar("Object", bound="DataclassInstance")


def read_as(kind: type[Object], value: Any, location: str) -> Object:
    """Build the dataclass `kind` from a JSON object.

    Args:
        kind: Its fields are the allowed keys; those without a default are required.
        value: The object, as `json` reads it.
        location: Where the object is in its file, for errors.

    Raises:
        EmoNetError: for an unknown or missing key or a wrong value.
    """
    known = {field.name: field for field in fields(kind)}
    check_values(value, location, known)
    required = [name for name, field in known.items() if field.default is field.default_factory is MISSING]
    if missing := [name for name in required if name not in value]:
        raise EmoNetError(f"{location}: {', '.join(missing)} is missing; required are {', '.join(required)}.")
    return kind(**value)


def check_values(value: Any, location: str, known: Mapping[str, Field[Any]]) -> None:
    """Check that `value` is an object whose keys and values fit the `known` fields."""
    check_keys(value, location, known)
    for name, item in value.items():
        try:
            check_field(known[name], item)
        except EmoNetError as error:
            raise EmoNetError(f"{location}, {error}") from error


def check_keys(value: Any, location: str, allowed: Collection[str]) -> None:
    """Check that `value` is an object with no keys but the `allowed` ones."""
    if not isinstance(value, dict):
        raise EmoNetError(f"{location}: {value!r:.200} is not an object.")
    for key in value:
        if key not in allowed:
            close = difflib.get_close_matches(key, allowed, 1)
            hint = f" (did you mean {close[0]!r}?)" if close else ""
            raise EmoNetError(f"{location}: unknown key {key!r}{hint}; allowed are {', '.join(allowed)}.")
