"""The two servers of a differential run: the etcd that is installed, and one raftkv member, each with one member and a new store.

Both are told the same name, token and advertised addresses, so cluster id, member id and the member list must come out
the same to the last bit. Neither ever calls its own advertised address.
"""

from __future__ import annotations

import contextlib
import pathlib
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import grpc

from raftkv.pb import rpc
from raftkv.up.layout import HOST
from tests.support.ports import free_ports

WITHIN_S = 60.0
"""For what takes a second on an idle machine."""

ETCD_SERIES = "3.4"
"""The releases whose differences from what raftkv speaks are written down in known.py."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Where each of the two listens."""

    etcd: str
    raftkv: str


def why_not_available() -> str:
    """Why there is no etcd to compare with; empty when there is."""
    program = shutil.which("etcd")
    if program is None:
        return "not available: no etcd is installed (Debian: etcd-server)"
    said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=30, check=False).stdout
    version = re.search(r"etcd Version: (\S+)", said)
    if version is None or not version[1].startswith(ETCD_SERIES + "."):
        return f"not available: known.py holds the differences from etcd {ETCD_SERIES}; installed is {version[1] if version else said!r}"
    return ""


@contextlib.contextmanager
def running(folder: pathlib.Path) -> Iterator[Pair]:
    """Both servers from their first start until the end of the block."""
    ports = free_ports(4)
    advertised = ports[0], ports[1]
    with contextlib.ExitStack() as stack:
        etcd = stack.enter_context(_process(["etcd"], folder / "etcd", (ports[0], ports[1]), advertised))
        raftkv = [sys.executable, "-m", "raftkv", "server"]
        ours = stack.enter_context(_process(raftkv, folder / "raftkv", (ports[2], ports[3]), advertised))
        for address in (etcd, ours):
            _wait_for_leader(address)
        yield Pair(etcd, ours)


@contextlib.contextmanager
def _process(program: list[str], folder: pathlib.Path, listens: tuple[int, int], advertised: tuple[int, int]) -> Iterator[str]:
    folder.mkdir(parents=True)
    client_url, peer_url = (f"http://{HOST}:{port}" for port in listens)
    advertised_client_url, advertised_peer_url = (f"http://{HOST}:{port}" for port in advertised)
    arguments = [
        *("--name", "default", "--data-dir", str(folder / "data")),
        *("--listen-client-urls", client_url, "--advertise-client-urls", advertised_client_url),
        *("--listen-peer-urls", peer_url, "--initial-advertise-peer-urls", advertised_peer_url),
        *("--initial-cluster", f"default={advertised_peer_url}", "--initial-cluster-token", "differential"),
    ]
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen([*program, *arguments], stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        yield f"{HOST}:{listens[0]}"
    except BaseException as error:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-10:])
        error.add_note(f"{program[0]} {'runs' if process.poll() is None else f'ended with {process.poll()}'}, its log ends:\n{tail}")
        raise
    finally:
        process.kill()
        process.wait()


def _wait_for_leader(address: str) -> None:
    """Until a linearizable read is answered."""
    deadline_s = time.monotonic() + WITHIN_S
    with grpc.insecure_channel(address) as channel:
        read = channel.unary_unary("/etcdserverpb.KV/Range", rpc.RangeRequest.SerializeToString, rpc.RangeResponse.FromString)
        while True:
            try:
                read(rpc.RangeRequest(key=b"\0"), timeout=2, wait_for_ready=True)
                return
            except grpc.RpcError as error:
                if time.monotonic() > deadline_s:
                    raise AssertionError(f"{address} does not serve after {WITHIN_S:.0f} s: {error.details()}") from error
