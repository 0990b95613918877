"""Values against a schema, in the words of kube-openapi's validator as apiextensions reports them (spec C.3, C.5). Compiled once; hot path.

Source: kube-openapi `pkg/validation/validate`, apiextensions `pkg/apiserver/validation`. Errors of combinations (`anyOf` …) and of number
ranges name no field upstream: their path is `<nil>`. On update a value that is what it was is not looked at again (ratcheting): values
correlate by field, by map key, by the keys of a list of type `map`, and by nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

from resource_api.errors import FieldError, Json, Object, not_supported, required, shown, too_long, too_many
from resource_api.schema.structural.automaton import TooCostlyError
from resource_api.schema.structural.formats import NUMBER_FORMATS, is_known, string_format
from resource_api.schema.structural.patterns import PatternError, compile_pattern

ABSENT: Any = object()
"""There is no old value to compare with."""

NOWHERE = "<nil>"

Check = Callable[[Json, str, list[FieldError], Json], int]
"""Value, path, errors found, old value or ABSENT; how many checks held, by which the best of several alternatives is told."""

_INT64_END = 2**63
_INT32_END = 2**31
_EXACT_FLOAT = float(2**53)
_FLOAT32_MAX = 3.4028235677973366e38
_EXPONENT_FROM = 6
"""Powers of ten from which `%v` writes an exponent."""


def same(value: Json, old: Json) -> bool:
    """Whether two values are one JSON value; `1`, `1.0` and `true` are three."""
    if value != old:
        return False
    if type(value) is dict:
        return all(same(inner, old[name]) for name, inner in value.items())
    if type(value) is list:
        return all(map(same, value, old))
    return type(value) is type(old)


def number_text(limit: float, value: float = 0.5) -> str:
    """A limit as Go prints it: as an integer beside an integer, else as `%v` prints a float64."""
    if float(limit).is_integer() and type(value) is int:
        return str(int(limit))
    sign, digits, point = Decimal(repr(float(limit))).normalize().as_tuple()
    text, power = "".join(map(str, digits)), len(digits) - 1 + int(point)
    if not any(digits):
        plain = "0"
    elif power < -4 or power >= _EXPONENT_FROM:
        plain = f"{text[0]}{'.' if text[1:] else ''}{text[1:]}e{'-' if power < 0 else '+'}{abs(power):02d}"
    else:
        plain = f"{abs(Decimal(repr(float(limit)))).normalize():f}"
    return "-" + plain if sign else plain


def _named(path: str) -> str:
    return path or NOWHERE


def _invalid(path: str, value: Json, text: str) -> FieldError:
    said = number_text(value) if type(value) is float else shown(value)
    return FieldError("FieldValueInvalid", _named(path), f"Invalid value: {said}: {text}")


def _wrong_type(path: str, value: str, wanted: str) -> FieldError:
    text = f"{path} in body must be of type {wanted}: {shown(value)}"
    return FieldError("FieldValueTypeInvalid", _named(path), f"Invalid value: {shown(value)}: {text}")


def type_of(value: Json) -> str:
    """The JSON type's name; integers that fit no int64 are numbers."""
    kind = type(value)
    if kind is str:
        return "string"
    if kind is bool:
        return "boolean"
    if kind is int:
        return "integer" if -_INT64_END <= value < _INT64_END else "number"
    if kind is float:
        return "number"
    if kind is list:
        return "array"
    return "null" if value is None else "object"


def compile_check(props: Object) -> Check:
    """The validator of a schema. Patterns that cannot be compiled match nothing and say so."""
    wanted = ["integer", "string"] if props.get("x-kubernetes-int-or-string") else [props["type"]] if props.get("type") else []
    rules = _rules(props)
    enum = props.get("enum") or None
    nullable = props.get("nullable") is True
    wanted_text, takes = ",".join(wanted), _types_taken(wanted)
    shaped = str(props.get("format") or "")
    shaped = shaped if is_known(shaped) else ""

    def check(value: Json, path: str, errors: list[FieldError], old: Json) -> int:
        if old is not ABSENT and same(value, old):
            return 1
        if value is None:
            if wanted and not nullable:
                errors.append(_wrong_type(path, "null", wanted_text))
            if enum is not None and not (nullable and None in enum):
                errors.append(_enumerated(path, value, enum))
            return 1
        held = 2
        kind = type(value)
        if takes is not None and kind not in takes and not _fits(value, wanted):
            held = 1
            errors.append(_mismatch(path, value, wanted_text, shaped))
        for rule in rules:
            held += rule(value, path, errors, old)
        return held

    if not rules and enum is None and takes is not None and not nullable and len(wanted) == 1 and float not in takes and int not in takes:
        return _only_type(next(iter(takes)), wanted_text, shaped)
    return check


def _only_type(kind: type, wanted: str, shaped: str) -> Check:
    def check(value: Json, path: str, errors: list[FieldError], old: Json) -> int:
        if type(value) is kind or (old is not ABSENT and same(value, old)):
            return 2
        errors.append(_wrong_type(path, "null", wanted) if value is None else _mismatch(path, value, wanted, shaped))
        return 1

    return check


def _types_taken(wanted: list[str]) -> frozenset[type] | None:
    """Python types that fit at once; numbers of the other sort are looked at."""
    types: dict[str, tuple[type, ...]] = {
        "string": (str,),
        "boolean": (bool,),
        "integer": (int,),
        "number": (int, float),
        "array": (list,),
        "object": (dict,),
    }
    if not wanted:
        return None
    return frozenset(kind for name in wanted for kind in types.get(name, ()))


def _fits(value: Json, wanted: list[str]) -> bool:
    """A number without a fraction is an integer, as long as a float is exact."""
    return type(value) is float and "integer" in wanted and value.is_integer() and abs(value) <= _EXACT_FLOAT


def _mismatch(path: str, value: Json, wanted: str, shaped: str) -> FieldError:
    found = type_of(value)
    if shaped and found not in ("string", "array"):
        # With a format, the format is named, and the value by the format Go would give it.
        formats = {"integer": "int64", "number": "float64"}
        return _wrong_type(path, formats.get(found, ""), shaped)
    return _wrong_type(path, found, wanted)


def _rules(props: Object) -> tuple[Check, ...]:
    """Everything but the type, in upstream's order."""
    rules: Iterable[Check | None] = (
        _combinations(props),
        _string(props),
        _format(props),
        _number(props),
        _array(props),
        _enum(props),
        _object(props),
    )
    return tuple(rule for rule in rules if rule is not None)


def _string(props: Object) -> Check | None:
    longest, shortest, pattern = props.get("maxLength"), props.get("minLength"), props.get("pattern")
    if longest is None and not shortest and not pattern:
        return None
    search, trouble = None, ""
    if pattern:
        try:
            search = compile_pattern(pattern).search
        except PatternError as error:
            trouble = f", but pattern is invalid: {error}"

    def rule(value: Json, path: str, errors: list[FieldError], old: Json) -> int:
        if type(value) is not str:
            return 0
        if longest is not None and len(value) > longest:
            errors.append(too_long(_named(path), int(longest)))
        elif shortest and len(value) < shortest:
            errors.append(_invalid(path, value, f"{path} in body should be at least {int(shortest)} chars long"))
        elif pattern:
            try:
                if search is None or not search(value):
                    errors.append(_invalid(path, value, f"{path} in body should match '{pattern}{trouble}'"))
            except TooCostlyError:
                text = f"{path} in body takes this server too long to match '{pattern}'"
                errors.append(_invalid(path, value, text))
        return 1

    return rule


def _format(props: Object) -> Check | None:
    name = str(props.get("format") or "")
    holds = string_format(name) if name else None
    if holds is None:
        return None

    def rule(value: Json, path: str, errors: list[FieldError], old: Json) -> int:
        if type(value) is not str:
            return 0
        if not holds(value):
            errors.append(_wrong_type(path, value, name))
        return 1

    return rule


def _number(props: Object) -> Check | None:
    kind, shaped = str(props.get("type") or ""), str(props.get("format") or "")
    highest, lowest, factor = props.get("maximum"), props.get("minimum"), props.get("multipleOf")
    above, below = props.get("exclusiveMaximum") is True, props.get("exclusiveMinimum") is True
    shaped = shaped if shaped in NUMBER_FORMATS else ""
    ranged = kind == "integer" or shaped == "float"
    if highest is None and lowest is None and factor is None and not ranged:
        return None

    def rule(value: Json, path: str, errors: list[FieldError], old: Json) -> int:
        if type(value) is not int and type(value) is not float:
            return 0
        if ranged and not _in_range(value, kind, shaped):
            how = f"with format {shaped}" if shaped else "(default format)"
            text = f"Checked value must be of type {kind} {how} in {path}"
            errors.append(FieldError("FieldValueInvalid", NOWHERE, f'Invalid value: "": {text}'))
        if factor is not None and not _is_multiple(value, factor):
            errors.append(_invalid(path, value, f"{path} in body should be a multiple of {number_text(factor, value)}"))
        if highest is not None and (value > highest or (above and value == highest)):
            than = "less than" if above else "less than or equal to"
            errors.append(_invalid(path, value, f"{path} in body should be {than} {number_text(highest, value)}"))
        if lowest is not None and (value < lowest or (below and value == lowest)):
            than = "greater than" if below else "greater than or equal to"
            errors.append(_invalid(path, value, f"{path} in body should be {than} {number_text(lowest, value)}"))
        return 1

    return rule


def _in_range(value: float, kind: str, shaped: str) -> bool:
    if kind == "integer":
        end = _INT32_END if shaped == "int32" else _INT64_END
        return -end <= value < end
    return abs(value) <= _FLOAT32_MAX


def _is_multiple(value: float, factor: float) -> bool:
    if factor <= 0:
        return False
    if type(value) is int and float(factor).is_integer():
        return value % int(factor) == 0
    ratio = (1 / factor * value) if factor < 1 else value / factor
    return abs(ratio - round(ratio)) <= 1e-9 * max(1.0, abs(ratio)) and abs(ratio) <= _EXACT_FLOAT


def _enum(props: Object) -> Check | None:
    values = props.get("enum")
    if not values:
        return None
    plain = frozenset(one for one in values if type(one) is str)

    def rule(value: Json, path: str, errors: list[FieldError], old: Json) -> int:
        if type(value) is str:
            if value not in plain:
                errors.append(_enumerated(path, value, values))
        elif not any(_equals(value, one) for one in values):
            errors.append(_enumerated(path, value, values))
        return 1

    return rule


def _equals(value: Json, one: Json) -> bool:
    """Equal, and numbers by their value."""
    if type(value) in (int, float) and type(one) in (int, float):
        return bool(value == one)
    return same(value, one)


def _enumerated(path: str, value: Json, values: list[Json]) -> FieldError:
    texts = [one if isinstance(one, str) else shown(one) for one in values]
    return not_supported(_named(path), "null" if value is None else value, texts)


def _array(props: Object) -> Check | None:
    items, most, least = props.get("items"), props.get("maxItems"), props.get("minItems")
    each = compile_check(items) if isinstance(items, dict) else None
    keys: tuple[str, ...] = tuple(props.get("x-kubernetes-list-map-keys") or ()) if props.get("x-kubernetes-list-type") == "map" else ()

    def rule(value: Json, path: str, errors: list[FieldError], old: Json) -> int:
        if type(value) is not list:
            return 0
        held = 1
        if each is not None:
            if old is ABSENT or not keys or type(old) is not list:
                for index, inner in enumerate(value):
                    held += each(inner, f"{path}[{index}]", errors, ABSENT)
            else:
                before = {key_of(one, keys): one for one in reversed(old)}
                for index, inner in enumerate(value):
                    held += each(inner, f"{path}[{index}]", errors, before.get(key_of(inner, keys), ABSENT))
        if least is not None and len(value) < least:
            errors.append(_invalid(path, len(value), f"{path} in body should have at least {int(least)} items"))
        if most is not None and len(value) > most:
            errors.append(too_many(_named(path), len(value), int(most)))
        return held

    return rule if each is not None or most is not None or least else None


def key_of(item: Json, keys: tuple[str, ...]) -> str:
    """What tells an item of a list of type `map` from its siblings."""
    return shown([item.get(key) for key in keys]) if isinstance(item, dict) else shown(item)


def _object(props: Object) -> Check | None:
    properties: Object = props.get("properties") or {}
    fields: dict[str, Check] = {}
    additional = props.get("additionalProperties")
    others = compile_check(additional) if isinstance(additional, dict) else None
    needed: list[str] = props.get("required") or []
    most, least = props.get("maxProperties"), props.get("minProperties")
    if not properties and others is None and not needed and most is None and not least:
        return None
    field = fields.get

    def rule(value: Json, path: str, errors: list[FieldError], old: Json) -> int:
        if type(value) is not dict:
            return 0
        if least and len(value) < least:
            errors.append(_invalid(path, len(value), f"{path} in body should have at least {int(least)} properties"))
            return 0
        if most is not None and len(value) > most:
            errors.append(too_many(_named(path), len(value), int(most)))
            return 0
        held = 1
        start = f"{path}." if path else ""
        before = old if type(old) is dict else None
        for name, inner in value.items():
            child = field(name)
            if child is None:
                # Compiled when first met: most fields of most kinds never are.
                child = others if name not in properties else fields.setdefault(name, compile_check(properties[name]))
            if child is not None:
                held += child(inner, start + name, errors, ABSENT if before is None else before.get(name, ABSENT))
        for name in needed:
            if name not in value:
                errors.append(required(start + name))
        return held

    return rule


def _combinations(props: Object) -> Check | None:
    parts = {name: [compile_check(one) for one in props.get(name) or []] for name in ("anyOf", "oneOf", "allOf")}
    if props.get("x-kubernetes-int-or-string"):
        # The two patterns by which a schema says "integer or string" say nothing more than the extension.
        parts["anyOf"] = [] if _is_int_or_string(props.get("anyOf")) else parts["anyOf"]
    refused = compile_check(props["not"]) if isinstance(props.get("not"), dict) else None
    if not any(parts.values()) and refused is None:
        return None
    any_of, one_of, all_of = parts["anyOf"], parts["oneOf"], parts["allOf"]

    def rule(value: Json, path: str, errors: list[FieldError], old: Json) -> int:
        held = 1
        if any_of:
            held += _any_of(any_of, value, path, errors, old)
        if one_of:
            held += _one_of(one_of, value, path, errors, old)
        if all_of:
            held += _all_of(all_of, value, path, errors, old)
        if refused is not None:
            found: list[FieldError] = []
            refused(value, path, found, ABSENT)
            if not found:
                errors.append(_combined(f'"{path}" must not validate the schema (not)'))
        return held

    return rule


def _is_int_or_string(any_of: Json) -> bool:
    return bool(any_of == [{"type": "integer"}, {"type": "string"}])


def _combined(text: str) -> FieldError:
    return FieldError("FieldValueInvalid", NOWHERE, f'Invalid value: "": {text}')


def _any_of(parts: list[Check], value: Json, path: str, errors: list[FieldError], old: Json) -> int:
    best, held = None, -1
    for part in parts:
        found: list[FieldError] = []
        count = part(value, path, found, old)
        if not found:
            return count
        if count > held:
            best, held = found, count
    errors.append(_combined(f'"{path}" must validate at least one schema (anyOf)'))
    errors.extend(best or ())
    return held


def _one_of(parts: list[Check], value: Json, path: str, errors: list[FieldError], old: Json) -> int:
    best, held, valid, first = None, -1, 0, 0
    for part in parts:
        found: list[FieldError] = []
        count = part(value, path, found, ABSENT)
        if not found:
            valid += 1
            first = first or count
        elif count > held:
            best, held = found, count
    if valid == 1:
        return first
    said = f"Found {valid} valid alternatives" if valid else "Found none valid"
    errors.append(_combined(f'"{path}" must validate one and only one schema (oneOf). {said}'))
    if not valid:
        errors.extend(best or ())
    return 0


def _all_of(parts: list[Check], value: Json, path: str, errors: list[FieldError], old: Json) -> int:
    held, valid = 0, 0
    for part in parts:
        found: list[FieldError] = []
        held += part(value, path, found, old)
        valid += not found
        errors.extend(found)
    if valid != len(parts):
        errors.append(_combined(f'"{path}" must validate all the schemas (allOf)' + ("" if valid else ". None validated")))
    return held
