"""What Go's decoder makes of text that is no Unicode."""

from __future__ import annotations

import json

import pytest

from resource_api.schema.json_fault import readable


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'"\xff"', "\ufffd"),
        (b'"a\xe2\x82z"', "a\ufffd\ufffdz"),
        (b'"\xed\xa0\x80"', "\ufffd\ufffd\ufffd"),
        (b'"\xf0\x9f\x98"', "\ufffd\ufffd\ufffd"),
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        (b'"\\ud83dx"', "\ufffdx"),
        (b'"\\ude00\\ud83d"', "\ufffd\ufffd"),
        (b'"\\ud83d\\ud83d\\ude00"', "\ufffd\U0001f600"),
        (b'"\\\\ud83d\\u00e9"', "\\ud83d\u00e9"),
    ],
)
def test_what_is_no_unicode_becomes_the_replacement_character(body: bytes, value: str) -> None:
    """One for every byte, and for every half of a pair; what only looks like an escape stays."""
    assert json.loads(readable(body)) == value
