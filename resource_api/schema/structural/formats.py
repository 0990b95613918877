"""The string formats a custom resource's schema may name (spec C.2; kube-openapi `strfmt`). Pure; unknown formats are no business of ours.

Formats of numbers (`int32` …) are ranges and are checked with the numbers.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Callable
from datetime import date, datetime
from urllib.parse import urlsplit

from resource_api.schema.times import parse_duration_s

Holds = Callable[[str], bool]

HOSTNAME_BYTES_MAX = 255
LABEL_BYTES_MAX = 63

_UUID = "[0-9a-f]{8}-?[0-9a-f]{4}-?%s-?%s-?[0-9a-f]{12}"
_BYTE = r"\s*(0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5])\s*"
_WORDED_DURATION = re.compile(
    r"\d+(\.\d*)?\s*(ns|nanos?|nanoseconds?|us|µs|micros?|microseconds?|ms|millis?|milliseconds?|s|secs?|seconds?"
    r"|m|mins?|minutes?|h|hr|hrs|hours?|d|days?|w|wks?|weeks?)",
    re.ASCII | re.IGNORECASE,
)
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)?", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_ADDRESS = re.compile(r"(?:.*<)?[^\s<>@,;:\"()\[\]]+@[^\s<>@,;:\"()]+>?")
_CARD = re.compile(
    r"4\d{12}(?:\d{3})?|5[1-5]\d{14}|(222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}|6(?:011|5\d\d)\d{12}|3[47]\d{13}"
    r"|3(?:0[0-5]|[68]\d)\d{11}|(?:2131|1800|35\d{3})\d{11}|6[27]\d{14}",
    re.ASCII,
)
_HARDWARE = tuple(
    re.compile(pattern)
    for octets in (6, 8, 20)
    for pattern in (
        rf"[0-9A-Fa-f]{{2}}(:[0-9A-Fa-f]{{2}}){{{octets - 1}}}",
        rf"[0-9A-Fa-f]{{2}}(-[0-9A-Fa-f]{{2}}){{{octets - 1}}}",
        rf"[0-9A-Fa-f]{{4}}(\.[0-9A-Fa-f]{{4}}){{{octets // 2 - 1}}}",
    )
)


def _matches(pattern: str, flags: int = 0) -> Holds:
    full = re.compile(pattern, re.ASCII | flags).fullmatch
    return lambda text: full(text) is not None


def _is_time(text: str) -> bool:
    if _TIME.fullmatch(text) is None:
        return False
    try:
        datetime.fromisoformat(re.sub(r"\.\d+", "", text))
    except ValueError:
        return False
    return True


def _is_date(text: str) -> bool:
    if _DATE.fullmatch(text) is None:
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _is_duration(text: str) -> bool:
    return parse_duration_s(text) is not None or _WORDED_DURATION.fullmatch(text) is not None


def _is_uri(text: str) -> bool:
    """What Go's `url.ParseRequestURI` takes: an absolute path or an absolute URI."""
    if not text or any(ord(character) < 0x21 or ord(character) == 0x7F for character in text):
        return False
    if re.search(r"%(?![0-9A-Fa-f]{2})", text):
        return False
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return False
    return text.startswith("/") or bool(re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", text))


def _is_address(text: str, version: int) -> bool:
    try:
        return ipaddress.ip_address(text).version == version and "%" not in text
    except ValueError:
        return False


def _is_network(text: str) -> bool:
    address, slash, bits = text.partition("/")
    if not slash or not bits.isascii() or not bits.isdigit() or len(bits) > 3:
        return False
    try:
        ipaddress.ip_network(f"{address}/{int(bits)}", strict=False)
    except ValueError:
        return False
    return True


def _is_hostname(text: str) -> bool:
    """Labels of letters, digits, symbols and inner hyphens; a name of several labels ends in one of two characters or more."""
    if not text or len(text.encode()) > HOSTNAME_BYTES_MAX:
        return False
    labels = text.split(".")
    if len(labels) > 1 and len(labels[-1]) < 2:
        return False
    return all(_is_host_label(label) for label in labels)


def _is_host_label(label: str) -> bool:
    if not label or len(label.encode()) > LABEL_BYTES_MAX or label.startswith("-") or label.endswith("-"):
        return False
    return all(
        character == "-" or (character.isascii() and character.isalnum()) or unicodedata.category(character)[0] in "LS" and character != "_"
        for character in label
    )


def _is_isbn10(text: str) -> bool:
    digits = re.sub(r"[\s-]+", "", text)
    if re.fullmatch(r"[0-9]{9}[0-9Xx]", digits) is None:
        return False
    values = [10 if digit in "Xx" else int(digit) for digit in digits]
    return sum((index + 1) * value for index, value in enumerate(values)) % 11 == 0


def _is_isbn13(text: str) -> bool:
    digits = re.sub(r"[\s-]+", "", text)
    if re.fullmatch(r"[0-9]{13}", digits) is None:
        return False
    return sum(int(digit) * (3 if index % 2 else 1) for index, digit in enumerate(digits)) % 10 == 0


def _is_card(text: str) -> bool:
    digits = re.sub(r"[^0-9]+", "", text)
    if _CARD.fullmatch(digits) is None:
        return False
    doubled = [int(digit) * (2 if index % 2 else 1) for index, digit in enumerate(reversed(digits))]
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


def _is_short_name(text: str) -> bool:
    return len(text) <= LABEL_BYTES_MAX and re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", text) is not None


def _is_long_name(text: str) -> bool:
    label = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
    return len(text) <= 253 and re.fullmatch(rf"{label}(\.{label})*", text) is not None


FORMATS: dict[str, Holds] = {
    "bsonobjectid": _matches("[0-9a-f]{24}", re.IGNORECASE),
    "byte": _matches(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})"),
    "cidr": _is_network,
    "creditcard": _is_card,
    "date": _is_date,
    "datetime": _is_time,
    "duration": _is_duration,
    "email": lambda text: _ADDRESS.fullmatch(text) is not None,
    "hexcolor": _matches("#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})"),
    "hostname": _is_hostname,
    "ipv4": lambda text: _is_address(text, 4),
    "ipv6": lambda text: _is_address(text, 6),
    "isbn": lambda text: _is_isbn10(text) or _is_isbn13(text),
    "isbn10": _is_isbn10,
    "isbn13": _is_isbn13,
    "k8slongname": _is_long_name,
    "k8sshortname": _is_short_name,
    "mac": lambda text: any(pattern.fullmatch(text) for pattern in _HARDWARE),
    "password": lambda text: True,
    "rgbcolor": _matches(rf"rgb\({_BYTE},{_BYTE},{_BYTE}\)"),
    "ssn": _matches(r"\d{3}[- ]?\d{2}[- ]?\d{4}"),
    "uri": _is_uri,
    "uuid": _matches(_UUID % ("[0-9a-f]{4}", "[0-9a-f]{4}"), re.IGNORECASE),
    "uuid3": _matches(_UUID % ("3[0-9a-f]{3}", "[0-9a-f]{4}"), re.IGNORECASE),
    "uuid4": _matches(_UUID % ("4[0-9a-f]{3}", "[89ab][0-9a-f]{3}"), re.IGNORECASE),
    "uuid5": _matches(_UUID % ("5[0-9a-f]{3}", "[89ab][0-9a-f]{3}"), re.IGNORECASE),
}
"""By the name without hyphens, as go-openapi compares names."""

NUMBER_FORMATS = frozenset({"int32", "int64", "float", "double"})


def string_format(name: str) -> Holds | None:
    """The check of a format, or None when the format is not known and so not enforced."""
    return FORMATS.get(name.replace("-", ""))


def is_known(name: str) -> bool:
    """Whether a format is enforced at all."""
    return name in NUMBER_FORMATS or string_format(name) is not None
