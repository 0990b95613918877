"""YAML as the JSON its first document means, as upstream's reader has it: text, numbers and booleans of YAML 1.1 as in Go's library.

Values are made from the parser's events with a stack of their own. The library's composer recurses on the C stack, which one body of
40 kB overflows; its parser does not. Nesting, and what aliases add, are bounded while reading. Knows nothing of kinds.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from datetime import date
from typing import Any

import yaml

from resource_api.errors import Json, Object
from resource_api.go_numbers import go_shortest
from resource_api.schema.depth import DEPTH_MAX
from resource_api.schema.json_values import copied, go_syntax, whole_numbers

ALIASED_NODES_MAX = 100_000
"""Nodes of a document after its aliases are written out."""

PREFACE = "error converting YAML to JSON: "

_TAG = "tag:yaml.org,2002:"
_LITERALS: dict[str, Json] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
}
"""Plain scalars with a meaning of their own."""

_NUMERIC = frozenset("+-.0123456789")
_INTEGER = re.compile(r"[-+]?(?:(?P<hex>0[xX][0-9a-fA-F]+)|(?P<new>0[oO][0-7]+)|(?P<two>0[bB][01]+)|(?P<old>0[0-7]+)|0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_INTEGER_CHARS_MAX = 70
"""Longer ones are past 64 bits in any base."""

_TIMESTAMP = re.compile(
    r"(?P<date>[0-9]{4}-[0-9]{1,2}-[0-9]{1,2})"
    r"(?:(?P<split>[Tt ])(?:[01]?[0-9]|2[0-3]):[0-5]?[0-9]:[0-5]?[0-9](?:[.,][0-9]+)?(?P<zone>Z|[-+](?:[01][0-9]|2[0-4]):[0-5][0-9])?)?"
)
_NO_BASE64 = re.compile(r"[^A-Za-z0-9+/=]")
_UNKNOWN_ESCAPE = re.compile(r"(?:[^\\]|\\[^/])*\\/")
"""Go's library does not know `\\/`, which this one reads."""

_MISSING: Any = object()
_MERGE: Any = object()
"""Stands for the key `<<`."""


class _Parser(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # the C one where it was built
    """Only its events are taken."""


class _Open:
    """A container that is being read."""

    __slots__ = ("anchor", "depth", "key", "line", "lines", "list", "map", "size")

    def __init__(self, *, is_map: bool, anchor: str | None) -> None:
        self.anchor = anchor
        self.map: Object | None = {} if is_map else None
        self.list: list[Json] = []
        self.key: Any = _MISSING
        """What the next value of a mapping is for."""
        self.line = 0
        self.lines: dict[str, int] = {}
        """Where the keys of a mapping stand, those of a merge in their source."""
        self.size = 1
        self.depth = 1


def yaml_value(body: bytes) -> tuple[Json, list[str]]:
    """The first YAML document as the JSON it means, and its duplicate keys. What stands behind it is not read. Raises ValueError."""
    try:
        parser = _Parser(body)
        reader = _Reader(parser, body)
        try:
            value = reader.document()
        finally:
            parser.dispose()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        # Go's parser does not name the first line, and counts from 0 except in its scanner.
        line = 0 if mark is None or not mark.line else mark.line + isinstance(error, yaml.scanner.ScannerError)
        where = f"line {line}: " if line else ""
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error).splitlines()[0]
        raise ValueError(f"{PREFACE}yaml: {where}{problem}") from error
    except (UnicodeDecodeError, OverflowError) as error:
        raise ValueError(f"{PREFACE}yaml: invalid Unicode character or number") from error
    if reader.has_aliases:
        # Aliased parts are one object in memory: written out, they can be changed one by one.
        value = copied(value)
    # Upstream makes JSON of YAML first, where Go writes 1.0 as 1.
    try:
        return whole_numbers(value), reader.faults
    except OverflowError as error:
        raise ValueError(f"{PREFACE}{error}") from error


class _Reader:
    """One document. `_open` holds at most DEPTH_MAX containers."""

    def __init__(self, parser: Any, body: bytes) -> None:
        self._parser = parser
        self._text = body.decode("utf-8-sig", "replace") if b"\\/" in body else ""
        """Looked at only when an escape may have to be refused."""
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Json, int, int]] = {}
        """Value, nodes and levels of what was closed."""
        self._lines: dict[int, dict[str, int]] = {}
        """By identity of the mappings that were closed."""
        self._top: Json = None
        self._nodes = 0
        self.has_aliases = False
        self.faults: list[str] = []

    def document(self) -> Json:
        """The value of the first document, None without one. Raises ValueError, yaml.YAMLError."""
        while True:
            event = self._parser.get_event()
            kind = type(event)
            if kind is yaml.ScalarEvent:
                self._scalar(event)
            elif kind is yaml.SequenceStartEvent or kind is yaml.MappingStartEvent:
                self._opened(event, is_map=kind is yaml.MappingStartEvent)
            elif kind is yaml.SequenceEndEvent or kind is yaml.MappingEndEvent:
                self._closed(event)
            elif kind is yaml.AliasEvent:
                self._alias(event)
            elif kind is yaml.DocumentEndEvent or kind is yaml.StreamEndEvent:
                return self._top

    def _scalar(self, event: Any) -> None:
        text: str = event.value
        tag = event.tag
        if self._text and event.style == '"':
            self._check_escapes(event)
        plain = event.implicit[0]
        if text == "<<" and (plain or tag == _TAG + "merge") and self._awaits_key():
            self._open[-1].key = _MERGE
            return
        if tag is None or tag == "!":
            value = _plain(text) if plain else text
        else:
            value = _tagged(tag, text)
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, 1, 0)
        self._add(value, 1, 0, event)

    def _opened(self, event: Any, *, is_map: bool) -> None:
        if len(self._open) >= DEPTH_MAX:
            raise _too_deep(event)
        if event.anchor is not None:
            # Until it is closed, an alias of it is one of a value inside itself.
            self._anchors[event.anchor] = (_MISSING, 0, 0)
        self._open.append(_Open(is_map=is_map, anchor=event.anchor))

    def _closed(self, event: Any) -> None:
        done = self._open.pop()
        value: Json = done.list if done.map is None else done.map
        if done.map is not None:
            self._lines[id(done.map)] = done.lines
        if done.anchor is not None:
            self._anchors[done.anchor] = (value, done.size, done.depth)
        self._add(value, done.size, done.depth, event)

    def _alias(self, event: Any) -> None:
        self.has_aliases = True
        found = self._anchors.get(event.anchor)
        if found is None:
            raise _misfit(f"unknown anchor '{event.anchor}' referenced")
        value, size, depth = found
        if value is _MISSING:
            raise _misfit(f"anchor '{event.anchor}' value contains itself")
        if len(self._open) + depth > DEPTH_MAX:
            raise _too_deep(event)
        self._nodes += size
        if self._nodes > ALIASED_NODES_MAX:
            raise _misfit("document contains excessive aliasing")
        self._add(value, size, depth, event)

    def _awaits_key(self) -> bool:
        return bool(self._open) and self._open[-1].map is not None and self._open[-1].key is _MISSING

    def _add(self, value: Json, size: int, depth: int, event: Any) -> None:
        if not self._open:
            self._top = value
            return
        parent = self._open[-1]
        parent.size += size
        if depth >= parent.depth:
            parent.depth = depth + 1
        if parent.map is None:
            parent.list.append(value)
        elif parent.key is _MISSING:
            if isinstance(value, dict | list):
                raise _misfit(f"invalid map key: {go_syntax(value)}")
            parent.key = value
            parent.line = event.start_mark.line + 1
        elif parent.key is _MERGE:
            self._merge(parent, value, is_alias=type(event) is yaml.AliasEvent)
            parent.key = _MISSING
        else:
            self._set(parent, _key(parent.key, value), value, parent.line)
            parent.key = _MISSING

    def _set(self, parent: _Open, name: str, value: Json, line: int) -> None:
        assert parent.map is not None
        if name in parent.map:
            self.faults.append(f'line {line}: key "{name}" already set in map')
        parent.map[name] = value
        parent.lines[name] = line

    def _merge(self, parent: _Open, value: Json, *, is_alias: bool) -> None:
        """Like keys that stand here: what comes later wins. Of several mappings in one list the first does."""
        sources = reversed(value) if isinstance(value, list) and not is_alias else [value]
        for source in sources:
            if not isinstance(source, dict):
                raise _misfit("map merge requires map or sequence of maps as the value")
            lines = self._lines[id(source)]
            for name, child in source.items():
                self._set(parent, name, child, lines[name])

    def _check_escapes(self, event: Any) -> None:
        """Raises ScannerError for an escape that Go's library does not know."""
        found = _UNKNOWN_ESCAPE.match(self._text, event.start_mark.index, event.end_mark.index)
        if found:
            mark = event.start_mark
            line = mark.line + found[0].count("\n")
            raise yaml.scanner.ScannerError(problem="found unknown escape character", problem_mark=yaml.Mark("", 0, line, 0, None, 0))


def _plain(text: str) -> Json:
    """A scalar without quotes and tag."""
    if text and text[0] not in _NUMERIC:
        return _LITERALS.get(text, text)
    if text in _LITERALS:
        return _LITERALS[text]
    return _number(text)


def is_plain_text(text: str) -> bool:
    """Whether a scalar without quotes would be read as this text, and not as a number, a boolean or nothing."""
    return type(_plain(text)) is str


def _number(text: str) -> Json:
    """An integer of 64 bits, a finite float, or the text itself."""
    digits = text.replace("_", "") if text[0] != "." else text
    if len(digits) <= _INTEGER_CHARS_MAX and (found := _INTEGER.fullmatch(digits)):
        number = int(digits, 16 if found["hex"] else 8 if found["new"] or found["old"] else 2 if found["two"] else 10)
        if -(1 << 63) <= number < 1 << 64:
            return number
    if _FLOAT.fullmatch(digits):
        value = float(digits)
        return value if math.isfinite(value) else text
    return text


def _tagged(tag: str, text: str) -> Json:
    """A scalar whose tag says what it is; with one that says nothing, its text. Raises ConstructorError."""
    name = tag.removeprefix(_TAG)
    if name == tag:
        return text
    if name == "binary":
        return _binary(text)
    if name == "timestamp" and _is_timestamp(text):
        return text
    if name not in ("null", "bool", "int", "float", "timestamp"):
        return text
    value = _plain(text)
    if name == "float" and type(value) is int:
        return float(value)
    found = {type(None): "null", bool: "bool", int: "int", float: "float"}.get(type(value), "str")
    if found != name:
        raise _misfit(f"cannot decode !!{found} `{text}` as a !!{name}")
    return value


def _binary(text: str) -> str:
    packed = text.replace("\n", "").replace("\r", "")
    try:
        if _NO_BASE64.search(packed):
            raise binascii.Error
        return base64.b64decode(packed, validate=True).decode(errors="replace")
    except binascii.Error as error:
        raise _misfit("!!binary value contains invalid base64 data") from error


def _is_timestamp(text: str) -> bool:
    """A date, or a time with a zone after `T` and without one after a space."""
    found = _TIMESTAMP.fullmatch(text)
    if not found or (found["split"] and (found["split"] == " ") == bool(found["zone"])):
        return False
    try:
        date(*map(int, found["date"].split("-")))
    except ValueError:
        return False
    return True


def _key(key: Json, value: Json) -> str:
    """The name of a field, `value`'s. Raises ValueError."""
    if isinstance(key, str):
        return key
    if isinstance(key, bool):
        return "true" if key else "false"
    if isinstance(key, float):
        return _INFINITE.get(name := go_shortest(key, single=True), name)
    if isinstance(key, int) and key < 1 << 63:
        return str(key)
    kind, shown = ("%!s(<nil>)", "<nil>") if key is None else ("uint64", f"{key:#x}")
    raise ValueError(f"{PREFACE}unsupported map key of type: {kind}, key: {shown}, value: {go_syntax(value)}")


_INFINITE = {"+Inf": ".inf", "-Inf": "-.inf", "NaN": ".nan"}


def _too_deep(event: Any) -> ValueError:
    line = event.start_mark.line
    where = f"line {line + 1}: " if line else ""
    return ValueError(f"{PREFACE}yaml: {where}exceeded max depth of {DEPTH_MAX}")


def _misfit(problem: str) -> yaml.YAMLError:
    """Go's library names no line for what the parser lets pass."""
    return yaml.constructor.ConstructorError(problem=problem)
