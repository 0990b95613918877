"""NS: a network namespace per member and one for this process, joined by a packet switch in user space.

Needs root, or a user namespace (`unshare -Urn`) with a /dev/net/tun that may be opened. Namespaces have no names: each lives as long
as the processes in it, so that a run that is killed leaves nothing behind. While the network is open, sockets of this thread are made
on the clients' host; nothing outside is reachable from it, and nothing in it from outside.

Every host has two addresses: the one that faults act on, and one for the harness, which they do not. Source of the numbers:
linux/sched.h, linux/if_tun.h, linux/sockios.h; netdevice(7).
"""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import functools
import json
import os
import socket
import struct
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager

from jepsen_like.cluster.carrier import Carrier
from jepsen_like.cluster.links import CLIENTS, Conditions, Direction, Tally
from jepsen_like.cluster.member import MemberProcess, Place

CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454CA
IFF_TUN_NO_PI = 0x0001 | 0x1000
SIOCGIFFLAGS, SIOCSIFFLAGS = 0x8913, 0x8914
SIOCSIFADDR, SIOCSIFNETMASK, SIOCSIFMTU = 0x8916, 0x891C, 0x8922
IFF_UP_RUNNING = 0x1 | 0x40

TUN = "/dev/net/tun"
OWN_NAMESPACE = "/proc/thread-self/ns/net"

NETWORK, ADMIN_NETWORK = "10.93.0", "10.93.1"
CLIENTS_HOST = 100
CLIENT_PORT, PEER_PORT, FAILPOINTS_PORT = 2379, 2380, 2381

MTU = 9000
RESET_S = 0.3
"""Connections that say nothing for so long are not reset: a reset answers a packet."""

_libc = ctypes.CDLL(None, use_errno=True)


class Host:
    """One network namespace with a tun device, and the two addresses on it."""

    def __init__(self, number: int) -> None:
        self.address, self.admin_address = f"{NETWORK}.{number}", f"{ADMIN_NETWORK}.{number}"
        home = os.open(OWN_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _call("unshare", CLONE_NEWNET)
            try:
                self.namespace = os.open(OWN_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)
                self.tun = _open_tun("t0")
                _configure("lo", "127.0.0.1", mtu=65536)
                _configure("t0", self.address, mtu=MTU)
                _configure("t0:1", self.admin_address)
            finally:
                enter(home)
        finally:
            os.close(home)

    def close(self) -> None:
        """The namespace ends with the last process in it."""
        os.close(self.tun)
        os.close(self.namespace)


class Namespaces:
    """See Network."""

    name = "NS"
    shapes = frozenset({"cut", "delay_ms", "jitter_ms", "loss", "duplicate", "reorder", "corrupt", "rate_bytes_s"})
    resets = True
    stalls = False

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._hosts: dict[str, Host] = {}
        self._carrier: Carrier | None = None
        self._home = -1

    def places(self, names: Sequence[str]) -> list[Place]:
        """See Network."""
        places = []
        for number, _ in enumerate(names, 1):
            data, admin = f"{NETWORK}.{number}", f"{ADMIN_NETWORK}.{number}"
            clients, peers = f"{data}:{CLIENT_PORT}", f"{data}:{PEER_PORT}"
            operator = f"{admin}:{CLIENT_PORT}"
            places.append(Place((clients, operator), peers, clients, peers, operator, f"{admin}:{FAILPOINTS_PORT}"))
        self._names = tuple(names)
        return places

    async def open(self) -> None:
        """See Network."""
        self._home = os.open(OWN_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)
        for number, name in enumerate(self._names, 1):
            self._hosts[name] = Host(number)
        self._hosts[CLIENTS] = Host(CLIENTS_HOST)
        table = json.dumps([[name, host.tun, host.address, host.admin_address] for name, host in self._hosts.items()])
        descriptors = [host.tun for host in self._hosts.values()]
        self._carrier = Carrier.start("jepsen_like.cluster.switch", [str(self._seed), table], descriptors=descriptors)
        await self._carrier.ask("tally")
        enter(self._hosts[CLIENTS].namespace)

    def inside(self, name: str) -> AbstractContextManager[None]:
        """See Network."""
        return self._inside(self._hosts[name].namespace)

    @contextmanager
    def _inside(self, namespace: int) -> Iterator[None]:
        enter(namespace)
        try:
            yield
        finally:
            enter(self._hosts[CLIENTS].namespace)

    def started(self, members: Iterable[MemberProcess]) -> None:
        """See Network; hosts have addresses of their own here."""

    async def set(self, links: Mapping[Direction, Conditions]) -> None:
        """See Network."""
        await self._open.set(links)

    async def tally(self) -> Tally:
        """See Network."""
        return await self._open.tally()

    async def reset(self, pairs: Iterable[Direction]) -> int:
        """See Network; answers each connection's next packet with a reset to both ends, so that a silent one stays."""
        await self._open.ask("reset", links=[list(pair) for pair in pairs], for_s=RESET_S)
        await asyncio.sleep(RESET_S)
        return int(await self._open.ask("were_reset"))

    async def stall(self, name: str, *, on: bool) -> None:
        """See Network."""
        assert not on, "processes accept for themselves here"

    async def close(self) -> None:
        """See Network."""
        if self._home >= 0:
            enter(self._home)
            os.close(self._home)
            self._home = -1
        if self._carrier is not None:
            await self._carrier.close()
            self._carrier = None
        for host in self._hosts.values():
            host.close()
        self._hosts.clear()

    @property
    def _open(self) -> Carrier:
        assert self._carrier is not None, "not open"
        return self._carrier


def enter(namespace: int) -> None:
    """Sockets this thread makes, and processes it starts, are in that namespace from now on."""
    _call("setns", namespace, CLONE_NEWNET)


@functools.cache
def unavailable_because() -> str:
    """Why there can be no such network here; empty when there can. Tries it, on a thread of its own."""
    found: list[str] = []

    def attempt() -> None:
        try:
            Host(1).close()
        except OSError as error:
            found.append(f"{error}" if error.filename else f"{error} (needs root or a user namespace)")

    thread = threading.Thread(target=attempt, name="namespace probe")
    thread.start()
    thread.join()
    return found[0] if found else ""


def _call(name: str, *arguments: int) -> None:
    if getattr(_libc, name)(*arguments) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")


def _open_tun(name: str) -> int:
    descriptor = os.open(TUN, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN_NO_PI))
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _configure(name: str, address: str, *, mtu: int = 0) -> None:
    """Gives an interface of the present namespace its address, and brings it up."""
    label = name.encode()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for order, value in ((SIOCSIFADDR, address), (SIOCSIFNETMASK, "255.255.255.0")):
            fcntl.ioctl(control, order, struct.pack("16sHH4s16x", label, socket.AF_INET, 0, socket.inet_aton(value)))
        if mtu:
            fcntl.ioctl(control, SIOCSIFMTU, struct.pack("16si20x", label, mtu))
            (flags,) = struct.unpack_from("H", fcntl.ioctl(control, SIOCGIFFLAGS, struct.pack("16sH22x", label, 0)), 16)
            fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sH22x", label, flags | IFF_UP_RUNNING))
