"""Real servers for the tests of client and raftctl: our own member as a process, and Debian's etcd where it is installed.

A server is started on free loopback ports with its data in a temporary folder, and killed by its own process id.
"""

from __future__ import annotations

import contextlib
import http.client
import pathlib
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import NamedTuple

from tests.support.ports import free_port

START_TIMEOUT_S = 60.0
POLL_S = 0.02


class Server(NamedTuple):
    """One running member, which is its whole cluster."""

    kind: str
    endpoint: str
    peer_url: str
    process: subprocess.Popen[bytes]


def etcd_unavailable() -> str:
    """Why Debian's etcd cannot be used; empty if it can."""
    missing = [name for name in ("etcd", "etcdctl") if shutil.which(name) is None]
    return f"not available: {' and '.join(missing)} not installed" if missing else ""


def command(kind: str) -> list[str]:
    """How a kind of server is called; both take etcd's flags."""
    return ["etcd"] if kind == "etcd" else [sys.executable, "-m", "raftkv"]


@contextlib.contextmanager
def running(kind: str, folder: pathlib.Path, *, name: str = "m1", like: Server | None = None) -> Iterator[Server]:
    """A member that has elected itself; `like` an earlier one it has that one's addresses, and with the same folder its data."""
    client, peer = f"127.0.0.1:{free_port()}", f"http://127.0.0.1:{free_port()}"
    if like is not None:
        client, peer = like.endpoint, like.peer_url
    flags = [f"--name={name}", f"--data-dir={folder / 'data'}", f"--initial-cluster={name}={peer}"]
    flags += [f"--listen-client-urls=http://{client}", f"--advertise-client-urls=http://{client}"]
    flags += [f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}"]
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen([*command(kind), *flags], stdout=log, stderr=log)
    try:
        _wait_healthy(client, process, folder / "log")
        yield Server(kind, client, peer, process)
    finally:
        process.kill()
        process.wait()


def _wait_healthy(client: str, process: subprocess.Popen[bytes], log: pathlib.Path) -> None:
    host, _, port = client.partition(":")
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline_s and process.poll() is None:
        connection = http.client.HTTPConnection(host, int(port), timeout=1)
        try:
            connection.request("GET", "/health")
            if b'"true"' in connection.getresponse().read():
                return
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()
        time.sleep(POLL_S)  # A process of its own shares no clock with the test.
    raise RuntimeError(f"server did not start:\n{log.read_text(errors='replace')[-2000:]}")
