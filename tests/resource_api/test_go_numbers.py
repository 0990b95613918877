"""Numbers between JSON and Go."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from resource_api.errors import shown
from resource_api.go_numbers import WrittenFloat, encode_written, go_number, go_shortest, plain_float
from resource_api.schema.json_values import whole_numbers


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1e3", 1000), ("2.0", 2), ("-0.0", 0), ("1.5", 1.5), ("9.3e18", 9.3e18), ("9e18", 9 * 10**18), ("1E-2", 0.01)],
)
def test_float_is_written_as_go_writes_it(text: str, expected: float) -> None:
    """Whole ones without a fraction as far as 64 bits go."""
    found = go_number(text)
    assert (found, type(found)) == (expected, type(expected))
    whole: Any = whole_numbers({"a": [WrittenFloat(text)]})["a"][0]
    assert (whole, type(whole)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (WrittenFloat("1e400"), "json: cannot unmarshal number 1e400 into Go value of type float64"),
        (float("-inf"), "json: unsupported value: -Inf"),
        (float("nan"), "json: unsupported value: NaN"),
    ],
)
def test_what_no_float64_holds_is_refused(value: float, text: str) -> None:
    """In the words of the decoder for what a client wrote, of the encoder for what YAML may say."""
    with pytest.raises(OverflowError) as caught:
        plain_float(value)
    assert str(caught.value) == text


def test_written_float_is_shown_as_it_was_written() -> None:
    """Faults of patches repeat the whole object."""
    assert shown({"a": WrittenFloat("1e3")}) == '{"a":1e3}'
    with pytest.raises(TypeError):
        msgspec.json.encode({"a": object()}, enc_hook=encode_written)


@pytest.mark.parametrize(
    ("value", "double", "single"),
    [
        (0.0, "0", "0"),
        (-0.0, "-0", "-0"),
        (1e5, "100000", "100000"),
        (1e6, "1e+06", "1e+06"),
        (0.1, "0.1", "0.1"),
        (0.0001, "0.0001", "0.0001"),
        (0.00001, "1e-05", "1e-05"),
        (123456789.5, "1.234567895e+08", "1.2345679e+08"),
        (3.4028235677973366e38, "3.4028235677973366e+38", "+Inf"),
        (1e-50, "1e-50", "0"),
        (-1e300, "-1e+300", "-Inf"),
        (float("nan"), "NaN", "NaN"),
    ],
)
def test_shortest_text_is_gos(value: float, double: str, single: str) -> None:
    """As strconv.FormatFloat of format `g` and the least precision has it."""
    assert (go_shortest(value), go_shortest(value, single=True)) == (double, single)
