"""Cron schedules, as robfig/cron reads them."""

from __future__ import annotations

import pytest

from resource_api.schema.validation.batch import schedule_fault


@pytest.mark.parametrize(
    "schedule", ["* * * * *", "*/5 0-6 1,15 jan-mar sun", "@daily", "@every 1h30m", "? ? ? ? ?", "0 0 * * 6", "5/15 * * * *"]
)
def test_schedule_of_every_form_is_taken(schedule: str) -> None:
    """Words, steps, ranges, lists, descriptors."""
    assert schedule_fault(schedule) == ""


@pytest.mark.parametrize(
    ("schedule", "why"),
    [
        ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
        ("60 * * * *", "end of range (60) above maximum (59): 60"),
        ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
        ("5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1"),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
        ("a * * * *", 'failed to parse int from a: strconv.Atoi: parsing "a": invalid syntax'),
        ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
        ("1/2/3 * * * *", "too many slashes: 1/2/3"),
        ("@often", "unrecognized descriptor: @often"),
        ("@every x", 'failed to parse duration @every x: time: invalid duration "x"'),
    ],
)
def test_schedule_that_cannot_be_read_says_why(schedule: str, why: str) -> None:
    """The parser's own words."""
    assert schedule_fault(schedule) == why
