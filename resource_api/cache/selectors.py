"""Label and field selectors: what clients write in queries and objects, parsed once, matched against decoded objects.

Grammar and texts are apimachinery's (`pkg/labels`, `pkg/fields`; spec B.9). A selector that selects everything is falsy. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from resource_api.errors import FieldError, Json, Object, bad_request, invalid
from resource_api.schema import names

Labels = Mapping[str, str]

IN, NOT_IN, EXISTS, MISSING, ABOVE, BELOW = "in", "notin", "exists", "!", "gt", "lt"
"""`=` and `==` are IN of one value, `!=` is NOT_IN of one."""

OPERATORS = "in, notin, =, ==, !=, gt, lt"
"""As the message lists them."""

EXPRESSION_OPERATORS = {"In": IN, "NotIn": NOT_IN, "Exists": EXISTS, "DoesNotExist": MISSING}
"""Of `matchExpressions`."""

_SYMBOLS = {"=": IN, "==": IN, "!=": NOT_IN, "in": IN, "notin": NOT_IN, ">": ABOVE, "<": BELOW}
_TOKEN = re.compile(r"\s*(?:(!=|==|[=!(),<>])|([^\s=!(),<>]+))")
_WORD, _END = "word", "end"

INT64 = range(-(1 << 63), 1 << 63)


class Requirement(NamedTuple):
    """One condition on one label."""

    key: str
    operator: str
    values: frozenset[str] = frozenset()
    bound: int = 0

    def matches(self, labels: Labels) -> bool:
        """NOT_IN and MISSING also hold for what lacks the key."""
        value = labels.get(self.key)
        if self.operator == IN:
            return value in self.values
        if self.operator == NOT_IN:
            return value not in self.values
        if self.operator == EXISTS:
            return value is not None
        if self.operator == MISSING:
            return value is None
        number = _integer(value) if value is not None else None
        if number is None:
            return False
        return number > self.bound if self.operator == ABOVE else number < self.bound


class LabelSelector(NamedTuple):
    """Conditions that must all hold."""

    requirements: tuple[Requirement, ...] = ()
    nothing: bool = False
    """Matches no object at all: a selector field that is absent."""

    def __bool__(self) -> bool:
        return self.nothing or bool(self.requirements)

    def matches(self, labels: Labels | None) -> bool:
        """Whether an object with these labels is selected."""
        if self.nothing:
            return False
        present = labels or {}
        return all(requirement.matches(present) for requirement in self.requirements)


EVERYTHING = LabelSelector()
NOTHING = LabelSelector(nothing=True)


class SelectorError(ValueError):
    """What is wrong with a selector."""


def parse_labels(text: str) -> LabelSelector:
    """A `labelSelector`. Raises StatusError 400."""
    try:
        return LabelSelector(tuple(sorted(_Parser(text).requirements(), key=lambda one: one.key)))
    except SelectorError as error:
        raise bad_request(str(error)) from error


class _Parser:
    """Recursive descent over the tokens; `in` and `notin` are words wherever no operator can stand."""

    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        place, end = 0, len(text.rstrip())
        while place < end:
            found = _TOKEN.match(text, place)
            assert found is not None
            symbol, word = found.groups()
            self._tokens.append((symbol, symbol) if symbol else (_WORD, word))
            place = found.end()
        self._tokens.append((_END, ""))
        self._next = 0

    def requirements(self) -> list[Requirement]:
        """All of them."""
        found: list[Requirement] = []
        while True:
            kind, text = self._look()
            if kind == _END:
                return found
            if kind not in (_WORD, "!"):
                raise SelectorError(f"found '{text}', expected: !, identifier, or 'end of string'")
            try:
                found.append(self._requirement())
            except SelectorError as error:
                raise SelectorError(f"unable to parse requirement: {error}") from error
            kind, text = self._take()
            if kind == _END:
                return found
            if kind != ",":
                raise SelectorError(f"found '{text}', expected: ',' or 'end of string'")
            kind, text = self._look()
            if kind not in (_WORD, "!"):
                raise SelectorError(f"found '{text}', expected: identifier after ','")

    def _requirement(self) -> Requirement:
        kind, key = self._take()
        is_missing = kind == "!"
        if is_missing:
            kind, key = self._take()
        if kind != _WORD:
            raise SelectorError(f"found '{key}', expected: identifier")
        if problems := names.qualified_name(key):
            # NB: upstream prints the path it has not got.
            raise SelectorError(str(invalid("<nil>", key, "; ".join(problems))))
        if self._look()[0] in (_END, ","):
            return Requirement(key, MISSING if is_missing else EXISTS)
        if is_missing:
            # Whatever follows is complained of by whoever expects the next requirement.
            return Requirement(key, MISSING)
        symbol = self._take()[1]
        if symbol not in _SYMBOLS:
            raise SelectorError(f"found '{symbol}', expected: {OPERATORS}")
        values = self._values() if symbol in (IN, NOT_IN) else self._value()
        return _checked(key, _SYMBOLS[symbol], values)

    def _value(self) -> list[str]:
        if self._look()[0] in (_END, ","):
            return [""]
        kind, text = self._take()
        if kind != _WORD:
            raise SelectorError(f"found '{text}', expected: identifier")
        return [text]

    def _values(self) -> list[str]:
        kind, text = self._take()
        if kind != "(":
            raise SelectorError(f"found '{text}' expected: '('")
        kind, text = self._look()
        if kind == ")":
            self._take()
            return []
        if kind not in (_WORD, ","):
            raise SelectorError(f"found '{text}', expected: ',', ')' or identifier")
        values = self._list()
        self._take()
        return values

    def _list(self) -> list[str]:
        """Up to the closing parenthesis; two commas in a row, or one at an end, are an empty value."""
        values: list[str] = []
        while True:
            kind, text = self._take()
            if kind == _WORD:
                values.append(text)
                after, shown = self._look()
                if after == ")":
                    return values
                if after != ",":
                    raise SelectorError(f"found '{shown}', expected: ',' or ')'")
            elif kind == ",":
                if not values:
                    values.append("")
                after = self._look()[0]
                if after == ")":
                    return [*values, ""]
                if after == ",":
                    self._take()
                    values.append("")
            else:
                raise SelectorError(f"found '{text}', expected: ',', or identifier")

    def _look(self) -> tuple[str, str]:
        return self._tokens[self._next]

    def _take(self) -> tuple[str, str]:
        taken = self._tokens[self._next]
        self._next = min(self._next + 1, len(self._tokens) - 1)
        return taken


def _checked(key: str, operator: str, values: Sequence[str], path: str = "") -> Requirement:
    """A requirement whose values are what its operator takes. Raises SelectorError."""
    at = f"{path}values"
    unique = sorted(set(values))
    problems: list[FieldError] = []
    bound = 0
    if operator in (IN, NOT_IN) and not unique:
        problems.append(invalid(at, [], "for 'in', 'notin' operators, values set can't be empty"))
    if operator in (ABOVE, BELOW):
        number = _integer(unique[0])
        bound = number or 0
        if number is None:
            problems.append(invalid(f"{at}[0]", unique[0], "for 'Gt', 'Lt' operators, the value must be an integer"))
    for place, value in enumerate(unique):
        if wrong := names.label_value(value):
            problems.append(invalid(f"{at}[{place}][{key}]", value, "; ".join(wrong)))
    if problems:
        texts = list(dict.fromkeys(map(str, problems)))
        raise SelectorError(texts[0] if len(texts) == 1 else "[" + ", ".join(texts) + "]")
    return Requirement(key, operator, frozenset(unique), bound)


def _integer(text: str) -> int | None:
    """As Go's ParseInt of 64 bits."""
    if not re.fullmatch(r"[+-]?[0-9]+", text, re.ASCII):
        return None
    number = int(text) if len(text) <= 20 else INT64.stop
    return number if number in INT64 else None


def label_selector_of(selector: Object | None) -> LabelSelector:
    """A LabelSelector object: `matchLabels` and `matchExpressions`. An absent one matches nothing, an empty one everything.

    Raises SelectorError.
    """
    if selector is None:
        return NOTHING
    found = [_checked_key(key, IN, [value]) for key, value in sorted((selector.get("matchLabels") or {}).items())]
    for expression in selector.get("matchExpressions") or ():
        operator = EXPRESSION_OPERATORS.get(expression.get("operator", ""))
        if operator is None:
            raise SelectorError(f'"{expression.get("operator", "")}" is not a valid label selector operator')
        values = expression.get("values") or []
        if operator in (EXISTS, MISSING) and values:
            raise SelectorError(str(invalid("values", values, "values set must be empty for exists and does not exist")))
        found.append(_checked_key(expression.get("key", ""), operator, values))
    return LabelSelector(tuple(found))


def _checked_key(key: str, operator: str, values: Sequence[str]) -> Requirement:
    if problems := names.qualified_name(key):
        raise SelectorError(str(invalid("key", key, "; ".join(problems))))
    return _checked(key, operator, values) if operator in (IN, NOT_IN) else Requirement(key, operator)


def check_label_selector(selector: Object, path: str) -> list[FieldError]:
    """What is wrong with a LabelSelector in an object, field by field."""
    problems: list[FieldError] = []
    for place, expression in enumerate(selector.get("matchExpressions") or ()):
        at = f"{path}.matchExpressions[{place}]"
        operator, values = expression.get("operator", ""), expression.get("values") or []
        if operator in ("In", "NotIn") and not values:
            problems.append(
                FieldError("FieldValueRequired", f"{at}.values", "Required value: must be specified when `operator` is 'In' or 'NotIn'")
            )
        if operator in ("Exists", "DoesNotExist") and values:
            text = "Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            problems.append(FieldError("FieldValueForbidden", f"{at}.values", text))
        if operator not in EXPRESSION_OPERATORS:
            problems.append(invalid(f"{at}.operator", operator, "not a valid selector operator"))
        problems += [invalid(f"{at}.key", expression.get("key", ""), text) for text in names.qualified_name(expression.get("key", ""))]
        for number, value in enumerate(values):
            problems += [invalid(f"{at}.values[{number}]", value, text) for text in names.label_value(value)]
    return problems


# Fields.

FieldPath = tuple[str, ...]
"""Where a field's value stands in the object; a list there means its first item."""

FIELD_DEFAULTS = {"spec.unschedulable": "false", "spec.hostNetwork": "false", "status.replicas": "0", "status.successful": "0"}
"""Fields that are numbers and booleans have a value also where the object says nothing."""

_TERM = re.compile(r"(?:[^\\,]|\\.)*", re.DOTALL)
_OPERATOR = re.compile(r"!=|==|=")


class FieldTerm(NamedTuple):
    """One condition on one field."""

    label: str
    equal: bool
    value: str


class FieldSelector(NamedTuple):
    """Conditions that must all hold; `paths` are those of the kind."""

    terms: tuple[FieldTerm, ...] = ()
    paths: Mapping[str, FieldPath] = {}

    def __bool__(self) -> bool:
        return bool(self.terms)

    def matches(self, obj: Object) -> bool:
        """Whether the object is selected."""
        return all((field_value(obj, term.label, self.paths[term.label]) == term.value) == term.equal for term in self.terms)

    def exact(self, label: str) -> str | None:
        """The one value the selector allows for a field, if it does."""
        return next((term.value for term in self.terms if term.label == label and term.equal), None)


def parse_fields(text: str, paths: Mapping[str, FieldPath], *, unsupported: Callable[[str], str] | None = None) -> FieldSelector:
    """A `fieldSelector` of a kind whose labels are `paths`; `unsupported` words the refusal of another label. Raises StatusError 400."""
    terms: list[FieldTerm] = []
    for term in _split_terms(text):
        if not term:
            continue
        found = _OPERATOR.search(term)
        if found is None:
            raise bad_request(f"invalid selector: '{text}'; can't understand '{term}'")
        label = term[: found.start()]
        value = _unescaped(term[found.end() :])
        if label not in paths:
            raise bad_request(unsupported(label) if unsupported is not None else f"field label not supported: {label}")
        terms.append(FieldTerm(label, found.group() != "!=", value))
    return FieldSelector(tuple(terms), paths)


def _split_terms(text: str) -> list[str]:
    terms, place = [], 0
    while True:
        found = _TERM.match(text, place)
        assert found is not None
        end = found.end()
        if end < len(text) and text[end] == "\\":
            end = len(text)  # A lone backslash at the end stays part of its term.
        terms.append(text[place:end])
        if end >= len(text):
            return terms
        place = end + 1


def _unescaped(value: str) -> str:
    """`\\,`, `\\=` and `\\\\` stand for themselves; nothing else is escaped, and they do not stand bare."""
    plain: list[str] = []
    place = 0
    while place < len(value):
        char = value[place]
        if char == "\\":
            following = value[place + 1 : place + 2]
            if following not in (",", "=", "\\"):
                raise bad_request(f"invalid field selector: invalid escape sequence: \\{following}")
            plain.append(following)
            place += 1
        elif char in ",=":
            raise bad_request(f"invalid field selector: unescaped character in value: {ord(char)}")
        else:
            plain.append(char)
        place += 1
    return "".join(plain)


def field_value(obj: Object, label: str, path: FieldPath) -> str:
    """A field as selectors see it: text; nothing where there is none."""
    value: Json = obj
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    if isinstance(value, list):
        value = value[0] if value else None
    if isinstance(value, dict):
        value = next(iter(value.values()), None)
    if value is None or value == "":
        return FIELD_DEFAULTS.get(label, "")
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
