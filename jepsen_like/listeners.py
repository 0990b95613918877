"""Pauses of servers this harness did not start: whoever listens at a local endpoint is stopped and continued.

The only fault that can be done to foreign servers without knowing how they are started. Needs endpoints on this machine, and
the right to signal their processes; reads /proc. Nobody is left stopped, however the run ends: a process of its own watches over that.
"""

from __future__ import annotations

import os
import pathlib
import random
import signal
import socket
from collections.abc import Mapping

from jepsen_like import ledger
from jepsen_like.cluster.owners import owner_of
from jepsen_like.cluster.waker import waking
from jepsen_like.ledger import FaultRecord
from jepsen_like.workload.workload import World

PAUSE = "pause"
HOLD_S = (0.2, 2.0)
GAP_S = (0.2, 0.8)
STOPPED_WITHIN_S = 1.0
LISTENING = "0A"


class NoListenerError(ValueError):
    """No process of this machine listens at the endpoint, or none that may be signalled; the text says which."""


def processes(endpoints: Mapping[str, str]) -> dict[str, int]:
    """Member -> the process that listens at its address.

    Raises:
        NoListenerError: one of them cannot be paused.
    """
    return {member: _listener(endpoint) for member, endpoint in endpoints.items()}


def _listener(endpoint: str) -> int:
    host, _colon, port = endpoint.rpartition("://")[2].rpartition(":")
    teach = f"{endpoint} cannot be paused: "
    try:
        address = socket.gethostbyname(host or "127.0.0.1")
    except OSError as exc:
        raise NoListenerError(f"{teach}{exc}") from exc
    if not address.startswith("127.") or not port.isdigit():
        raise NoListenerError(f"{teach}only members on this machine's loopback can be; say --nemesis none")
    for inode in _listening(int(port)):
        pid = owner_of(inode, _pids())
        if pid:
            return pid
    raise NoListenerError(f"{teach}no process of this user listens at port {port}")


def _listening(port: int) -> list[int]:
    found = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = pathlib.Path(table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        fields = [line.split() for line in lines]
        found += [int(one[9]) for one in fields if one[3] == LISTENING and int(one[1].rpartition(":")[2], 16) == port]
    return found


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


class Pauses:
    """Random pauses of random members, one after the other; see `jepsen_like.run.Faults`."""

    def __init__(self, world: World, members: Mapping[str, int], draws: random.Random) -> None:
        self._world = world
        self._members = dict(members)
        self._random = draws

    async def run(self, until_s: float) -> None:
        """See `Faults`."""
        with waking(self._members.values()):
            await self._run(until_s)

    async def _run(self, until_s: float) -> None:
        while True:
            gap_s, hold_s = self._random.uniform(*GAP_S), self._random.uniform(*HOLD_S)
            if self._world.now_s() + gap_s + hold_s >= until_s:
                await self._world.sleep(max(0.0, until_s - self._world.now_s()))
                return
            await self._world.sleep(gap_s)
            await self._pause(self._random.choice(sorted(self._members)), hold_s)

    async def _pause(self, member: str, hold_s: float) -> None:
        pid, recorder = self._members[member], self._world.recorder
        state = ""
        os.kill(pid, signal.SIGSTOP)
        try:
            start_ns = recorder.now_ns()
            await self._world.sleep(hold_s)
            state = _state(pid)
        finally:
            os.kill(pid, signal.SIGCONT)
            end_ns = recorder.now_ns()
            effect = f"process {pid} was in state {state or 'unknown'}"
            fault = FaultRecord(PAUSE, start_ns, end_ns, (member,), f"{hold_s:.2f} s", state == "T", effect)
            recorder.write(fault.to_mark())
            recorder.write(ledger.member_state(member, "paused", start_ns, end_ns))


def _state(pid: int) -> str:
    return pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0]
