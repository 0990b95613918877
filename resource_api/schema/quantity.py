"""Resource quantities (`500m`, `1Gi`, `1e3`): what is one, how much it is, and how the API writes it back.

Owns the grammar and the canonical form of apimachinery's `resource.Quantity`; pure, exact (integers of nano units), never waits.
"""

from __future__ import annotations

import re
from functools import lru_cache

from resource_api.errors import Json
from resource_api.go_numbers import WrittenFloat

GRAMMAR = re.compile(r"^([+-]?)([0-9]*+)(?:\.([0-9]*+))?+([eEinumkKMGTP]*+[-+]?[0-9]*+)$")
"""Possessive: what is no quantity is seen in one pass, however long it is."""
MALFORMED = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
UNPARSABLE_SUFFIX = "unable to parse quantity's suffix"

NANO = 10**9
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_EXPONENT = re.compile(r"^[eE]([-+]?[0-9]+)$")
_BINARY_BOUND = (2**63 - 1) * NANO
"""Upstream caps binary amounts there, and keeps decimal ones."""


class QuantityError(ValueError):
    """The text is no quantity; the message is upstream's."""


DIGITS_MAX = 100
"""Digits that are reckoned with, in nano units; one that counts stands for all behind them. The bound of binary amounts has 28."""
_DECIMAL_BOUND: int = 10**DIGITS_MAX
"""Decimal amounts above it are it: an exponent may ask for more digits than there is memory for."""

REMEMBERED_CHARS_MAX = 64
"""Longer texts are not worth their memory."""


def _parsed(text: str) -> tuple[int, str]:
    """Nano units and the form to write it in: `binary`, `decimal` or `exponent`."""
    return _remembered(text) if len(text) <= REMEMBERED_CHARS_MAX else _parse(text)


def _parse(text: str) -> tuple[int, str]:
    match = GRAMMAR.match(text)
    if match is None or not (match[2] or match[3]):
        raise QuantityError(MALFORMED)
    sign, whole, fraction, suffix = match[1], match[2], match[3] or "", match[4]
    form = "decimal"
    shift, power = 0, 0
    if suffix in _BINARY:
        form, shift = "binary", _BINARY[suffix]
    elif suffix in _DECIMAL:
        power = _DECIMAL[suffix]
    else:
        form, power = "exponent", _exponent(suffix)
    amount = _nano((whole + fraction).lstrip("0"), power - len(fraction), shift)
    amount = min(amount, _BINARY_BOUND if form == "binary" else _DECIMAL_BOUND)
    return (-amount if sign == "-" else amount), form


_remembered = lru_cache(maxsize=4096)(_parse)


def _exponent(suffix: str) -> int:
    exponent = _EXPONENT.match(suffix)
    if exponent is None or len(exponent[1]) > DIGITS_MAX or not -(1 << 63) <= int(exponent[1]) < 1 << 63:
        raise QuantityError(UNPARSABLE_SUFFIX)
    return int(exponent[1])


def _nano(digits: str, power: int, shift: int) -> int:
    """`digits`, without zeros before them, times 10 ** `power` times 2 ** `shift`, in nano units; what has too many digits is the bound."""
    if not digits:
        return 0
    above = len(digits) + power + 9
    """Digits before nano's point; the shift adds 19 at most."""
    if above > DIGITS_MAX:
        return _DECIMAL_BOUND
    if above < -DIGITS_MAX // 2:
        return 1
    if len(digits) > DIGITS_MAX:
        power += len(digits) - DIGITS_MAX - 1
        digits = digits[:DIGITS_MAX] + ("1" if digits[DIGITS_MAX:].strip("0") else "0")
    scale = power + 9
    units = int(digits) << shift
    # Below nano there is nothing: upstream rounds away from zero.
    nano: int = units * 10**scale if scale >= 0 else -(-units // 10**-scale)
    return nano


def amount(value: Json) -> int:
    """How much it is, in nano units. Raises QuantityError."""
    return _parsed(value if isinstance(value, str) else _of_number(value))[0]


def canonical(value: Json) -> str:
    """The form the API stores and answers: no fraction, the largest suffix that leaves the number whole. Raises QuantityError."""
    text = value.strip() if isinstance(value, str) else _of_number(value)
    return _remembered_canonical(text) if len(text) <= REMEMBERED_CHARS_MAX else _canonical(text)


def _canonical(text: str) -> str:
    nano, form = _parsed(text)
    if nano == 0:
        return "0"
    if form == "binary" and abs(nano) >= 1024 * NANO and nano % NANO == 0:
        units = nano // NANO
        for suffix, shift in reversed(_BINARY.items()):
            if units % (1 << shift) == 0:
                return f"{units >> shift}{suffix}"
        return str(units)
    exponent = -9
    while nano % 1000 == 0 and (exponent < 18 or form == "exponent"):
        nano //= 1000
        exponent += 3
    if form == "exponent":
        return str(nano) if exponent == 0 else f"{nano}e{exponent}"
    return str(nano) + next(suffix for suffix, power in _DECIMAL.items() if power == exponent)


_remembered_canonical = lru_cache(maxsize=4096)(_canonical)


def _of_number(value: Json) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise QuantityError(MALFORMED)
    return value.text if isinstance(value, WrittenFloat) else repr(value).replace("e+", "e")


def rounded_to_milli(value: Json) -> str:
    """The canonical form with nothing below a thousandth, rounded up: what lists of resources hold."""
    text = canonical(value)
    nano = amount(text)
    if nano % 1_000_000 == 0:
        return text
    return _canonical(f"{-(-nano // 1_000_000)}m")
