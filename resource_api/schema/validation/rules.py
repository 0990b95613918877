"""The words validation is written in: checks of one value, with upstream's texts, and what every kind is checked for by its schema.

Every check takes the path it reports and returns a list of FieldErrors, empty when nothing is wrong. The kinds' own rules stand in the
`validation_*` modules; they run first, and the schema's rules report only fields those said nothing of. Sources: apimachinery
`pkg/util/validation` and `pkg/apis/meta/v1/validation`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from resource_api.errors import FieldError, Json, Object, forbidden_field, invalid, not_supported, required
from resource_api.schema import names
from resource_api.schema.types import Schema

Problems = list[FieldError]
Validator = Callable[[Object, Object | None, str], Problems]
"""`validate(new, old, subresource)`: everything wrong with the object but its metadata."""

IMMUTABLE = "field is immutable"
NOT_NEGATIVE = "must be greater than or equal to 0"
INT32_MAX = 2**31 - 1
_PERCENT = re.compile(r"^[0-9]+%$")


def structs(obj: Object | None, name: str) -> list[Object]:
    """The structs in that list; nothing when it is absent."""
    return [item for item in (obj or {}).get(name) or () if isinstance(item, dict)]


def part(obj: Object | None, name: str) -> Object:
    """The struct in that field, empty when it is absent; not to be changed."""
    value = (obj or {}).get(name)
    return value if isinstance(value, dict) else {}


def each(path: str, value: Json, texts: Iterable[str]) -> Problems:
    """One error for every text a name rule returned."""
    return [invalid(path, value, text) for text in texts]


def needed(obj: Object, field: str, path: str, detail: str = "") -> Problems:
    """The field must be given and not empty."""
    return [] if obj.get(field) not in (None, "", [], {}) else [required(f"{path}.{field}" if path else field, detail)]


def one_of(value: Json, path: str, supported: Sequence[str], *, optional: bool = False) -> Problems:
    """The value is one of these; without one it is missing, unless it may be."""
    if not value:
        return [] if optional else [required(path)]
    return [] if value in supported else [not_supported(path, value, supported)]


def not_negative(value: Json, path: str) -> Problems:
    """No number below zero; nothing is fine."""
    return [invalid(path, value, NOT_NEGATIVE)] if value is not None and value < 0 else []


def positive(value: Json, path: str) -> Problems:
    """Above zero when given."""
    return [invalid(path, value, "must be greater than 0")] if value is not None and value <= 0 else []


def within(value: Json, path: str, low: int, high: int) -> Problems:
    """Between the two, both included."""
    return [] if low <= (value or 0) <= high else [invalid(path, value or 0, f"must be between {low} and {high}, inclusive")]


def port_number(value: Json, path: str) -> Problems:
    """1 to 65535."""
    return within(value, path, 1, 65535)


def port_number_or_name(value: Json, path: str) -> Problems:
    """A port as probes and Services name it."""
    return each(path, value, names.port_name(value)) if isinstance(value, str) else port_number(value, path)


def address_texts(value: str) -> list[str]:
    """What is wrong with an IP address."""
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"]
    return []


def address(value: str, path: str) -> Problems:
    """An IP address."""
    return each(path, value, address_texts(value))


def network(value: str, path: str) -> Problems:
    """A CIDR."""
    try:
        if "/" in value:
            ipaddress.ip_network(value, strict=False)
            return []
    except ValueError:
        pass
    return [invalid(path, value, "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)")]


def count_or_percent(value: Json, path: str) -> Problems:
    """A count that is not negative, or a percentage."""
    if isinstance(value, str):
        if _PERCENT.match(value):
            return []
        rule = "a valid percent string must be a numeric string followed by an ending '%'"
        text = f"{rule} (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"
        return [invalid(path, value, text)]
    return not_negative(value, path)


def not_above_all(value: Json, path: str) -> Problems:
    """No percentage above a hundred."""
    if isinstance(value, str) and _PERCENT.match(value) and _percent(value) > 100:
        return [invalid(path, value, "must not be greater than 100%")]
    return []


def amount_of(value: Json) -> int:
    """The number in a count or percentage; 0 when there is none."""
    if isinstance(value, str):
        return _percent(value) if _PERCENT.match(value) else 0
    return value or 0


def _percent(text: str) -> int:
    """What stands before the sign; more than ten digits are as good as ten."""
    return int(text[:-1].lstrip("0")[:10] or "0")


def immutable(new: Json, old: Json, path: str) -> Problems:
    """The value may not change."""
    return [] if (new or None) == (old or None) else [invalid(path, new, IMMUTABLE)]


def names_of(values: Mapping[str, Json] | None, path: str, texts_of: Callable[[str], Iterable[str]]) -> Problems:
    """Every key of a map by a name rule."""
    return [invalid(f"{path}[{key}]", key, text) for key in sorted(values or {}) for text in texts_of(key)]


def label_selector(selector: Object | None, path: str) -> Problems:
    """A LabelSelector."""
    selector = selector or {}
    problems: Problems = []
    for key, value in sorted((selector.get("matchLabels") or {}).items()):
        problems += each(f"{path}.matchLabels", key, names.qualified_name(key))
        problems += each(f"{path}.matchLabels", value, names.label_value(value))
    for index, requirement in enumerate(structs(selector, "matchExpressions")):
        problems += _requirement(requirement, f"{path}.matchExpressions[{index}]")
    return problems


def _requirement(requirement: Object, at: str) -> Problems:
    operator, values = requirement.get("operator") or "", requirement.get("values") or []
    problems: Problems = []
    if operator in ("In", "NotIn"):
        if not values:
            problems.append(required(f"{at}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            problems.append(forbidden_field(f"{at}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"))
    else:
        problems.append(invalid(f"{at}.operator", operator, "not a valid selector operator"))
    problems += each(f"{at}.key", requirement.get("key") or "", names.qualified_name(requirement.get("key") or ""))
    for index, value in enumerate(values):
        problems += each(f"{at}.values[{index}]", value, names.label_value(value))
    return problems


def selector_matches(selector: Object | None, labels: Mapping[str, str]) -> bool:
    """Whether a valid LabelSelector selects those labels."""
    selector = selector or {}
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_requirement_matches(one, labels) for one in structs(selector, "matchExpressions"))


def _requirement_matches(requirement: Object, labels: Mapping[str, str]) -> bool:
    key, values = requirement.get("key"), requirement.get("values") or ()
    match requirement.get("operator"):
        case "In":
            return labels.get(str(key)) in values and key in labels
        case "NotIn":
            return labels.get(str(key)) not in values or key not in labels
        case "Exists":
            return key in labels
    return key not in labels


def is_empty_selector(selector: Object | None) -> bool:
    """Whether it selects everything."""
    return not (selector or {}).get("matchLabels") and not (selector or {}).get("matchExpressions")


class SchemaRules:
    """What the schema says of a kind: enumerations, and texts that must be there.

    Only below `spec` and fields beside it, never in `status` or `metadata`: a status is written by controllers that leave zeros out. A
    missing number or struct is its zero value upstream, so only missing texts count.
    """

    MAY_BE_EMPTY = frozenset({("HTTPHeader", "value"), ("Sysctl", "value"), ("EnvVar", "value"), ("GRPCAction", "service")})

    def __init__(self, schema: Schema) -> None:
        self._schema = schema

    def __call__(self, obj: Object, said: Iterable[FieldError]) -> Problems:
        """Errors at paths of which `said` has none."""
        found: Problems = []
        for name, child in self._schema.properties.items():
            if name not in ("status", "metadata", "apiVersion", "kind") and name in obj:
                self._walk(child, obj[name], name, found)
        if not found:
            return []
        known = {error.path for error in said}
        return [error for error in found if error.path not in known]

    def _walk(self, schema: Schema, value: Json, path: str, found: Problems) -> None:
        if isinstance(value, str):
            if schema.enum and value and value not in schema.enum:
                found.append(not_supported(path, value, sorted(schema.enum)))
        elif isinstance(value, dict):
            if schema.additional is not None:
                if schema.additional.shape in ("object", "array"):
                    for key, item in value.items():
                        self._walk(schema.additional, item, f"{path}[{key}]", found)
                return
            self._struct(schema, value, path, found)
        elif isinstance(value, list) and schema.items is not None and (schema.items.shape == "object" or schema.items.enum):
            for index, item in enumerate(value):
                self._walk(schema.items, item, f"{path}[{index}]", found)

    def _struct(self, schema: Schema, value: Object, path: str, found: Problems) -> None:
        owner = schema.name.rpartition(".")[2]
        for name in schema.required:
            child = schema.properties.get(name)
            if child is not None and child.shape == "string" and not value.get(name) and (owner, name) not in self.MAY_BE_EMPTY:
                found.append(required(f"{path}.{name}"))
        for name, item in value.items():
            child = schema.properties.get(name)
            if child is not None and not (owner == "PodTemplateSpec" and name == "metadata"):
                self._walk(child, item, f"{path}.{name}", found)
