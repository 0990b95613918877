"""Times and durations as text."""

from __future__ import annotations

import pytest

from resource_api.schema.times import age, human_duration, parse_duration_s, parse_time, rfc3339


def test_times_are_read_as_they_were_written():
    """Whole seconds survive; an offset is counted."""
    assert parse_time(rfc3339(1_700_000_000.9)) == 1_700_000_000
    assert parse_time("1970-01-01T01:00:00+01:00") == 0


@pytest.mark.parametrize("text", ["2026-01-01T00:00:00", "2026-01-01", "soon"])
def test_times_without_a_zone_are_none(text):
    """They would mean another moment on every machine."""
    with pytest.raises(ValueError):
        parse_time(text)
    assert age(text, 0.0) == "<invalid>"


def test_age_of_nothing_is_unknown():
    """As kubectl shows what never happened."""
    assert (age(None, 0.0), age("", 0.0), age("1970-01-01T00:00:00Z", 200.0)) == ("<unknown>", "<unknown>", "3m20s")


def test_durations_have_two_units_at_most():
    """As apimachinery prints them."""
    day = 86400
    seconds = [-5, 0, 119, 120, 200, 600, 3 * 3600, 3 * 3600 + 600, 9 * 3600, 2 * day, 3 * day + 3600, 9 * day, 800 * day, 3000 * day]
    assert [human_duration(one) for one in seconds] == [
        *("<invalid>", "0s", "119s", "2m", "3m20s", "10m", "3h", "3h10m", "9h", "2d", "3d1h", "9d", "2y70d", "8y")
    ]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("32s", 32.0),
        ("1m30s", 90.0),
        ("0", 0.0),
        ("1.5h", 5400.0),
        ("100ms", 0.1),
        ("5", None),
        ("", None),
        ("s", None),
        ("1x", None),
        ("-1m", -60.0),
        ("3μs", 3e-6),
    ],
)
def test_durations_are_gos(text, seconds):
    """A number needs a unit."""
    assert parse_duration_s(text) == seconds
