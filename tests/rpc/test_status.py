"""The table of status codes."""

from __future__ import annotations

import inspect
import re

import pytest

from raftkv import errors
from raftkv.rpc.status import CODES, Code, StatusError, fail, outcome_of, status_of

ARRIVES_AS_UNKNOWN = {errors.MemberNotEnoughStartedError, errors.RequestTooManyRequestsError}

ALL = [cls for _, cls in inspect.getmembers(errors, inspect.isclass) if issubclass(cls, errors.RaftKVError)]


def test_table_has_a_row_for_every_error_class_and_no_other():
    """A new error class without a code would reach clients as UNKNOWN and be retried or not by accident."""
    assert set(CODES) == {*ALL, AssertionError}


@pytest.mark.parametrize("cls", [one for one in ALL if one.text], ids=lambda cls: cls.__name__)
def test_code_agrees_with_the_class_docstring(cls):
    """errors.py states each class's code in words; the two places must not drift apart. Two classes arrive as UNKNOWN."""
    said = re.fullmatch(r"etcd answers this as ([A-Z_]+)\.", cls.__doc__).group(1)
    assert CODES[cls] is (Code.UNKNOWN if cls in ARRIVES_AS_UNKNOWN else Code[said])


@pytest.mark.parametrize("cls", ALL, ids=lambda cls: cls.__name__)
def test_text_travels_unchanged(cls):
    """Clients compare texts; only the two that Go turns into a status by itself have other words on the wire."""
    on_the_wire = {errors.CanceledError: "context canceled", errors.DeadlineExceededError: "context deadline exceeded"}
    assert status_of(cls("a text of its own"))[1] == "a text of its own"
    if cls.text:
        assert status_of(cls())[1] == on_the_wire.get(cls, cls.text)


def test_subclass_without_a_row_takes_the_nearest_base():
    class Special(errors.CompactedError):
        pass

    assert status_of(Special("why")) == (Code.OUT_OF_RANGE, "why")


def test_foreign_error_is_unknown_with_its_text_or_its_name():
    assert status_of(KeyError("k")) == (Code.UNKNOWN, "'k'")
    assert status_of(ValueError()) == (Code.UNKNOWN, "ValueError")


def test_assertion_is_internal():
    assert status_of(AssertionError("broken"))[0] is Code.INTERNAL


def test_fail_ends_the_call_and_returns_the_code():
    seen = []

    class Call:
        def fail(self, code, message, trailers=()):
            seen.append((code, message, trailers))

    assert fail(Call(), StatusError(Code.NOT_FOUND, "unknown service")) is Code.NOT_FOUND
    assert seen == [(5, "unknown service", ())]


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (errors.EmptyKeyError(), "not-applied"),
        (errors.NoLeaderError(), "not-applied"),
        (errors.TimeoutError(), "unknown"),
        (errors.CorruptError(), None),
    ],
)
def test_outcome_says_whether_the_request_may_have_taken_effect(error, outcome):
    """The trailer is for clients that must know before they repeat a write."""
    assert dict(outcome_of(error)).get("raftkv-outcome") == outcome
