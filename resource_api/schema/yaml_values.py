"""YAML documents as the JSON they mean, as upstream's reader has it: text, numbers and booleans of YAML 1.1 as Go's library tells them.

Values are made from the parser's events with a stack of their own. The library's composer recurses on the C stack, which one body of
40 kB overflows; its parser does not. Nesting, and what aliases add, are bounded while reading. Knows nothing of kinds.
"""

from __future__ import annotations

import math
import re
from typing import Any

import yaml

from resource_api.errors import Json, Object
from resource_api.schema.depth import DEPTH_MAX
from resource_api.schema.json_values import copied, whole_numbers

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

_SCALARS = frozenset(("null", "bool", "int", "float"))
_TEXTS = frozenset(("str", "binary", "timestamp", "merge", "value"))
_SEQUENCES = frozenset(("seq", "omap", "pairs"))
_MAPPINGS = frozenset(("map", "set"))

_MISSING: Any = object()
_MERGE: Any = object()
"""Stands for the key `<<`."""


class _Parser(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # the C one where it was built
    """Only its events are taken."""


class _Open:
    """A container that is being read."""

    __slots__ = ("anchor", "depth", "key", "line", "list", "map", "merged", "size")

    def __init__(self, *, is_map: bool, anchor: str | None) -> None:
        self.anchor = anchor
        self.map: Object | None = {} if is_map else None
        self.list: list[Json] = []
        self.key: Any = _MISSING
        """What the next value of a mapping is for."""
        self.line = 0
        self.merged: set[str] = set()
        """Keys that came from a merge and not from here: an own one replaces them wherever it stands."""
        self.size = 1
        self.depth = 1


def yaml_value(body: bytes) -> tuple[Json, list[str]]:
    """A YAML document as the JSON it means, and its duplicate keys. Raises ValueError."""
    try:
        parser = _Parser(body)
        reader = _Reader(parser)
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

    def __init__(self, parser: Any) -> None:
        self._parser = parser
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Json, int, int]] = {}
        """Value, nodes and levels of what was closed."""
        self._top: Json = None
        self._nodes = 0
        self.has_aliases = False
        self.faults: list[str] = []

    def document(self) -> Json:
        """The value of the only document. Raises ValueError, yaml.YAMLError."""
        documents = 0
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
            elif kind is yaml.DocumentStartEvent:
                documents += 1
                if documents > 1:
                    raise yaml.composer.ComposerError(problem="but found another document", problem_mark=event.start_mark)
            elif kind is yaml.StreamEndEvent:
                return self._top

    def _scalar(self, event: Any) -> None:
        text: str = event.value
        tag = event.tag
        if tag is None or tag == "!":
            plain = event.implicit[0]
            if plain and text == "<<" and self._awaits_key():
                self._open[-1].key = _MERGE
                return
            value = _plain(text) if plain else text
        else:
            value = _tagged(tag, text, event)
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, 1, 0)
        self._add(value, 1, 0, event)

    def _opened(self, event: Any, *, is_map: bool) -> None:
        if len(self._open) >= DEPTH_MAX:
            raise _too_deep(event)
        tag = event.tag
        if tag is not None and tag != "!":
            name = _short(tag, event)
            if name not in (_MAPPINGS if is_map else _SEQUENCES):
                wanted = "a sequence" if name in _SEQUENCES else "a mapping" if name in _MAPPINGS else "a scalar"
                raise _misfit(f"expected {wanted} node, but found {'mapping' if is_map else 'sequence'}", event)
        if event.anchor is not None:
            # Until it is closed, an alias of it is one of a value inside itself.
            self._anchors[event.anchor] = (_MISSING, 0, 0)
        self._open.append(_Open(is_map=is_map, anchor=event.anchor))

    def _closed(self, event: Any) -> None:
        done = self._open.pop()
        value: Json = done.list if done.map is None else done.map
        if done.anchor is not None:
            self._anchors[done.anchor] = (value, done.size, done.depth)
        self._add(value, done.size, done.depth, event)

    def _alias(self, event: Any) -> None:
        self.has_aliases = True
        found = self._anchors.get(event.anchor)
        if found is None:
            raise _misfit(f"unknown anchor '{event.anchor}' referenced", event)
        value, size, depth = found
        if value is _MISSING:
            raise _misfit("found unconstructable recursive node", event)
        if len(self._open) + depth > DEPTH_MAX:
            raise _too_deep(event)
        self._nodes += size
        if self._nodes > ALIASED_NODES_MAX:
            raise _misfit("document contains excessive aliasing", event)
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
            parent.key = _key(value, event)
            parent.line = event.start_mark.line + 1
        elif parent.key is _MERGE:
            self._merge(parent, value, event)
            parent.key = _MISSING
        else:
            self._set(parent, parent.key, value)
            parent.key = _MISSING

    def _set(self, parent: _Open, name: str, value: Json) -> None:
        assert parent.map is not None
        if name in parent.map:
            self.faults.append(f'line {parent.line}: key "{name}" already set in map')
        parent.merged.discard(name)
        parent.map[name] = value

    def _merge(self, parent: _Open, value: Json, event: Any) -> None:
        """The first of several mappings wins, and what stands in the mapping itself wins over all."""
        assert parent.map is not None
        sources = value if isinstance(value, list) else [value]
        if not all(isinstance(source, dict) for source in sources):
            raise _misfit("map merge requires map or sequence of maps as the value", event)
        mine: set[str] = set()
        for source in sources:
            for name, child in source.items():
                if name not in parent.map or (name in parent.merged and name not in mine):
                    parent.map[name] = child
                    parent.merged.add(name)
                    mine.add(name)


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


def _tagged(tag: str, text: str, event: Any) -> Json:
    """A scalar whose tag says what it is."""
    name = _short(tag, event)
    if name in _TEXTS:
        return text
    if name not in _SCALARS:
        raise _misfit(f"expected {'a sequence' if name in _SEQUENCES else 'a mapping'} node, but found scalar", event)
    value = _plain(text)
    if name == "float" and type(value) is int:
        return float(value)
    fits = {"null": value is None, "bool": type(value) is bool, "int": type(value) is int, "float": type(value) is float}
    if not fits[name]:
        raise _misfit(f"cannot decode !!str `{text[:10]}{'...' if len(text) > 10 else ''}` as a !!{name}", event)
    return value


def _short(tag: str, event: Any) -> str:
    """A tag of YAML without its preface. Raises ConstructorError for every other."""
    name = tag.removeprefix(_TAG)
    if name == tag or not (name in _SCALARS or name in _TEXTS or name in _SEQUENCES or name in _MAPPINGS):
        raise _misfit(f"could not determine a constructor for the tag '{tag}'", event)
    return name


def _key(value: Json, event: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    line = event.start_mark.line + 1
    raise ValueError(f"yaml: line {line}: Unsupported map key of type: {type(value).__name__}")


def _too_deep(event: Any) -> ValueError:
    line = event.start_mark.line
    where = f"line {line + 1}: " if line else ""
    return ValueError(f"{PREFACE}yaml: {where}exceeded max depth of {DEPTH_MAX}")


def _misfit(problem: str, event: Any) -> yaml.YAMLError:
    return yaml.constructor.ConstructorError(problem=problem, problem_mark=event.start_mark)
