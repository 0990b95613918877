"""A store's file that was cut short: told by a text, never by a signal."""

from __future__ import annotations

import io
import pathlib
import subprocess
import sys

import pytest

from raftkv.storage.backend import Table
from raftkv.storage.lmdb_backend import LmdbBackend
from raftkv.storage.lmdb_pages import is_whole

READ = """
import sys
from raftkv.errors import CorruptionError
from raftkv.mvcc.store import Store
from raftkv.storage.backend import Table
from raftkv.storage.buffer import BufferedTables
from raftkv.storage.lmdb_backend import LmdbBackend
from raftkv.storage.lmdb_pages import is_whole
try:
    backend = LmdbBackend(sys.argv[1])
    reader = backend.reader()
    count = sum(1 for _ in reader.scan(Table.KEY, b"", None))
    reader.close()
    backend.commit([{Table.META: {b"applied": b"2"}}])
    print("read", count)
except CorruptionError as error:
    print("damaged", error)
"""


@pytest.mark.slow
@pytest.mark.parametrize("pages_left", [2, 3, 5, 8, 13, 21, 34, 55])
def test_store_cut_short_is_read_as_damaged(tmp_path: pathlib.Path, pages_left: int) -> None:
    """A copy that was cut off: opening, reading and writing end with a text that names the file, or find everything."""
    path = tmp_path / "db"
    backend = LmdbBackend(str(path))
    for commit in range(10):
        backend.commit([{Table.KEY: {b"%017d" % (commit * 100 + n): b"v" * 200 for n in range(100)}}])
    backend.close()
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.truncate(min(size - 4096, pages_left * 4096))
    done = subprocess.run([sys.executable, "-c", READ, str(path)], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, f"status {done.returncode}: {done.stderr[-300:]}"
    assert done.stdout.startswith("damaged") and str(path) in done.stdout or done.stdout == "read 1000\n"


def _filled(path: pathlib.Path, commits: int, value_bytes: int) -> int:
    """Makes a store and returns its page size."""
    backend = LmdbBackend(str(path))
    for commit in range(commits):
        backend.commit([{Table.KEY: {b"%017d" % (commit * 10 + n): b"v" * value_bytes for n in range(10)}}])
    backend.commit([{Table.KEY: {b"%017d" % n: None for n in range(commits * 5)}}])
    backend.close()
    return 4096


@pytest.mark.parametrize("value_bytes", [10, 1_000, 3_000, 20_000])
def test_whole_store_is_whole_and_every_page_of_it_counts_or_is_free(tmp_path: pathlib.Path, value_bytes: int) -> None:
    """The walk reaches all trees; with less and less of the file left it says so from some length on, and stays with it."""
    path = tmp_path / "db"
    page_bytes = _filled(path, 30, value_bytes)
    data = path.read_bytes()
    verdicts = [is_whole(io.BytesIO(data[: pages * page_bytes]), page_bytes) for pages in range(len(data) // page_bytes + 1)]
    assert verdicts[-1] and not verdicts[2]
    assert verdicts == sorted(verdicts)


def test_store_whose_last_pages_were_never_written_is_opened(tmp_path: pathlib.Path) -> None:
    """A free page at the end is no damage: the file is made as long as its pages and everything is there."""
    path = tmp_path / "db"
    page_bytes = _filled(path, 30, 3_000)
    data = path.read_bytes()
    shortest = next(n for n in range(len(data) // page_bytes + 1) if is_whole(io.BytesIO(data[: n * page_bytes]), page_bytes))
    with path.open("r+b") as file:
        file.truncate(shortest * page_bytes)
    backend = LmdbBackend(str(path))
    reader = backend.reader()
    assert sum(1 for _ in reader.scan(Table.KEY, b"", None)) == 150
    reader.close()
    backend.close()
    assert path.stat().st_size >= len(data)
