"""Quantities: how much, and how the API writes them."""

from __future__ import annotations

import math
import re
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resource_api.errors import Json
from resource_api.schema.quantity import NANO, QuantityError, amount, canonical, rounded_to_milli


@pytest.mark.parametrize(
    ("given_value", "written"),
    [
        ("1", "1"),
        ("0.5", "500m"),
        ("1500m", "1500m"),
        ("1000m", "1"),
        (2, "2"),
        (0.25, "250m"),
        ("1Gi", "1Gi"),
        ("1024Mi", "1Gi"),
        ("1536Mi", "1536Mi"),
        ("0.5Gi", "512Mi"),
        ("1000Ki", "1000Ki"),
        ("1e3", "1e3"),
        ("1E", "1E"),
        ("1000k", "1M"),
        ("100u", "100u"),
        ("1.5", "1500m"),
        ("-1", "-1"),
        ("+1", "1"),
        ("0", "0"),
        ("0Gi", "0"),
        (".5", "500m"),
        ("1.", "1"),
    ],
)
def test_canonical_has_no_fraction_and_the_largest_suffix(given_value: Json, written: str) -> None:
    """Upstream's canonical form."""
    assert canonical(given_value) == written


@pytest.mark.parametrize("text", ["", "abc", "1 Gi", "1gi", "--1", "1.2.3", ".", "1e", "e3", "Gi", "١"])
def test_amount_of_no_quantity_is_refused(text: str) -> None:
    """Anything else is a fault of the client."""
    with pytest.raises(QuantityError):
        amount(text)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.integers(0, 10**6),
    st.sampled_from(["", "m", "u", "n", "k", "M", "G", "Ki", "Mi", "Gi", "e2", "E-3"]),
    st.sampled_from(["", ".5", ".125"]),
)
def test_canonical_is_the_same_amount_and_settles(whole: int, suffix: str, fraction: str) -> None:
    """Writing a quantity back never changes it, and twice is once."""
    text = f"{whole}{fraction}{suffix}"
    written = canonical(text)
    assert amount(written) == amount(text)
    assert canonical(written) == written
    assert "." not in written


def test_rounding_goes_up_to_a_thousandth() -> None:
    """What lists of resources hold."""
    assert (rounded_to_milli("1u"), rounded_to_milli("1100u"), rounded_to_milli("2")) == ("1m", "2m", "2")
    assert amount("1") == NANO


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("9" * 5000, "1" + "0" * 73 + "E"),
        ("-" + "9" * 5000, "-1" + "0" * 73 + "E"),
        ("0" * 5000 + "7", "7"),
        ("0." + "0" * 50_000 + "1", "1n"),
        ("1." + "0" * 50_000 + "1", "1000000001n"),
        ("1." + "0" * 50_000, "1"),
        ("1" + "0" * 5000 + "e-5000", "1"),
        ("0." + "0" * 4999 + "25e5000", "25e-1"),
        ("9" * 5000 + "Ei", "9223372036854775807"),
        ("1e1000000000000", "10e90"),
        ("1e-1000000000000", "1e-9"),
    ],
)
def test_quantity_of_any_length_is_capped_or_rounded(text, form):
    """Not what the interpreter can turn into an integer decides, but how much it is."""
    if form == "25e-1":
        assert amount(text) == 2_500_000_000
    elif "Ei" in text:
        assert amount(text) == (2**63 - 1) * 10**9
    else:
        assert canonical(text) == form


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("10E", "10E"),
        ("12E", "12E"),
        ("-10E", "-10E"),
        ("1e30", "1e30"),
        ("12e30", "12e30"),
        ("9223372036854775808", "9223372036854775808"),
        ("12345678901234567890123", "12345678901234567890123"),
        ("10Ei", "9223372036854775807"),
        ("-10Ei", "-9223372036854775807"),
        ("7Ei", "7Ei"),
    ],
)
def test_only_binary_amounts_are_capped_at_int64(text: str, form: str) -> None:
    """Decimal ones are kept as they are, as upstream keeps them."""
    assert canonical(text) == form == canonical(form)


@pytest.mark.parametrize("text", ["9" * 200_000 + "x", "9" * 200_000 + ".x", "." + "9" * 200_000 + "ex", "k" * 200_000, "1e" + "9" * 5000])
def test_long_text_that_is_no_quantity_is_seen_in_one_pass(text):
    """Trying every split between digits and suffix would take minutes."""
    with pytest.raises(QuantityError):
        canonical(text)


@given(
    st.from_regex(r"[+-]?[0-9]{0,12}(\.[0-9]{0,14})?(e[+-]?[0-9]{1,2}|[numkMGTPE]|[KMGTPE]i)?", fullmatch=True),
    st.integers(0, 120),
)
@settings(max_examples=300, derandomize=True, deadline=None)
def test_amount_is_the_exact_one_rounded_away_from_zero(text, zeros):
    """As rational numbers have it; zeros at the end of a fraction change nothing."""
    powers = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
    match = re.fullmatch(r"([+-]?)([0-9]*)(?:\.([0-9]*))?(.*)", text)
    assert match is not None
    sign, whole, fraction, suffix = match[1], match[2], match[3] or "", match[4]
    if not whole and not fraction:
        return
    factor = Fraction(1)
    if suffix.endswith("i"):
        factor = Fraction(1024 ** ("KMGTPE".index(suffix[0]) + 1))
    elif suffix[:1] == "e":
        factor = Fraction(10) ** int(suffix[1:])
    elif suffix:
        factor = Fraction(10) ** powers[suffix]
    exact = Fraction(int((whole + fraction) or "0"), 10 ** len(fraction)) * factor * 10**9
    wanted = min(math.ceil(exact), (2**63 - 1) * 10**9 if suffix.endswith("i") else 10**100)
    padded = f"{sign}{whole}.{fraction}{'0' * zeros}{suffix}"
    assert amount(text) == amount(padded) == (-wanted if sign == "-" else wanted)
