"""Real members: what a run leaves behind, and who gets through a proxy."""

from __future__ import annotations

import asyncio
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import pytest

from jepsen_like.cluster import Cluster, NotUpError, loop_disk, namespaces, open_cluster
from jepsen_like.cluster.member import ROOT, clean_environment
from jepsen_like.cluster.proxies import Proxies

QUICK = ("--heartbeat-interval=50", "--election-timeout=500")

RUN = """
import asyncio, pathlib, sys
from jepsen_like.cluster import open_cluster

async def main():
    async with open_cluster(sys.argv[1], 1, 1, pathlib.Path(sys.argv[2]), instruments=sys.argv[3:]) as cluster:
        print(cluster.members[0].pid, cluster.network._carrier._process.pid, flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


def _killed_run(backend: str, folder: pathlib.Path, *instruments: str) -> list[int]:
    """A run that is killed while its cluster serves; the processes it had."""
    command = [sys.executable, "-c", RUN, backend, str(folder), *instruments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        pids = [int(word) for word in run.stdout.readline().split()]
        run.send_signal(signal.SIGKILL)
    return pids


def _runs(pid: int) -> bool:
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _ended(pids: list[int], within_s: float = 10.0) -> bool:
    deadline_s = time.monotonic() + within_s
    while any(map(_runs, pids)) and time.monotonic() < deadline_s:
        os.sched_yield()
    return len(pids) == 2 and not any(map(_runs, pids))


@pytest.mark.slow
def test_run_that_is_killed_leaves_no_process(tmp_path):
    """Members die with the run, and so does what carries their traffic."""
    assert _ended(_killed_run("PX", tmp_path))


@pytest.mark.slow
@pytest.mark.skipif(bool(namespaces.unavailable_because()), reason=f"not available: {namespaces.unavailable_because()}")
@pytest.mark.skipif(bool(loop_disk.unavailable_because()), reason=f"not available: {loop_disk.unavailable_because()}")
def test_disk_of_a_killed_run_is_cleared_by_the_next(tmp_path):
    """Mounts outlive processes; the next run that wants disks takes them away first."""
    assert _ended(_killed_run("NS", tmp_path, "loop"))
    assert str(tmp_path) in pathlib.Path("/proc/mounts").read_text()
    assert loop_disk.clear_leftovers() == 1
    assert str(tmp_path) not in pathlib.Path("/proc/mounts").read_text()


@pytest.mark.slow
def test_proxy_of_members_refuses_whoever_is_no_member(tmp_path):
    """A connection nobody vouches for would have no link whose conditions it is under."""

    async def run() -> None:
        async with open_cluster("PX", 1, 1, tmp_path, flags=QUICK) as cluster:
            (member,) = cluster.members
            host, _, port = member.place.peers.rpartition(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            async with asyncio.timeout(60.0):
                try:
                    assert await reader.read() == b""
                except ConnectionResetError:
                    pass
            writer.close()

    asyncio.run(run())


def test_addresses_of_clusters_do_not_overlap(tmp_path):
    """Clusters run beside each other, and a member that is down keeps its ports."""
    first = Cluster(tmp_path / "a", size=5, network=Proxies(1))
    second = Cluster(tmp_path / "b", size=5, network=Proxies(1))

    def ports(cluster: Cluster) -> set[str]:
        return {
            port
            for member in cluster.members
            for port in (
                *member.place.listen_clients,
                member.place.listen_peers,
                member.place.clients,
                member.place.peers,
                member.place.failpoints,
            )
        }

    assert len(ports(first)) == len(ports(second)) == 25
    assert not ports(first) & ports(second)
    asyncio.run(first.close())
    asyncio.run(second.close())


def test_member_of_a_relative_folder_is_told_absolute_paths(tmp_path, monkeypatch):
    """It works in a directory of its own, and what it is told must mean the same there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", "lib")
    cluster = Cluster(pathlib.Path("out"), size=1, instruments=("clock",))
    (member,) = cluster.members
    arguments = cluster.arguments(member)
    assert arguments[arguments.index("--data-dir") + 1] == str(tmp_path / "out" / "n1" / "data")
    assert f"--levers={tmp_path / 'out' / 'n1' / 'levers'}" in arguments
    assert clean_environment()["PYTHONPATH"].split(os.pathsep) == [str(ROOT), str(tmp_path / "lib")]
    asyncio.run(cluster.close())


@pytest.mark.slow
def test_member_works_in_its_own_folder(tmp_path, monkeypatch):
    """Whatever directory the run has, and however its packages were found."""
    monkeypatch.chdir(tmp_path)

    async def run() -> None:
        async with open_cluster("PX", 1, 1, pathlib.Path("out"), flags=QUICK) as cluster:
            (member,) = cluster.members
            assert os.readlink(f"/proc/{member.pid}/cwd") == str(tmp_path / "out" / "n1")
            assert any(member.data.iterdir())

    asyncio.run(run())
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_folder_with_data_of_members_is_refused(tmp_path):
    """They would be told of addresses that nobody has any more, and go on with what another run wrote."""
    (tmp_path / "n2" / "data" / "member").mkdir(parents=True)

    async def run() -> None:
        async with open_cluster("PX", 3, 1, tmp_path):
            raise AssertionError("it must not open")

    with pytest.raises(ValueError, match=f"{tmp_path}/n2/data holds the data of an earlier cluster"):
        asyncio.run(run())


@pytest.mark.slow
def test_cluster_that_does_not_come_up_names_a_member_its_log_and_what_it_ends_with(tmp_path):
    (tmp_path / "file").write_text("")

    async def run() -> None:
        async with open_cluster("PX", 3, 1, tmp_path / "out", flags=(*QUICK, f"--data-dir={tmp_path / 'file'}")):
            raise AssertionError("it must not open")

    with pytest.raises(NotUpError) as raised:
        asyncio.run(run())
    first, *tail = str(raised.value).splitlines()
    assert re.fullmatch(rf"the cluster did not come up: (n\d) ended with 1 while it was waited for; {tmp_path}/out/\1/log ends with", first)
    assert 0 < len(tail) <= 15 and "file" in tail[-1]


def test_back_end_or_instrument_that_does_not_exist_is_refused(tmp_path):
    async def run(backend: str, *instruments: str) -> None:
        async with open_cluster(backend, 1, 1, tmp_path, instruments=instruments):
            raise AssertionError("it must not open")

    with pytest.raises(ValueError, match="no back end 'docker'; there are PX, NS"):
        asyncio.run(run("docker"))
    with pytest.raises(ValueError, match="no such instruments: loop, trace"):
        asyncio.run(run("PX", "trace", "loop"))
