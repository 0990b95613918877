"""The store syncs every commit: what LMDB was told, since no test in a process can take the power away."""

from __future__ import annotations

from raftkv.storage.lmdb_backend import LmdbBackend


def test_store_is_opened_with_every_sync_on(tmp_path):
    """design §4 rule 6: data and meta page of each commit are on the disk when it returns."""
    backend = LmdbBackend(str(tmp_path / "db"), map_bytes=1 << 20)
    try:
        flags = backend._env.flags()
        assert flags["sync"] and flags["metasync"] and flags["lock"]
    finally:
        backend.close()
