"""Whose failure it is when a command cannot say what it has to say."""

from __future__ import annotations

import os
import sys

import pytest

from jepsen_like import output


def test_full_disk_is_the_harness_s_failure_with_the_system_s_reason(monkeypatch):
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        with pytest.raises(output.OutputError, match="cannot be written: No space left on device") as caught:
            output.say("a line")
        assert (caught.value.status, caught.value.unread) == (5, False)
        output.settle()


def test_reader_that_went_away_ends_it_as_the_signal_would(monkeypatch):
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as unread:
        monkeypatch.setattr(sys, "stdout", unread)
        with pytest.raises(output.OutputError) as caught:
            output.say("a line")
        assert (caught.value.status, caught.value.unread) == (141, True)
        output.settle()


def test_standard_error_that_takes_nothing_leaves_the_status_to_speak(monkeypatch):
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stderr", full)
        output.tell("a reason")
        output.settle()
