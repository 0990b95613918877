"""Values are read as Go reads them, and refused in its words."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raftkv.config import values


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("0", 0),
        ("5s", 5 * 10**9),
        ("100ms", 10**8),
        ("-1.5h", -5400 * 10**9),
        ("2h45m", 9900 * 10**9),
        ("1us", 1000),
        ("1µs", 1000),
        (".5s", 5 * 10**8),
        ("1.s", 10**9),
        ("+3ns", 3),
    ],
)
def test_duration_is_read_as_go_reads_it(text, nanoseconds):
    assert values.parse_duration_ns(text) == nanoseconds


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("xx", 'time: invalid duration "xx"'),
        ("", 'time: invalid duration ""'),
        ("5", 'time: missing unit in duration "5"'),
        ("5y", 'time: unknown unit "y" in duration "5y"'),
        ("s", 'time: invalid duration "s"'),
        (".s", 'time: invalid duration ".s"'),
        ("9999999999h", 'time: invalid duration "9999999999h"'),
    ],
)
def test_duration_is_refused_in_gos_words(text, fault):
    with pytest.raises(ValueError) as refused:
        values.parse_duration_ns(text)
    assert str(refused.value) == fault


@settings(derandomize=True, max_examples=200)
@given(st.integers(min_value=-(10**16), max_value=10**16))
def test_duration_shown_reads_back(milliseconds):
    """What the help and the configuration file show is what the flag takes."""
    nanoseconds = milliseconds // 10**6 * 10**6
    assert values.parse_duration_ns(values.format_duration(nanoseconds)) == nanoseconds


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [(0, "0s"), (10**8, "100ms"), (5 * 10**9, "5s"), (5400 * 10**9, "1h30m0s"), (60 * 10**9, "1m0s"), (15 * 10**8, "1.5s")],
)
def test_duration_is_shown_as_go_shows_it(nanoseconds, text):
    assert values.format_duration(nanoseconds) == text


@pytest.mark.parametrize(("text", "number"), [("10", 10), ("0x1F", 31), ("010", 8), ("0o17", 15), ("0b11", 3), ("1_000", 1000), ("0", 0)])
def test_integer_is_read_with_gos_prefixes(text, number):
    assert values.parse_int(text, lowest=0, highest=2**64 - 1) == number


@pytest.mark.parametrize(
    ("text", "fault"),
    [("foo", "parse error"), ("-1", "parse error"), ("", "parse error"), ("1.5", "parse error"), ("9" * 20, "value out of range")],
)
def test_unsigned_integer_is_refused_in_gos_words(text, fault):
    with pytest.raises(ValueError, match=fault):
        values.parse_int(text, lowest=0, highest=2**64 - 1)


def test_signed_integer_takes_a_sign():
    assert values.parse_int("-5", lowest=-10, highest=10) == -5


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("foo", "URL scheme must be http, https, unix, or unixs: foo"),
        ("ftp://127.0.0.1:1", "URL scheme must be http, https, unix, or unixs: ftp://127.0.0.1:1"),
        ("http://127.0.0.1", 'URL address does not have the form "host:port": http://127.0.0.1'),
        ("http://127.0.0.1:1/x", "URL must not contain a path: http://127.0.0.1:1/x"),
        ("http://127.0.0.1:1,", "URL scheme must be http, https, unix, or unixs: "),
        ("127.0.0.1:2379", 'parse "127.0.0.1:2379": first path segment in URL cannot contain colon'),
    ],
)
def test_url_is_refused_in_etcds_words(text, fault):
    with pytest.raises(ValueError) as refused:
        values.parse_urls(text)
    assert str(refused.value) == fault


def test_urls_are_unique_and_sorted():
    assert values.parse_urls("http://b:2,http://a:1, http://b:2") == ("http://a:1", "http://b:2")
    assert values.parse_urls("") == ()
    assert values.parse_urls("http://[::1]:2379") == ("http://[::1]:2379",)


def test_initial_cluster_keeps_order_and_repeated_names():
    assert values.parse_pairs("b=http://b:1,a=http://a:1,b=http://b:2,") == (("b", "http://b:1"), ("a", "http://a:1"), ("b", "http://b:2"))
