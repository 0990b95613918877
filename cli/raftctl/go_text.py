"""Go's text forms, which etcdctl reads and prints: quoted strings, integers, durations, sizes.

Pure functions. Error texts are Go's, since etcdctl shows them as they are.
"""

from __future__ import annotations

import re

_ESCAPES = {7: "\\a", 8: "\\b", 9: "\\t", 10: "\\n", 11: "\\v", 12: "\\f", 13: "\\r", 34: '\\"', 92: "\\\\"}
_UNESCAPES = {"a": 7, "b": 8, "t": 9, "n": 10, "v": 11, "f": 12, "r": 13, '"': 34, "\\": 92, "'": 39}
_SURROGATES = range(0xDC80, 0xDD00)


class GoTextError(ValueError):
    """Text that Go would not read; the message is Go's."""


def quote(data: bytes) -> str:
    """`%q` of a Go string: printable text as it is, the rest escaped, bytes that are no UTF-8 as `\\xNN`."""
    parts = ['"']
    for char in data.decode("utf-8", "surrogateescape"):
        code = ord(char)
        if code in _ESCAPES:
            parts.append(_ESCAPES[code])
        elif code in _SURROGATES:
            parts.append(f"\\x{code - 0xDC00:02x}")
        elif char.isprintable():
            parts.append(char)
        elif code < 0x80:
            parts.append(f"\\x{code:02x}")
        else:
            parts.append(f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")
    parts.append('"')
    return "".join(parts)


_ESCAPE = re.compile(rb"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|(.))", re.DOTALL)


def unquote(text: str) -> bytes:
    """The string a double-quoted Go literal stands for.

    Raises:
        GoTextError: not a double-quoted literal.
    """
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        raise GoTextError("expected quoted string")

    def replace(match: re.Match[bytes]) -> bytes:
        byte, short, long, octal, single = match.groups()
        if byte:
            return bytes([int(byte, 16)])
        if octal:
            return bytes([int(octal, 8) & 0xFF])
        if short or long:
            return chr(int(short or long, 16)).encode("utf-8", "replace")
        code = _UNESCAPES.get(single.decode("latin-1"))
        if code is None:
            raise GoTextError("invalid syntax")
        return bytes([code])

    return _ESCAPE.sub(replace, text[1:-1].encode("utf-8", "surrogateescape"))


_DIGITS = {8: "[0-7]", 10: "[0-9]", 16: "[0-9a-fA-F]", 2: "[01]"}
_PREFIXES = (("0x", 16), ("0o", 8), ("0b", 2))


def parse_int(text: str, base: int = 0, *, unsigned: bool = False) -> int:
    """`strconv.ParseInt` (or `ParseUint`) into 64 bits; base 0 goes by the literal's prefix.

    Raises:
        GoTextError: not such a number.
    """
    name = "ParseUint" if unsigned else "ParseInt"
    digits = text.lstrip("+-") if not unsigned and text[:1] in ("+", "-") and text[1:2] not in ("+", "-") else text
    negative = text.startswith("-")
    radix = base or 10
    if base == 0:
        for prefix, candidate in _PREFIXES:
            if digits[:2].lower() == prefix:
                digits, radix = digits[2:].replace("_", ""), candidate
                break
        else:
            if len(digits) > 1 and digits[0] == "0":
                radix = 8
    if not re.fullmatch(_DIGITS[radix] + "+", digits):
        raise GoTextError(f"strconv.{name}: parsing {quote(text.encode(errors='surrogateescape'))}: invalid syntax")
    value = -int(digits, radix) if negative else int(digits, radix)
    low, high = (0, 2**64 - 1) if unsigned else (-(2**63), 2**63 - 1)
    if not low <= value <= high:
        raise GoTextError(f"strconv.{name}: parsing {quote(text.encode())}: value out of range")
    return value


def parse_bool(text: str) -> bool:
    """`strconv.ParseBool`.

    Raises:
        GoTextError: neither true nor false.
    """
    if text in ("1", "t", "T", "TRUE", "true", "True"):
        return True
    if text in ("0", "f", "F", "FALSE", "false", "False"):
        return False
    raise GoTextError(f"strconv.ParseBool: parsing {quote(text.encode(errors='surrogateescape'))}: invalid syntax")


_UNITS_NS = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_PART = re.compile(r"([0-9]*\.?[0-9]*)([^0-9.]*)")


def parse_duration_s(text: str) -> float:
    """`time.ParseDuration`, in seconds: "300ms", "1m30s", "-1.5h", "0".

    Raises:
        GoTextError: not a duration.
    """
    shown = quote(text.encode(errors="surrogateescape"))
    sign = -1 if text.startswith("-") else 1
    rest = text[1:] if text[:1] in ("-", "+") else text
    if rest == "0":
        return 0.0
    if not rest:
        raise GoTextError(f"time: invalid duration {shown}")
    total_ns = 0.0
    while rest:
        match = _PART.match(rest)
        assert match is not None
        number, unit = match.groups()
        if number in ("", "."):
            raise GoTextError(f"time: invalid duration {shown}")
        if not unit:
            raise GoTextError(f"time: missing unit in duration {shown}")
        if unit not in _UNITS_NS:
            raise GoTextError(f"time: unknown unit {quote(unit.encode(errors='surrogateescape'))} in duration {shown}")
        total_ns += float(number) * _UNITS_NS[unit]
        rest = rest[match.end() :]
    return sign * total_ns / 10**9


def format_duration(duration_s: float) -> str:
    """`time.Duration.String()`: "1.5s", "2m0s", "936.873µs"."""
    total_ns = round(duration_s * 10**9)
    if total_ns == 0:
        return "0s"
    sign, total_ns = ("-", -total_ns) if total_ns < 0 else ("", total_ns)
    for unit, size_ns in (("ns", 1), ("µs", 10**3), ("ms", 10**6)):
        if total_ns < size_ns * 1000:
            return f"{sign}{_decimal(total_ns, size_ns)}{unit}"
    minutes, rest_ns = divmod(total_ns, 60 * 10**9)
    seconds = _decimal(rest_ns, 10**9) + "s"
    if not minutes:
        return sign + seconds
    hours, minutes = divmod(minutes, 60)
    return f"{sign}{hours}h{minutes}m{seconds}" if hours else f"{sign}{minutes}m{seconds}"


def _decimal(value: int, unit: int) -> str:
    whole, fraction = divmod(value, unit)
    if not fraction:
        return str(whole)
    return f"{whole}.{str(fraction).zfill(len(str(unit)) - 1).rstrip('0')}"


def format_size(size_bytes: int) -> str:
    """A size as people read it, powers of 1000, two digits: "20 kB", "2.1 GB"."""
    if size_bytes < 10:
        return f"{size_bytes} B"
    exponent, scaled = 0, float(size_bytes)
    while scaled >= 1000 and exponent < 6:
        scaled /= 1000
        exponent += 1
    rounded = int(scaled * 10 + 0.5) / 10
    unit = ("B", "kB", "MB", "GB", "TB", "PB", "EB")[exponent]
    return f"{rounded:.1f} {unit}" if rounded < 10 else f"{rounded:.0f} {unit}"


def escape_hex(data: bytes) -> str:
    """Every byte as `\\xNN`, which is how etcdctl's --hex prints keys and values."""
    return "".join(f"\\x{byte:02x}" for byte in data)


_WORD = re.compile(r"""\"(?:[^"\\]|\\.)*"|'[^']*'|[^'"\s]\S*[^'"\s]?""")


def split_words(line: str) -> list[str]:
    """The words of an interactive line: double-quoted ones as Go literals, single-quoted ones as they are.

    Raises:
        GoTextError: a wrong escape in a double-quoted word.
    """
    words = []
    for word in _WORD.findall(line):
        if word[0] == "'":
            word = word[1:-1] if len(word) > 1 and word[-1] == "'" else word[1:]
        elif word[0] == '"':
            word = unquote(word).decode("utf-8", "surrogateescape")
        words.append(word)
    return words
