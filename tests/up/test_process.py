"""`raftkv up` for real: processes, sockets and files, from the first line to the last."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator

import pytest
import yaml

from resource_api.client import ApiClient, Kind, read_kubeconfig
from tests.support.ports import free_ports


def command(folder, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "raftkv", "up", f"--data-dir={folder}", *arguments]


class Up:
    """One running `raftkv up`, read line by line."""

    def __init__(self, folder, *arguments: str) -> None:
        self.lines: list[str] = []
        self.process = subprocess.Popen(command(folder, *arguments), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def read_until(self, text: str) -> str:
        """Reads up to and including the line that holds the text."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if text in line:
                return line
        raise AssertionError(f"ended before {text!r}:\n{''.join(self.lines)}")

    def end(self, number: signal.Signals = signal.SIGINT) -> int:
        """Stops it in order; returns its exit status."""
        self.process.send_signal(number)
        rest, _ = self.process.communicate(timeout=60)
        self.lines.append(rest)
        return self.process.returncode


@pytest.fixture
def ups() -> Iterator[list[Up]]:
    """Whatever a test started is ended with it."""
    running: list[Up] = []
    yield running
    for up in running:
        if up.process.poll() is None:
            up.end()


def health(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=60) as answer:
        return json.load(answer)["health"]


@pytest.mark.slow
class TestUp:
    """Slow because three processes start and stop."""

    def test_three_members_serve_stop_and_go_on(self, tmp_path, ups):
        """Ctrl-C ends every process and keeps the data; the next run is the same cluster on the same ports."""
        folder, base_port = tmp_path / "cluster", free_ports(6)[0]
        for _ in range(2):
            up = Up(folder, "--members=3", f"--base-port={base_port}")
            ups.append(up)
            up.read_until("Ctrl-C stops the cluster")
            assert [health(base_port + 2 * i) for i in range(3)] == ["true"] * 3
            processes = [int((folder / f"n{i}" / "pid").read_text()) for i in (1, 2, 3)]
            assert up.end() == 0, "".join(up.lines)
            for process in processes:
                with pytest.raises(ProcessLookupError):
                    os.kill(process, 0)
        assert (folder / "n1" / "log.1").exists()

    def test_second_run_on_one_directory_is_refused(self, tmp_path, ups):
        up = Up(tmp_path, "--members=1", f"--base-port={free_ports(2)[0]}")
        ups.append(up)
        up.read_until("Ctrl-C stops the cluster")
        done = subprocess.run(command(tmp_path), capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 1
        assert f"process {up.process.pid}" in done.stderr

    def test_member_that_dies_is_reported_and_stays_down(self, tmp_path, ups):
        up = Up(tmp_path, "--members=1", f"--base-port={free_ports(2)[0]}")
        ups.append(up)
        up.read_until("Ctrl-C stops the cluster")
        os.kill(int((tmp_path / "n1" / "pid").read_text()), signal.SIGKILL)
        up.read_until("n1 ended with status -9; it stays down")
        up.process.communicate(timeout=60)
        assert up.process.returncode == 1

    def test_members_stop_when_the_run_is_killed(self, tmp_path, ups):
        """Nothing of a run is left behind that holds its ports and its directory."""
        up = Up(tmp_path, "--members=3", f"--base-port={free_ports(6)[0]}")
        ups.append(up)
        up.read_until("Ctrl-C stops the cluster")
        up.process.kill()
        up.process.communicate(timeout=60)
        # Its output is the run's only: the members write to their logs, so what ends them is watched by their locks.
        for name in ("n1", "n2", "n3"):
            with open(tmp_path / name / "data" / "member" / "lock", "rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
            log = (tmp_path / name / "log").read_text()
            assert "standard input has ended" in log

    def test_member_that_cannot_start_ends_the_run_with_its_log(self, tmp_path):
        done = subprocess.run(
            command(tmp_path, "--members=1", f"--base-port={free_ports(2)[0]}", "--", "--heartbeat-interval=900"),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 1
        assert "n1 ended with status 1 while starting" in done.stderr
        assert "--election-timeout[1000ms] should be at least as 5 times" in done.stderr

    def test_api_server_stands_beside_the_cluster_and_goes_with_it(self, tmp_path, ups):
        """`--kubernetes`: what was created is there after a stop and a start, on the same port; the kubeconfig is for its owner alone."""
        folder, base_port = tmp_path / "cluster", free_ports(2)[0]
        kubeconfig, servers = folder / "kubernetes" / "kubeconfig", []
        for turn in range(2):
            up = Up(folder, "--members=1", f"--base-port={base_port}", "--kubernetes")
            ups.append(up)
            up.read_until("export KUBECONFIG=")
            up.read_until("Ctrl-C stops the cluster")
            assert kubeconfig.stat().st_mode & 0o777 == 0o600
            cluster = yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]
            servers.append(cluster["server"])
            assert asyncio.run(_namespace(str(kubeconfig), create=turn == 0)) == "kept"
            assert up.end() == 0, "".join(up.lines)
        assert len(set(servers)) == 1


async def _namespace(kubeconfig: str, *, create: bool) -> str:
    async with ApiClient(read_kubeconfig(kubeconfig)) as client:
        kind = Kind("", "v1", "namespaces")
        if create:
            await client.create(kind, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kept"}})
        return str((await client.get(kind, "kept"))["metadata"]["name"])
