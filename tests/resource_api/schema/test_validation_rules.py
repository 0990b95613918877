"""Rules that many kinds share."""

from __future__ import annotations

import pytest

from resource_api.schema.validation.batch import schedule_fault
from resource_api.schema.validation.rules import amount_of, count_or_percent, not_above_all


@pytest.mark.parametrize(
    ("text", "is_refused"), [("0%", False), ("100%", False), ("0" * 5000 + "9%", False), ("101%", True), ("9" * 5000 + "%", True)]
)
def test_percentage_above_all_is_refused_however_long(text, is_refused):
    """Longer ones than the interpreter makes integers of."""
    assert count_or_percent(text, "x") == []
    assert bool(not_above_all(text, "x")) == is_refused
    assert (amount_of(text) > 100) == is_refused


@pytest.mark.parametrize(
    ("schedule", "fault"),
    [
        ("9" * 5000 + " * * * *", "value out of range"),
        ("*/" + "0" * 5000 + " * * * *", "step of range should be a positive number"),
        ("*/" + "9" * 5000 + " * * * *", ""),
        ("99999 * * * *", "end of range (99999) above maximum (59)"),
    ],
)
def test_schedule_with_long_numbers_is_told_in_the_parsers_words(schedule, fault):
    """Never in the interpreter's."""
    assert fault in schedule_fault(schedule)
    assert bool(schedule_fault(schedule)) == bool(fault)
