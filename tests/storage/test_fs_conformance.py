"""One suite for every FileSystem, and what is special about the ones for tests."""

from __future__ import annotations

import errno
import random

import pytest

from raftkv.storage.faulty_fs import Fault, FaultyFileSystem
from raftkv.storage.fs import OsFileSystem, read_all, write_durably
from raftkv.storage.memory_fs import MemoryFileSystem


@pytest.fixture(params=["os", "os-no-sync", "memory", "memory-no-sync", "faulty"])
def place(request, tmp_path):
    """(file system, an existing directory)"""
    if request.param.startswith("os"):
        return OsFileSystem(unsafe_no_sync=request.param == "os-no-sync"), str(tmp_path)
    fs = MemoryFileSystem(unsafe_no_sync=request.param == "memory-no-sync")
    fs.mkdir("/d")
    return (FaultyFileSystem(fs) if request.param == "faulty" else fs), "/d"


def test_file_written_anywhere_reads_back(place):
    fs, d = place
    file = fs.open(f"{d}/f", create=True)
    file.pwrite(b"hello", 0)
    file.pwrite(b"world", 10)
    file.datasync()
    assert file.size() == 15 == fs.size(f"{d}/f")
    assert file.pread(100, 3) == b"lo" + bytes(5) + b"world"
    assert file.pread(2, 0) == b"he" and file.pread(5, 99) == b""
    other = fs.open(f"{d}/f")
    file.pwrite(b"J", 0)
    assert other.pread(1, 0) == b"J", "a reader sees what a writer wrote"
    file.close()
    file.close()
    other.close()


def test_truncate_cuts_and_extends_with_zeros(place):
    fs, d = place
    file = fs.open(f"{d}/f", create=True)
    file.pwrite(b"abcdef", 0)
    file.truncate(3)
    file.truncate(5)
    assert file.pread(9, 0) == b"abc\0\0"
    file.close()


def test_create_empties_and_plain_open_does_not(place):
    fs, d = place
    write_durably(fs, f"{d}/f", [b"a", b"b"])
    file = fs.open(f"{d}/f", write=True)
    assert file.pread(9, 0) == b"ab"
    file.close()
    fs.open(f"{d}/f", create=True).close()
    assert read_all(fs, f"{d}/f") == b""


def test_file_opened_for_reading_refuses_writes(place):
    fs, d = place
    write_durably(fs, f"{d}/f", [b"a"])
    file = fs.open(f"{d}/f")
    with pytest.raises(OSError):
        file.pwrite(b"x", 0)
    file.close()


def test_names_listed_renamed_and_removed(place):
    fs, d = place
    for name in ("b", "a", "c"):
        write_durably(fs, f"{d}/{name}", [name.encode()])
    fs.mkdir(f"{d}/sub")
    fs.mkdir(f"{d}/sub")
    fs.rename(f"{d}/a", f"{d}/c")
    fs.remove(f"{d}/b")
    fs.sync_dir(d)
    assert fs.listdir(d) == ["c", "sub"]
    assert read_all(fs, f"{d}/c") == b"a"
    assert fs.exists(f"{d}/sub") and fs.exists(d) and not fs.exists(f"{d}/b") and not fs.exists(f"{d}/no/where")


@pytest.mark.parametrize(
    "act",
    [
        lambda fs, d: fs.open(f"{d}/none"),
        lambda fs, d: fs.remove(f"{d}/none"),
        lambda fs, d: fs.rename(f"{d}/none", f"{d}/other"),
        lambda fs, d: fs.listdir(f"{d}/none"),
        lambda fs, d: fs.mkdir(f"{d}/none/below"),
        lambda fs, d: fs.open(f"{d}/none/f", create=True),
        lambda fs, d: fs.size(f"{d}/none"),
    ],
)
def test_missing_names_are_file_not_found(place, act):
    fs, d = place
    with pytest.raises(FileNotFoundError):
        act(fs, d)


def test_mkdir_over_a_file_fails(place):
    fs, d = place
    write_durably(fs, f"{d}/f", [b""])
    with pytest.raises(FileExistsError):
        fs.mkdir(f"{d}/f")


def test_lock_is_held_by_one_until_released(place):
    fs, d = place
    first = fs.lock(f"{d}/lock")
    assert first is not None and fs.lock(f"{d}/lock") is None
    first.release()
    first.release()
    second = fs.lock(f"{d}/lock")
    assert second is not None
    second.release()


def test_os_files_are_private(tmp_path):
    """Data may hold secrets."""
    fs = OsFileSystem()
    fs.mkdir(f"{tmp_path}/m")
    fs.open(f"{tmp_path}/m/f", create=True).close()
    assert (tmp_path / "m").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "m" / "f").stat().st_mode & 0o777 == 0o600


def test_power_cut_keeps_what_was_synced_and_may_tear_what_was_not():
    """Every outcome a disk may show turns up, and none other."""
    seen = set()
    for seed in range(200):
        fs = MemoryFileSystem()
        file = fs.open("/f", create=True)
        file.pwrite(b"synced", 0)
        file.datasync()
        fs.sync_dir("/")
        file.pwrite(b"new", 6)
        file.pwrite(b"er", 9)
        fs.lose_power(random.Random(seed))
        with pytest.raises(OSError):
            file.pread(1, 0)
        seen.add(read_all(fs, "/f"))
    assert all(found.startswith(b"synced") for found in seen)
    assert {b"synced", b"syncedn", b"syncednew", b"syncednewe", b"syncednewer"} <= seen
    assert b"synced\0\0\0er" in seen, "a later write may overtake an earlier one"


def test_power_cut_may_lose_any_sector_of_a_write():
    """A device writes sectors as a whole and in any order: a gap in the middle is what a torn record may look like."""
    seen = set()
    for seed in range(200):
        fs = MemoryFileSystem()
        file = fs.open("/f", create=True)
        file.pwrite(bytes(2_000), 0)
        file.datasync()
        fs.sync_dir("/")
        file.pwrite(b"x" * 1_000, 300)
        fs.lose_power(random.Random(seed))
        blob = read_all(fs, "/f")
        seen.add(tuple(blob[low:high].count(b"x") for low, high in ((0, 300), (300, 512), (512, 1024), (1024, 1300), (1300, 2000))))
    assert (0, 212, 0, 276, 0) in seen and (0, 0, 512, 0, 0) in seen
    assert all(counts[0] == counts[-1] == 0 for counts in seen)


def test_power_cut_without_directory_sync_may_lose_names_and_roll_renames_back():
    seen = set()
    for seed in range(100):
        fs = MemoryFileSystem()
        write_durably(fs, "/old", [b"old"])
        file = fs.open("/tmp", create=True)
        file.pwrite(b"new", 0)
        file.datasync()
        fs.rename("/tmp", "/old")
        fs.lose_power(random.Random(seed))
        seen.add((tuple(fs.listdir("/")), read_all(fs, "/old")))
    assert seen == {(("old",), b"old"), (("old", "tmp"), b"old"), (("old",), b"new")}


def test_kill_keeps_writes_and_drops_locks_and_files():
    fs = MemoryFileSystem()
    file = fs.open("/f", create=True)
    file.pwrite(b"x", 0)
    assert fs.lock("/l") is not None
    fs.kill()
    assert read_all(fs, "/f") == b"x" and fs.lock("/l") is not None
    with pytest.raises(OSError):
        file.size()


def test_injected_faults_hit_the_call_named_and_no_other():
    inner = MemoryFileSystem()
    fs = FaultyFileSystem(inner, [Fault(3, errno.ENOSPC, short_bytes=2), Fault(5, errno.EIO)])
    file = fs.open("/f", create=True)
    file.pwrite(b"one", 0)
    with pytest.raises(OSError) as full:
        file.pwrite(b"more", 3)
    assert full.value.errno == errno.ENOSPC and file.pread(9, 0) == b"onemo"
    file.pwrite(b"M", 3)
    with pytest.raises(OSError) as broken:
        file.datasync()
    assert broken.value.errno == errno.EIO
    file.datasync()
    fs.sync_dir("/")
    inner.lose_power(random.Random(1))
    assert read_all(inner, "/f") == b"", "what a failed sync lost, no later one brings back"
    assert [op for op, _ in fs.log] == ["open", "pwrite", "pwrite", "pwrite", "datasync", "datasync", "sync_dir"]


def test_unsafe_no_sync_really_syncs_nothing():
    fs = MemoryFileSystem(unsafe_no_sync=True)
    write_durably(fs, "/f", [b"x"])
    fs.lose_power(random.Random(5))
    lost = [seed for seed in range(20) if not _survives(seed)]
    assert lost


def _survives(seed):
    fs = MemoryFileSystem(unsafe_no_sync=True)
    write_durably(fs, "/f", [b"x"])
    fs.lose_power(random.Random(seed))
    return fs.exists("/f") and read_all(fs, "/f") == b"x"


def test_error_of_a_full_disk_names_the_file():
    """It ends the member: the one line that is left has to say where."""
    file = OsFileSystem().open("/dev/full", write=True)
    with pytest.raises(OSError, match="No space left on device: '/dev/full'"):
        file.pwrite(b"x", 0)
    file.close()
