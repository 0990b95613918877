"""What single fields of a scenario may hold, as words and a test: the tables are the simulations' own (`limits`).

A scenario that is read from a file is somebody's to edit; what it must not say is told by field, before a run takes it for
something that the store did.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from jepsen_like.shapes import Shape

SHOWN_MAX = 80
"""Characters of a value in a sentence."""

Fields = Mapping[str, Shape]

FLAG = Shape("true or false", lambda value: type(value) is bool)


def integer(low: int, high: int) -> Shape:
    """A whole number in a range, its ends included."""
    return Shape(f"an integer from {low} to {high}", lambda value: type(value) is int and low <= value <= high)


def number(low: float, high: float) -> Shape:
    """A number in a range, its ends included."""
    return Shape(f"a number from {low:g} to {high:g}", lambda value: is_number(value, low, high))


def span(low: float, high: float) -> Shape:
    """Two such numbers, of which the second is not the smaller one."""

    def holds(value: Any) -> bool:
        return isinstance(value, tuple) and len(value) == 2 and all(is_number(one, low, high) for one in value) and value[0] <= value[1]

    return Shape(f"two numbers from {low:g} to {high:g}, the smaller one first", holds)


def among(words: Collection[str]) -> Shape:
    """One of some words."""
    return Shape(f"one of {', '.join(words)}", lambda value: isinstance(value, str) and value in words)


def is_number(value: object, low: float, high: float) -> bool:
    """Never of NaN, nor of what JSON calls true."""
    return type(value) in (int, float) and low <= value <= high  # type: ignore[operator]


def loaded(text: str) -> dict[str, Any]:
    """The object of a file.

    Raises:
        ValueError: it is something else.
    """
    try:
        data = json.loads(text)
    except RecursionError:
        raise ValueError("not a scenario: it is nested too deeply") from None
    except ValueError as exc:
        raise ValueError(f"not a scenario: not JSON: {exc}") from exc
    if not isinstance(data, dict):
        raise ValueError(f"not a scenario: an object is wanted, not {short(data)}")
    return data


def refuse_names(what: str, given: Collection[str], known: Sequence[str], needed: Collection[str] = ()) -> None:
    """Raises ValueError for a name that is not known, or one that is needed and missing."""
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise ValueError(f"{what} has no {', '.join(unknown)[:SHOWN_MAX]}; it has {', '.join(known)}")
    missing = [name for name in needed if name not in given]
    if missing:
        raise ValueError(f"{what} must have {', '.join(missing)}")


def refuse(what: str, fields: Fields, values: Mapping[str, object]) -> None:
    """Raises ValueError for the first value that its field must not have."""
    for name, shape in fields.items():
        if name in values and not shape.holds(values[name]):
            raise ValueError(f"{what}{name} must be {shape.says}, not {short(values[name])}")


def short(value: object) -> str:
    """For a sentence."""
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # Lists within lists; more digits than Python prints.
        return "what is too long to show"
    return text if len(text) <= SHOWN_MAX else text[: SHOWN_MAX - 1] + "…"
