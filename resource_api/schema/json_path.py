"""The JSONPath of printer columns: dotted fields, indexes, wildcards and filters (kubectl's dialect, client-go `util/jsonpath`).

A path is compiled once; a missing field gives no result and is no error. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from resource_api.errors import Json

Step = Callable[[list[Json]], list[Json]]

_FIELD = re.compile(r"(?:[^.\[\]\\(){}|]|\\.)+")
_INDEX = re.compile(r"(-?\d{1,18})?(:(-?\d{1,18})?)?(:(\d{1,18})?)?")
_FILTER = re.compile(r"\s*(.+?)\s*(==|!=|<=|>=|<|>)\s*(.+?)\s*", re.DOTALL)
_QUOTED = re.compile(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"")


class JsonPathError(ValueError):
    """The text is no path of this dialect."""


class JsonPath:
    """A compiled path: `.spec.replicas`, `.status.conditions[?(@.type=="Ready")].status`."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._steps = _parse(text)

    def find(self, value: Json) -> list[Json]:
        """All results, in order."""
        found = [value]
        for step in self._steps:
            found = step(found)
            if not found:
                return found
        return found


def _parse(text: str) -> list[Step]:
    steps: list[Step] = []
    at = 0
    while at < len(text):
        if text.startswith("..", at):
            steps.append(_descend)
            at += 1 if not text.startswith("..[", at) else 2
        elif text[at] == "[":
            at = _bracket(text, at, steps)
        elif text[at] in "$@" and at == 0:
            at += 1
        elif text[at] == ".":
            at = _dotted(text, at + 1, steps)
        else:
            raise JsonPathError(f"unrecognized character in path {text!r} at {at}")
    return steps


def _dotted(text: str, at: int, steps: list[Step]) -> int:
    if at == len(text) or text[at] == "[":
        return at
    match = _FIELD.match(text, at)
    if match is None:
        raise JsonPathError(f"unexpected end of a field in path {text!r} at {at}")
    name = re.sub(r"\\(.)", r"\1", match.group())
    steps.append(_children if name == "*" else _field(name))
    return match.end()


def _bracket(text: str, at: int, steps: list[Step]) -> int:
    end = _closing(text, at)
    inner = text[at + 1 : end].strip()
    if inner.startswith("?(") and inner.endswith(")"):
        steps.append(_filter(inner[2:-1]))
    elif inner == "*":
        steps.append(_children)
    elif inner[:1] in ("'", '"'):
        names = [single or double for single, double in _QUOTED.findall(inner)]
        steps.append(_union([_field(re.sub(r"\\(.)", r"\1", name)) for name in names]))
    else:
        steps.append(_union([_index(part.strip(), text) for part in inner.split(",")]))
    return end + 1


def _closing(text: str, at: int) -> int:
    """Where the bracket opened at `at` is closed, quotes respected."""
    depth, quote, index = 0, "", at
    while index < len(text):
        character = text[index]
        if quote:
            if character == "\\":
                index += 1
            elif character == quote:
                quote = ""
        elif character in "'\"":
            quote = character
        elif character == "[":
            depth += 1
        elif character == "]":
            depth -= 1
            if not depth:
                return index
        index += 1
    raise JsonPathError(f"unterminated array in path {text!r}")


def _field(name: str) -> Step:
    def step(values: list[Json]) -> list[Json]:
        return [value[name] for value in values if type(value) is dict and name in value]

    return step


def _children(values: list[Json]) -> list[Json]:
    found: list[Json] = []
    for value in values:
        if type(value) is dict:
            found.extend(value.values())
        elif type(value) is list:
            found.extend(value)
    return found


def _descend(values: list[Json]) -> list[Json]:
    """Every value and all below it."""
    found: list[Json] = []
    waiting = list(reversed(values))
    while waiting:
        value = waiting.pop()
        found.append(value)
        waiting.extend(reversed(_children([value])))
    return found


def _union(steps: list[Step]) -> Step:
    def step(values: list[Json]) -> list[Json]:
        return [result for one in steps for result in one(values)]

    return step


def _index(text: str, path: str) -> Step:
    match = _INDEX.fullmatch(text)
    if match is None or not text:
        raise JsonPathError(f"invalid array index {text!r} in path {path!r}")
    first, sliced, last, _, stride = match.groups()
    start, end = int(first) if first else None, int(last) if last else None

    def step(values: list[Json]) -> list[Json]:
        found: list[Json] = []
        for value in values:
            if type(value) is not list:
                continue
            if sliced:
                found.extend(value[start : end : int(stride or 1) or 1])
            elif start is not None and -len(value) <= start < len(value):
                found.append(value[start])
        return found

    return step


def _filter(text: str) -> Step:
    match = _FILTER.fullmatch(text)
    left = _operand(match.group(1) if match else text)
    operator = match.group(2) if match else ""
    right = _operand(match.group(3)) if match else left

    def holds(value: Json) -> bool:
        ours = left(value)
        if not operator:
            return bool(ours)
        theirs = right(value)
        return bool(ours) and bool(theirs) and _compare(ours[0], operator, theirs[0])

    def step(values: list[Json]) -> list[Json]:
        return [inner for inner in _children(values) if holds(inner)]

    return step


def _operand(text: str) -> Callable[[Json], list[Json]]:
    text = text.strip()
    if text.startswith("@"):
        return JsonPath(text).find
    quoted = _QUOTED.fullmatch(text)
    if quoted is not None:
        constant: Json = re.sub(r"\\(.)", r"\1", quoted.group(1) if quoted.group(1) is not None else quoted.group(2))
    elif text in ("true", "false"):
        constant = text == "true"
    else:
        try:
            constant = float(text) if re.search(r"[.eE]", text) else int(text)
        except ValueError as error:
            raise JsonPathError(f"unrecognized operand {text!r} in a filter") from error
    return lambda value: [constant]


def _compare(left: Json, operator: str, right: Json) -> bool:
    """Values of one sort compare; different sorts are unequal."""
    numbers = (int, float)
    alike = type(left) is type(right) or (type(left) in numbers and type(right) in numbers)
    if operator == "==":
        return bool(alike and left == right)
    if operator == "!=":
        return not (alike and left == right)
    if not alike or type(left) not in (*numbers, str):
        return False
    return bool({"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[operator])
