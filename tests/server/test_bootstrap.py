"""Opening a data directory: what is there, what is missing."""

from __future__ import annotations

import asyncio
import dataclasses
import logging

import pytest

from raftkv.errors import ConfigError
from raftkv.server.bootstrap import Platform, boot, founders_of, was_started
from raftkv.server.discovery import check_cluster
from raftkv.server.settings import MemberSettings
from raftkv.storage.memory_backend import MemoryOpener
from raftkv.storage.memory_fs import MemoryFileSystem

SETTINGS = MemberSettings(data_dir="/data", wal_segment_bytes=1 << 16)


def started() -> Platform:
    """A platform on which a member was started once."""
    fs = MemoryFileSystem()
    platform = Platform(fs, MemoryOpener(fs))
    boot(SETTINGS, platform, founders_of(SETTINGS), now_s=lambda: 0.0).close()
    assert was_started(SETTINGS, platform)
    return platform


def test_started_member_without_its_log_is_refused_naming_it() -> None:
    """etcd starts it as a new one, which has forgotten its vote and could elect a second leader of one term."""
    platform = started()
    for name in platform.fs.listdir("/data/member/wal"):
        platform.fs.remove(f"/data/member/wal/{name}")
    with pytest.raises(ConfigError, match="its log /data/member/wal is missing, and with it the member's vote"):
        boot(SETTINGS, platform, None, now_s=lambda: 0.0)


def test_started_member_whose_log_is_looked_for_elsewhere_is_refused_and_opens_with_the_right_one() -> None:
    """A forgotten --wal-dir: nothing is made in its place."""
    fs = MemoryFileSystem()
    platform = Platform(fs, MemoryOpener(fs))
    elsewhere = MemberSettings(data_dir="/data", wal_dir="/fast", wal_segment_bytes=1 << 16)
    boot(elsewhere, platform, founders_of(elsewhere), now_s=lambda: 0.0).close()
    with pytest.raises(ConfigError, match="--wal-dir"):
        boot(SETTINGS, platform, None, now_s=lambda: 0.0)
    boot(elsewhere, platform, None, now_s=lambda: 0.0).close()


def test_log_of_short_segments_is_filled_with_zeros_no_further_than_they_reach() -> None:
    """An extent of a megabyte would be sixteen such segments."""
    fs = started().fs
    (name,) = fs.listdir("/data/member/wal")
    assert SETTINGS.wal_segment_bytes < fs.size(f"/data/member/wal/{name}") < 2 * SETTINGS.wal_segment_bytes


@pytest.mark.parametrize(("listen_peer_urls", "level"), [(("http://localhost:2380",), logging.WARNING), ((), logging.INFO)])
def test_second_start_is_a_warning_only_where_flags_may_be_ignored(
    listen_peer_urls: tuple[str, ...], level: int, caplog: pytest.LogCaptureFixture
) -> None:
    """A member inside a program has no peers, and was told nothing of them that counts no more."""
    settings = dataclasses.replace(SETTINGS, listen_peer_urls=listen_peer_urls)
    with caplog.at_level(logging.INFO, "raftkv.server"):
        assert asyncio.run(check_cluster(settings, started())) is None
    assert [(one.levelno, one.message) for one in caplog.records if "already" in one.message] == [
        (level, "server has already been initialized as member before, starting as etcd member...")
    ]
