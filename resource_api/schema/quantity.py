"""Resource quantities (`500m`, `1Gi`, `1e3`): what is one, how much it is, and how the API writes it back.

Owns the grammar and the canonical form of apimachinery's `resource.Quantity`; pure, exact (integers of nano units), never waits.
"""

from __future__ import annotations

import re
from functools import lru_cache

from resource_api.errors import Json
from resource_api.go_numbers import WrittenFloat

GRAMMAR = re.compile(r"^([+-]?)([0-9]*)(?:\.([0-9]*))?([eEinumkKMGTP]*[-+]?[0-9]*)$")
MALFORMED = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
UNPARSABLE_SUFFIX = "unable to parse quantity's suffix"

NANO = 10**9
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_EXPONENT = re.compile(r"^[eE]([-+]?[0-9]+)$")
_BOUND = (2**63 - 1) * NANO


class QuantityError(ValueError):
    """The text is no quantity; the message is upstream's."""


@lru_cache(maxsize=4096)
def _parsed(text: str) -> tuple[int, str]:
    """Nano units and the form to write it in: `binary`, `decimal` or `exponent`."""
    match = GRAMMAR.match(text)
    if match is None or not (match[2] or match[3]):
        raise QuantityError(MALFORMED)
    sign, whole, fraction, suffix = match[1], match[2], match[3] or "", match[4]
    digits = int((whole or "0") + fraction)
    form = "decimal"
    shift, power = 0, 0
    if suffix in _BINARY:
        form, shift = "binary", _BINARY[suffix]
    elif suffix in _DECIMAL:
        power = _DECIMAL[suffix]
    else:
        exponent = _EXPONENT.match(suffix)
        if exponent is None:
            raise QuantityError(UNPARSABLE_SUFFIX)
        form, power = "exponent", max(-64, min(64, int(exponent[1])))
    scale = power + 9 - len(fraction)
    digits <<= shift
    if scale >= 0:
        amount = digits * 10**scale
    else:
        # Below nano there is nothing: upstream rounds away from zero.
        amount = -(-digits // 10**-scale)
    amount = min(amount, _BOUND)
    return (-amount if sign == "-" else amount), form


def amount(value: Json) -> int:
    """How much it is, in nano units. Raises QuantityError."""
    return _parsed(value if isinstance(value, str) else _of_number(value))[0]


def canonical(value: Json) -> str:
    """The form the API stores and answers: no fraction, the largest suffix that leaves the number whole. Raises QuantityError."""
    text = value.strip() if isinstance(value, str) else _of_number(value)
    return _canonical(text)


@lru_cache(maxsize=4096)
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
    while nano % 1000 == 0 and exponent < 18:
        nano //= 1000
        exponent += 3
    if form == "exponent":
        return str(nano) if exponent == 0 else f"{nano}e{exponent}"
    return str(nano) + next(suffix for suffix, power in _DECIMAL.items() if power == exponent)


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
