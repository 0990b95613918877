"""Numbers between JSON and Go: how one was written, and how Go writes it back.

A leaf: messages and schemas both need it.
"""

from __future__ import annotations

import math

import msgspec

_INT64 = 1 << 63


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


def go_number(text: str) -> float | int:
    """For decoders: a JSON float as Go writes it back. Raises OverflowError."""
    return plain_float(WrittenFloat(text))
