"""Power cuts, kills and failing disks at every call of a member's disk side; and that these tests can fail."""

from __future__ import annotations

import errno
import random
from itertools import product

import pytest

from raftkv.errors import CorruptionError
from raftkv.storage.faulty_fs import MUTATIONS, Fault, FaultyFileSystem
from raftkv.storage.install import Marked, Restart, Stands, judge_store
from raftkv.storage.memory_fs import MemoryFileSystem
from tests.storage.member import History, Member


def script(member):
    """Goes through every rule of design §4: appends, commits, store commits, marks, purges, an overwrite and two installs."""
    member.append(3)
    member.commit()
    member.append(2, sync=False)
    member.append(1)
    member.overwrite(2)
    member.commit()
    member.apply()
    member.flush()
    for _ in range(4):
        member.append(4)
        member.commit()
    member.apply()
    member.flush()
    member.snapshot()
    member.append(2)
    member.install(5)
    member.append(3)
    member.commit()
    member.apply()
    member.flush()
    member.snapshot()
    member.append(1)
    member.commit()
    member.install(1)
    member.append(2)
    member.commit()


def continues(member):
    """The restarted member works, and survives a clean restart."""
    member.catch_up()
    member.append(2)
    member.commit()
    member.apply()
    member.flush()
    member.snapshot()
    again = Member(member.fs, member.history)
    again.check()


def calls_of_the_script():
    fs = FaultyFileSystem(MemoryFileSystem())
    script(Member(fs, History()))
    return fs.log


CALLS = calls_of_the_script()


def run_until(fault, disk):
    history = History()
    fs = FaultyFileSystem(disk, [fault])
    with pytest.raises(OSError):
        script(Member(fs, history))
    return history


def test_script_reaches_every_kind_of_call():
    """The cut points below are worth something only if the script makes them."""
    assert {operation for operation, _ in CALLS} == MUTATIONS
    assert len({path for _, path in CALLS if path.endswith(".wal")}) >= 4
    assert len(CALLS) > 120


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_power_cut_before_any_call_restarts_to_a_legal_state(seed):
    """Every cut point of design §4 rules 5-8, between any two writes, syncs and renames."""
    for call in range(1, len(CALLS) + 1):
        disk = MemoryFileSystem()
        history = run_until(Fault(call), disk)
        disk.lose_power(random.Random(seed * 1_000 + call))
        member = Member(disk, history)
        member.check()
        continues(member)


@pytest.mark.slow
@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO])
def test_failure_of_any_call_ends_the_member_and_restarts_to_a_legal_state(error):
    """A write may leave a part behind, a failed sync never counts: neither after a restart nor after a later power cut."""
    for call in range(1, len(CALLS) + 1):
        disk = MemoryFileSystem()
        history = run_until(Fault(call, error, short_bytes=call % 90), disk)
        disk.kill()
        member = Member(disk, history)
        member.check()
        disk.lose_power(random.Random(call))
        member = Member(disk, history)
        member.check()
        continues(member)


@pytest.mark.slow
def test_second_power_cut_during_the_restart_is_survived_too():
    """Recovery itself may be interrupted at any call."""
    for call in range(3, len(CALLS), 7):
        for second in range(1, 12):
            disk = MemoryFileSystem()
            history = run_until(Fault(call), disk)
            disk.lose_power(random.Random(call))
            try:
                Member(FaultyFileSystem(disk, [Fault(second)]), history).check()
            except OSError:
                pass
            disk.lose_power(random.Random(second))
            member = Member(disk, history)
            member.check()


WORK = ["append", "commit"] * 4 + ["apply"] * 3 + ["flush", "flush", "snapshot", "install", "overwrite", "loose"]


def random_life(seed, disk):
    """Random work, cut by power losses and kills at random calls; every restart is checked."""
    rng = random.Random(seed)
    history = History()
    acknowledged = 0
    for _ in range(6):
        fs = FaultyFileSystem(disk, [Fault(rng.randint(1, 120), rng.choice([errno.EIO, errno.ENOSPC]), rng.randint(0, 80))])
        try:
            member = Member(fs, history)
            member.check()
            member.catch_up()
            while True:
                work = rng.choice(WORK)
                if work == "append":
                    member.append(rng.randint(1, 4))
                elif work == "loose":
                    member.append(1, sync=False)
                    member.append(1)
                elif work == "overwrite":
                    member.overwrite(rng.randint(1, 3))
                elif work == "install":
                    member.install(rng.randint(1, 4))
                else:
                    getattr(member, work)()
        except OSError:
            pass
        acknowledged = history.promised
        if rng.random() < 0.7:
            disk.lose_power(rng)
        else:
            disk.kill()
    Member(disk, history).check()
    return acknowledged


@pytest.mark.slow
def test_random_lives_lose_no_acknowledged_entry():
    """Power-loss fuzz: a fixed set of seeds; each run acknowledges enough to be worth it."""
    assert sum(random_life(seed, MemoryFileSystem()) for seed in range(120)) > 3_000


def test_disk_that_syncs_nothing_fails_the_same_check():
    """The test of the test: with syncs replaced by nothing, power cuts are noticed in nearly every life."""
    noticed = 0
    for seed in range(10):
        try:
            random_life(seed, MemoryFileSystem(unsafe_no_sync=True))
        except (AssertionError, CorruptionError):
            noticed += 1
    assert noticed >= 8


def test_store_table_covers_every_case():
    """Every combination, by the rule: the state must reach the mark and not exceed the log, or a ready store finishes it."""
    seen = set()
    for marked, stands, ready in product(Marked, Stands, (False, True)):
        decision = judge_store(marked, stands, ready=ready)
        seen.add(decision)
        if stands is Stands.WITHIN:
            assert decision is Restart.OPEN
        elif stands is Stands.BEHIND and marked is Marked.INSTALLED and ready:
            assert decision is Restart.FINISH
        else:
            assert decision not in (Restart.OPEN, Restart.FINISH)
    assert seen == set(Restart)


def lived():
    disk, history = MemoryFileSystem(), History()
    member = Member(disk, history)
    script(member)
    member.apply()
    member.flush()
    return disk, history


def test_lost_store_is_refused_naming_both_files():
    """Nothing stands for what the log no longer holds."""
    disk, history = lived()
    disk.remove("/m/snap/db")
    with pytest.raises(CorruptionError, match=r"/m/snap/db stands at entry 0 and /m/snap/db\.ready-.*wal /m/wal"):
        Member(disk, history)


def test_lost_log_is_refused():
    """A store without its log may have forgotten votes."""
    disk, history = lived()
    for name in disk.listdir("/m/wal"):
        disk.remove(f"/m/wal/{name}")
    with pytest.raises(CorruptionError, match="there is no log"):
        Member(disk, history)


def test_log_shorter_than_the_store_is_refused():
    """An older copy of the log was put back."""
    disk, history = MemoryFileSystem(), History()
    member = Member(disk, history)
    member.append(3)
    member.commit()
    saved = {name: disk.open(f"/m/wal/{name}").pread(1 << 20, 0) for name in disk.listdir("/m/wal")}
    member.append(3)
    member.commit()
    member.apply()
    member.flush()
    for name in disk.listdir("/m/wal"):
        disk.remove(f"/m/wal/{name}")
    for name, blob in saved.items():
        disk.open(f"/m/wal/{name}", create=True).pwrite(blob, 0)
    with pytest.raises(CorruptionError, match="applied entry 6, but the log ends at entry 3"):
        Member(disk, history)


def test_store_of_another_history_is_refused():
    """Two members' files mixed up."""
    disks = []
    for term_bump in (0, 1):
        disk, history = MemoryFileSystem(), History()
        member = Member(disk, history)
        member.term += term_bump
        member.append(4)
        member.commit()
        member.apply()
        member.flush()
        disks.append((disk, history))
    (disk, history), (other, _) = disks
    disk.open("/m/snap/db", create=True).pwrite(other.open("/m/snap/db").pread(1 << 20, 0), 0)
    with pytest.raises(CorruptionError, match="another term"):
        Member(disk, history)
