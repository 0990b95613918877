"""Levers move what they are tied to, and nothing else: clocks bend without a jump, files fail as disks do."""

from __future__ import annotations

import errno

import pytest

from jepsen_like.cluster.instrumented.bent_clock import BentClock, BentLoop
from jepsen_like.cluster.instrumented.levered_files import LeveredFileSystem
from jepsen_like.cluster.instrumented.levers import NO_LIMIT, Levers
from raftkv.storage.memory_fs import MemoryFileSystem


@pytest.fixture
def levers(tmp_path):
    """As the harness makes them."""
    return Levers(tmp_path / "levers", make=True)


def test_levers_are_seen_by_the_other_side(levers, tmp_path):
    other = Levers(tmp_path / "levers")
    levers.put("wall_offset_s", -300.0)
    other.add("syncs_failed")
    assert other.get("wall_offset_s") == -300.0
    assert levers.get("syncs_failed") == 1.0


def test_bent_clock_never_jumps(levers):
    """A monotonic clock may run at another rate, and must stay one line without a step."""
    for rate in (2.0, 0.5, 1.1, 1.0):
        levers.bend(rate)
        line = int(levers.get("line"))
        bend_s = levers.get(f"true_{line}")
        old = 1 - line
        before_s = levers.get(f"shown_{old}") + (bend_s - levers.get(f"true_{old}")) * levers.get(f"rate_{old}")
        assert levers.shown_s(bend_s) == pytest.approx(before_s, abs=1e-6)
        assert levers.rate == rate
        assert levers.shown_s(bend_s + 10) - levers.shown_s(bend_s) == pytest.approx(10 * rate)


def test_loop_and_clock_show_one_time(levers):
    """The member's clock has the same base as its loop's time, at every rate."""
    levers.bend(3.0)
    loop, clock = BentLoop(levers), BentClock(levers)
    try:
        before_s, shown_s, after_s = loop.time(), clock.monotonic_s(), loop.time()
        assert before_s - 1e-6 <= shown_s <= after_s + 1e-6
    finally:
        loop.close()


def test_full_disk_takes_what_fits_and_refuses_the_rest(levers):
    """A short write comes first, as on a real disk."""
    inner = MemoryFileSystem()
    file = LeveredFileSystem(levers, inner).open("/log", create=True)
    file.pwrite(b"12", 6)
    levers.put("bytes_until", levers.get("bytes_written") + 5)
    file.pwrite(b"34", 8)
    with pytest.raises(OSError, match="No space left") as caught:
        file.pwrite(b"abcdef", 0)
    assert caught.value.errno == errno.ENOSPC
    assert file.pread(10, 0) == b"abc\0\0\x001234"
    assert (levers.get("writes_refused"), levers.get("short_bytes")) == (1.0, 3.0)
    levers.put("bytes_until", NO_LIMIT)
    file.pwrite(b"abcdef", 0)
    assert file.pread(6, 0) == b"abcdef"


def test_failing_sync_raises_and_is_counted(levers):
    file = LeveredFileSystem(levers, MemoryFileSystem()).open("/log", create=True)
    levers.put("sync_fails", 1.0)
    with pytest.raises(OSError, match="Input/output error"):
        file.datasync()
    assert (levers.get("syncs"), levers.get("syncs_failed")) == (1.0, 1.0)
    levers.reset()
    file.datasync()
    assert (levers.get("syncs"), levers.get("syncs_failed")) == (2.0, 1.0)
