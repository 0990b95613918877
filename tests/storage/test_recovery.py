"""The decision table, torn tails at every byte, damage anywhere before them, and what must be refused."""

from __future__ import annotations

from itertools import product

import pytest

from raftkv.errors import ConfigError, CorruptionError
from raftkv.raft.messages import HardState
from raftkv.storage.fs import read_all
from raftkv.storage.memory_fs import MemoryFileSystem
from raftkv.storage.recovery import Act, Found, judge
from raftkv.storage.wal import list_segments
from tests.storage.logs import DIRECTORY, SMALL, append, contents, create, meta, reopen, run, write


def set_bytes(fs, path, blob):
    file = fs.open(path, create=True)
    file.pwrite(blob, 0)
    file.datasync()


def copy_of(fs):
    made = MemoryFileSystem()
    made.mkdir(DIRECTORY)
    for name in fs.listdir(DIRECTORY):
        set_bytes(made, f"{DIRECTORY}/{name}", read_all(fs, f"{DIRECTORY}/{name}"))
    return made


def newest(fs):
    return f"{DIRECTORY}/{list_segments(fs, DIRECTORY)[-1].name}"


def test_decision_table_covers_every_case_with_the_rule_of_the_design():
    """Every combination has exactly the outcome that design §4 rule 3 names, by another way of saying it."""
    seen = set()
    for found, head, last_segment, proven in product(Found, (False, True), (False, True), (False, True)):
        act = judge(found, head=head, last_segment=last_segment, proven=proven)
        seen.add(act)
        durable = proven or head or not last_segment
        if found is Found.RECORD:
            expected = Act.ACCEPT
        elif found is Found.UNCHAINED:
            expected = Act.REFUSE
        elif found is Found.BROKEN:
            expected = Act.REFUSE if durable else Act.TRUNCATE
        elif head or proven:
            expected = Act.REFUSE
        else:
            expected = Act.END if last_segment else Act.NEXT_SEGMENT
        assert act is expected, (found, head, last_segment, proven)
        # Never cut off what was durable; never refuse what a crash may leave behind.
        assert not (act in (Act.TRUNCATE, Act.END) and durable)
    assert seen == set(Act)


@pytest.fixture(scope="module")
def torn():
    """A log, its bytes before the last append and after it."""
    fs = MemoryFileSystem()
    wal = create(fs)
    append(wal, 1, 3, commit=0)
    append(wal, 4, 5, commit=3)
    before = read_all(fs, newest(fs))
    start = wal._offset
    wal.append([write([*_entries(6, 8)], HardState(1, 1, 5)), write(_entries(9, 9))], sync=True)
    return fs, before, read_all(fs, newest(fs)), start, wal._offset


def _entries(first, last):
    from tests.storage.logs import entry

    return [entry(i) for i in range(first, last + 1)]


@pytest.mark.slow
def test_tail_torn_at_every_byte_opens_with_what_was_synced(torn):
    """Zeros behind the tear, or the file's end, or garbage: 100 % start (41 of the known ways to be wrong)."""
    fs, _, after, start, end = torn
    zeros = bytes(end - start)
    for cut in range(start, end):
        whole = run(1, 9) if cut == end else None
        for tail in (b"", zeros[cut - start :] + after[end:], b"\xa5" * (end - cut) + after[end:]):
            copy = copy_of(fs)
            set_bytes(copy, newest(copy), after[:cut] + tail)
            recovered = reopen(copy)
            found = contents(recovered)
            assert found in (run(1, 5), run(1, 8), whole), cut
            again = reopen(copy)
            assert again.torn_tail is None and contents(again) == found
            append(again.wal, len(found) + 1, len(found) + 2)
            assert contents(reopen(copy)) == run(1, len(found) + 2)


def test_tail_that_lost_any_sector_opens_with_what_was_synced():
    """A disk may write the sectors of one write in any order."""
    fs = MemoryFileSystem()
    wal = create(fs)
    append(wal, 1, 3)
    start = wal._offset
    append(wal, 4, 5, size=1_500)
    blob = read_all(fs, newest(fs))
    for low in range(start - start % 512, wal._offset, 512):
        copy = copy_of(fs)
        lost = max(low, start)
        set_bytes(copy, newest(copy), blob[:lost] + bytes(low + 512 - lost) + blob[low + 512 :])
        assert contents(reopen(copy)) == run(1, 3)


def test_unsynced_records_lost_in_any_order_are_a_torn_tail():
    """Commit-only hard states are not synced, so a later one may survive an earlier one."""
    fs = MemoryFileSystem()
    wal = create(fs)
    append(wal, 1, 3, commit=0)
    offsets = [wal._offset]
    for commit in (1, 2, 3):
        wal.append([write((), HardState(1, 1, commit))], sync=False)
        offsets.append(wal._offset)
    blob = read_all(fs, newest(fs))
    for lost in range(3):
        copy = copy_of(fs)
        low, high = offsets[lost], offsets[lost + 1]
        set_bytes(copy, newest(copy), blob[:low] + bytes(high - low) + blob[high:])
        recovered = reopen(copy)
        assert contents(recovered) == run(1, 3) and recovered.hard_state.commit == lost


@pytest.mark.slow
def test_any_bit_flipped_before_the_last_record_is_refused_naming_the_file():
    """Damage in the middle is never taken for a torn tail (42, 43 of the known ways to be wrong)."""
    fs = MemoryFileSystem()
    wal = create(fs)
    append(wal, 1, 2, commit=0, size=3)
    append(wal, 3, 3, commit=2, size=3)
    end = wal._offset
    append(wal, 4, 4, commit=3, size=3)
    blob = read_all(fs, newest(fs))
    for bit in range(end * 8):
        copy = MemoryFileSystem()
        copy.mkdir(DIRECTORY)
        flipped = bytearray(blob[: wal._offset + 64])
        flipped[bit // 8] ^= 1 << bit % 8
        set_bytes(copy, newest(fs), bytes(flipped))
        with pytest.raises(CorruptionError, match=r"0\.wal|0001\.wal") as refused:
            reopen(copy)
        assert "damaged at offset" in str(refused.value) and "Do not delete" in str(refused.value)


@pytest.mark.slow
def test_any_bit_flipped_in_an_older_segment_is_refused():
    """A segment that is followed was durable to its last byte (44 of the known ways to be wrong)."""
    fs = MemoryFileSystem()
    wal = create(fs)
    append(wal, 1, 10, commit=1, size=300)
    append(wal, 11, 11)
    first = f"{DIRECTORY}/{list_segments(fs, DIRECTORY)[0].name}"
    blob = read_all(fs, first)
    for bit in range(0, len(blob.rstrip(b"\0")) * 8, 5):
        flipped = bytearray(blob)
        flipped[bit // 8] ^= 1 << bit % 8
        copy = copy_of(fs)
        set_bytes(copy, first, bytes(flipped))
        with pytest.raises(CorruptionError, match="damaged at offset"):
            reopen(copy)


def test_noise_behind_the_end_of_an_older_segment_is_refused():
    fs = MemoryFileSystem()
    wal = create(fs)
    append(wal, 1, 10, size=300)
    append(wal, 11, 11)
    first = f"{DIRECTORY}/{list_segments(fs, DIRECTORY)[0].name}"
    set_bytes(fs, first, read_all(fs, first) + b"x")
    with pytest.raises(CorruptionError):
        reopen(fs)


@pytest.mark.parametrize("lost", [1, 2])
def test_missing_segment_is_refused(lost):
    """Neither a lost segment in the middle nor lost entries before the first one pass for a purge."""
    fs = MemoryFileSystem()
    wal = create(fs)
    for index in range(1, 40):
        append(wal, index, index, size=200, commit=0)
    segments = list_segments(fs, DIRECTORY)
    for segment in segments[:lost] if lost == 1 else segments[1:2]:
        fs.remove(f"{DIRECTORY}/{segment.name}")
    with pytest.raises(CorruptionError, match="missing"):
        reopen(fs)


def test_missing_newest_segment_is_refused_when_commits_show_it():
    """What was committed cannot be lost without notice."""
    fs = MemoryFileSystem()
    wal = create(fs)
    append(wal, 1, 10, commit=0, size=300)
    append(wal, 11, 12, commit=12)
    blob = read_all(fs, newest(fs))
    # The hard state alone survives: entries gone, commit index still there.
    copy = copy_of(fs)
    assert contents(reopen(copy)) == run(1, 12) and blob
    wal.append([write((), HardState(1, 1, 12))], sync=True)
    from raftkv.storage.recovery import LogReplay

    replay = LogReplay()
    replay.hard_state, replay.last_index = HardState(1, 1, 12), 11
    with pytest.raises(CorruptionError, match="were committed"):
        replay.finish()


def test_segment_of_another_member_is_refused():
    """A log that was put together from two."""
    fs, other = MemoryFileSystem(), MemoryFileSystem()
    for target in (fs, other):
        wal = create(target)
        append(wal, 1, 10, size=300, term=1 if target is fs else 2)
        append(wal, 11, 11, term=2)
    set_bytes(fs, newest(fs), read_all(other, newest(other)))
    with pytest.raises(CorruptionError, match="does not continue"):
        reopen(fs)


def test_log_of_a_newer_format_is_refused_with_advice():
    """Never opened by a version that does not understand it."""
    from raftkv.storage.record import Head, RecordType, WalMetadata, encode_frame, encode_head

    fs = MemoryFileSystem()
    fs.mkdir(DIRECTORY)
    parts, _ = encode_frame(RecordType.HEAD, 1, 0, 0, [encode_head(Head(2, WalMetadata(1, 2), 0, 1, HardState(), None))])
    set_bytes(fs, f"{DIRECTORY}/{0:016x}-{1:016x}.wal", b"".join(parts))
    with pytest.raises(ConfigError, match="start it with the version"):
        reopen(fs)


def test_empty_directory_is_refused():
    fs = MemoryFileSystem()
    fs.mkdir(DIRECTORY)
    with pytest.raises(CorruptionError, match="no log segment"):
        reopen(fs)


def test_value_that_looks_like_a_later_record_does_not_turn_a_torn_tail_into_damage():
    """Clients choose what stands in payloads."""
    from raftkv.raft.messages import Entry
    from raftkv.storage.record import RecordType, encode_frame

    forged = b"".join(encode_frame(RecordType.BATCH, 1_000, 999, 7, [b"\0"])[0])
    fs = MemoryFileSystem()
    wal = create(fs)
    append(wal, 1, 1)
    wal.append([write([Entry(1, 2, 0, forged * 3 + b"end")])], sync=True)
    blob = read_all(fs, newest(fs))
    set_bytes(fs, newest(fs), blob[: wal._offset - 2])
    assert contents(reopen(fs)) == run(1, 1)


def test_killed_process_leaves_nothing_that_counts_and_is_not_durable():
    """Records written and not synced read back after a kill; opening syncs them before anybody builds on them."""
    import random

    fs = MemoryFileSystem()
    wal = create(fs)
    append(wal, 1, 2)
    append(wal, 3, 4, sync=False)
    fs.kill()
    found = contents(reopen(fs))
    fs.lose_power(random.Random(3))
    assert contents(reopen(fs)) == found == run(1, 4)


def test_mark_then_entries_in_a_later_segment_keep_the_terms():
    """The snapshot's own term is known, whatever was purged."""
    fs = MemoryFileSystem()
    wal = create(fs, SMALL)
    append(wal, 1, 20, commit=20, size=200)
    append(wal, 21, 30, term=2, commit=22, size=200)
    wal.mark_snapshot(meta(30, 2))
    append(wal, 31, 31, term=3)
    wal.purge(31)
    recovered = reopen(fs)
    assert recovered.snapshot == meta(30, 2) and recovered.entries()[0].index == 31
