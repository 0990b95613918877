"""Numbers between JSON and Go: how one was written, and how Go writes it back.

A leaf: messages and schemas both need it.
"""

from __future__ import annotations

import math
import struct

import msgspec

_INT64 = 1 << 63
_LARGE_EXPONENT = 6
"""From here on `%g` prints one."""


class WrittenFloat(float):
    """A float that knows how JSON wrote it: Go reads quantities from the text, and its faults repeat it (`1e3`).

    Lives from the body to `decoding.decode`, which leaves none behind; may be infinite. Encoders need `encode_written` for it.
    """

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str) -> WrittenFloat:
        """Of a JSON number."""
        made = super().__new__(cls, text)
        made.text = text
        return made


def encode_written(value: object) -> msgspec.Raw:
    """For encoders: a number as it was written. Raises TypeError for what is no JSON."""
    if isinstance(value, WrittenFloat):
        return msgspec.Raw(value.text.encode())
    raise TypeError(f"no JSON value: {value!r}")


def plain_float(value: float) -> float | int:
    """As Go writes a float64: without a fraction when it has none. Raises OverflowError, in Go's words, for what is not finite."""
    if not math.isfinite(value):
        if isinstance(value, WrittenFloat):
            raise OverflowError(f"json: cannot unmarshal number {value.text} into Go value of type float64")
        raise OverflowError(f"json: unsupported value: {'NaN' if math.isnan(value) else '+Inf' if value > 0 else '-Inf'}")
    return int(value) if value.is_integer() and -_INT64 <= value < _INT64 else float(value)


def go_shortest(value: float, *, single: bool = False) -> str:
    """As Go's `%g` prints a float64, or a float32 when `single`: the fewest digits that are read back as the same value (`1e+06`)."""
    packing = "<f" if single else "<d"
    try:
        packed = struct.pack(packing, value)
    except OverflowError:
        value = math.copysign(math.inf, value)
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    (exact,) = struct.unpack(packing, packed)
    texts = (f"{exact:.{places}e}" for places in range(17))
    text = next(text for text in texts if _packed(packing, float(text)) == packed)
    digits, _, exponent = text.partition("e")
    if -4 <= int(exponent) < _LARGE_EXPONENT:
        return f"{float(text):.{max(0, len(digits.partition('.')[2]) - int(exponent))}f}"
    return text


def _packed(packing: str, value: float) -> bytes | None:
    try:
        return struct.pack(packing, value)
    except OverflowError:  # Rounded up past the greatest float32.
        return None


def go_number(text: str) -> float | int:
    """For decoders: a JSON float as Go writes it back. Raises OverflowError."""
    return plain_float(WrittenFloat(text))
