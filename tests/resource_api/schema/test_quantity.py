"""Quantities: how much, and how the API writes them."""

from __future__ import annotations

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
