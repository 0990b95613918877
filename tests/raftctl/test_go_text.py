"""Go's text forms against values that Go printed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from raftctl.go_text import (
    GoTextError,
    escape_hex,
    format_duration,
    format_size,
    parse_bool,
    parse_duration_s,
    parse_int,
    quote,
    split_words,
    unquote,
)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"plain", '"plain"'),
        (b"", '""'),
        (b'q"\\', r'"q\"\\"'),
        (b"\a\b\f\n\r\t\v", r'"\a\b\f\n\r\t\v"'),
        (b"\x00\x1f\x7f", r'"\x00\x1f\x7f"'),
        ("é ключ 界 🙂".encode(), '"é ключ 界 🙂"'),
        (b"\xff\xc3", r'"\xff\xc3"'),
        ("\u200b\u2028\U000e0001".encode(), r'"\u200b\u2028\U000e0001"'),
        ("\u00a0".encode(), r'"\u00a0"'),
    ],
)
def test_quote_is_as_go_quotes(data, text):
    """`%q`: one line, whatever the bytes."""
    assert quote(data) == text
    assert unquote(text) == data


@settings(max_examples=300, derandomize=True, deadline=None)
@given(st.binary(max_size=40))
def test_quoted_bytes_come_back(data):
    """Every byte string has a literal, and the literal means it."""
    assert unquote(quote(data)) == data


@pytest.mark.parametrize("text", ["", "x", '"', "'x'", r'"\q"', '"x'])
def test_unquote_of_what_is_no_literal_is_refused(text):
    """Only double-quoted literals with Go's escapes."""
    with pytest.raises(GoTextError):
        unquote(text)


def test_unquote_knows_octal_and_long_escapes():
    """All of Go's."""
    assert unquote(r'"\101\u00e9\U0001f642\x41"') == b"A" + "é🙂".encode() + b"A"


@pytest.mark.parametrize(
    ("text", "base", "unsigned", "value"),
    [
        ("12", 10, False, 12),
        ("-5", 10, False, -5),
        ("+5", 10, False, 5),
        ("1f", 16, False, 31),
        ("8be28dc9a2828482", 16, True, 0x8BE28DC9A2828482),
        ("0x10", 0, False, 16),
        ("0b11", 0, False, 3),
        ("0o17", 0, False, 15),
        ("017", 0, False, 15),
        ("-0x10", 0, False, -16),
        ("9223372036854775807", 10, False, 2**63 - 1),
    ],
)
def test_integers_are_read_as_go_reads_them(text, base, unsigned, value):
    """`strconv.ParseInt` and `ParseUint`."""
    assert parse_int(text, base, unsigned=unsigned) == value


@pytest.mark.parametrize(
    ("text", "base", "unsigned", "error"),
    [
        ("x", 10, False, 'strconv.ParseInt: parsing "x": invalid syntax'),
        ("", 10, False, 'strconv.ParseInt: parsing "": invalid syntax'),
        ("--5", 10, False, 'strconv.ParseInt: parsing "--5": invalid syntax'),
        ("-5", 10, True, 'strconv.ParseUint: parsing "-5": invalid syntax'),
        ("0x10", 16, False, 'strconv.ParseInt: parsing "0x10": invalid syntax'),
        ("9223372036854775808", 10, False, 'strconv.ParseInt: parsing "9223372036854775808": value out of range'),
        ("1_0", 10, False, 'strconv.ParseInt: parsing "1_0": invalid syntax'),
        ("٣", 10, False, 'strconv.ParseInt: parsing "٣": invalid syntax'),
    ],
)
def test_wrong_integers_are_refused_in_gos_words(text, base, unsigned, error):
    """The texts reach the user."""
    with pytest.raises(GoTextError) as caught:
        parse_int(text, base, unsigned=unsigned)
    assert str(caught.value) == error


@pytest.mark.parametrize(
    ("text", "duration_s"),
    [("5s", 5), ("1m30s", 90), ("300ms", 0.3), ("1.5h", 5400), ("-2s", -2), ("0", 0), ("1h2m3.5s", 3723.5), ("10us", 1e-5), (".5s", 0.5)],
)
def test_durations_are_read_as_go_reads_them(text, duration_s):
    """`time.ParseDuration`."""
    assert parse_duration_s(text) == pytest.approx(duration_s)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("x", 'time: invalid duration "x"'),
        ("", 'time: invalid duration ""'),
        ("5", 'time: missing unit in duration "5"'),
        ("5x", 'time: unknown unit "x" in duration "5x"'),
        ("-", 'time: invalid duration "-"'),
        (".s", 'time: invalid duration ".s"'),
    ],
)
def test_wrong_durations_are_refused_in_gos_words(text, error):
    """The texts reach the user."""
    with pytest.raises(GoTextError) as caught:
        parse_duration_s(text)
    assert str(caught.value) == error


@pytest.mark.parametrize(
    ("duration_s", "text"),
    [
        (0, "0s"),
        (1.157938e-3, "1.157938ms"),
        (936.873e-6, "936.873µs"),
        (5.000301903, "5.000301903s"),
        (90, "1m30s"),
        (3723.5, "1h2m3.5s"),
        (5e-9, "5ns"),
        (0.5, "500ms"),
        (-1.5, "-1.5s"),
    ],
)
def test_durations_are_written_as_go_writes_them(duration_s, text):
    """`time.Duration.String`."""
    assert format_duration(duration_s) == text


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.integers(min_value=-(10**15), max_value=10**15))
def test_written_durations_mean_what_was_written(duration_us):
    """What is printed can be given back."""
    assert parse_duration_s(format_duration(duration_us / 1e6)) == pytest.approx(duration_us / 1e6)


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [(0, "0 B"), (9, "9 B"), (20480, "20 kB"), (999, "999 B"), (1500, "1.5 kB"), (2147483648, "2.1 GB"), (8589934592, "8.6 GB")],
)
def test_sizes_are_written_as_etcdctl_writes_them(size_bytes, text):
    """Powers of 1000."""
    assert format_size(size_bytes) == text


def test_booleans_are_read_as_go_reads_them():
    """And nothing else is one."""
    assert [parse_bool(text) for text in ("1", "t", "True", "0", "F", "false")] == [True] * 3 + [False] * 3
    with pytest.raises(GoTextError, match='strconv.ParseBool: parsing "yes": invalid syntax'):
        parse_bool("yes")


def test_lines_are_split_as_etcdctl_splits_them():
    """Double quotes are Go literals, single quotes are taken as they are."""
    assert split_words("""put 'single q' "a\\tb" plain --flag=x""") == ["put", "single q", "a\tb", "plain", "--flag=x"]
    assert split_words("  ") == []
    assert split_words("get k") == ["get", "k"]


def test_hexadecimal_form_has_every_byte():
    """--hex."""
    assert escape_hex(b"a\xff") == r"\x61\xff"
