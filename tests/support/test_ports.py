"""Ports for servers of tests."""

from __future__ import annotations

import contextlib
import fcntl
import pathlib
import socket
import tempfile

import pytest

from jepsen_like.cluster.ports import HOST, PORTS, PORTS_PER_BLOCK, PortBlock, lock_path
from tests.support.ports import Ports


def test_runs_are_consecutive_and_come_again_last() -> None:
    """None is given twice before all others were."""
    with contextlib.closing(Ports()) as ports:
        given = [ports.take(6) for _ in range(PORTS_PER_BLOCK // 6)]
    assert all(run == list(range(run[0], run[0] + 6)) for run in given)
    assert len({port for run in given for port in run}) == 6 * len(given)
    assert set(sum(given, [])) <= set(PORTS)


def test_port_somebody_listens_on_is_passed_over() -> None:
    """Also when its turn comes again."""
    with contextlib.closing(Ports()) as ports:
        first = ports.take(1)[0]
        with socket.create_server((HOST, first)):
            assert first not in {ports.take(1)[0] for _ in range(2 * PORTS_PER_BLOCK)}
        assert first in {ports.take(1)[0] for _ in range(PORTS_PER_BLOCK)}


def test_two_runs_of_tests_share_no_port() -> None:
    """A block is held for as long as its owner lives."""
    with contextlib.closing(Ports()) as mine, contextlib.closing(Ports()) as other:
        assert not set(mine.take(PORTS_PER_BLOCK)) & set(other.take(PORTS_PER_BLOCK))


def test_block_whose_lock_cannot_be_opened_is_somebody_elses(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    """Users of one machine share the ports and the folder of the locks, and not each other's files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    bases = PORTS[::PORTS_PER_BLOCK]
    for base in bases:
        if base != bases[3]:
            pathlib.Path(lock_path(base)).mkdir()
    with contextlib.closing(PortBlock(1)) as block:
        assert block.ports[0] in range(bases[3], bases[4])
        with pytest.raises(OSError, match="no 1 free ports"):
            PortBlock(1)


def test_more_ports_than_a_block_has_are_of_several_locked_blocks() -> None:
    """Nine members behind proxies need 45; others must see every block of theirs as taken."""
    with contextlib.closing(PortBlock(45)) as many, contextlib.closing(PortBlock(PORTS_PER_BLOCK)) as other:
        assert len(set(many.ports)) == 45
        assert not set(many.ports) & set(other.ports)
        for base in {port - (port - PORTS.start) % PORTS_PER_BLOCK for port in many.ports}:
            with open(lock_path(base)) as lock, pytest.raises(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_ports_that_cannot_all_be_had_are_all_given_back() -> None:
    with contextlib.closing(PortBlock(1)) as one:
        with pytest.raises(OSError, match="no 1000 free ports"):
            PortBlock(1000)
        with contextlib.closing(PortBlock(PORTS_PER_BLOCK)) as next_one:
            assert one.ports[0] not in next_one.ports
