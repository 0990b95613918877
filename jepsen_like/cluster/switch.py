"""The process that carries a cluster's packets between network namespaces: one tun device per host, all forwarded here.

    python -m jepsen_like.cluster.switch LINE SEED HOSTS      (HOSTS: JSON rows of name, descriptor, address, address of the harness)

Delay, jitter, loss, duplication, reordering, corruption, rate and resets per direction, with no help of the kernel's packet
schedulers, which many kernels are built without. Packets of the harness's own addresses always pass. Ends with the run.
"""

from __future__ import annotations

import heapq
import json
import os
import random
import select
import socket
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, NamedTuple

from jepsen_like.cluster.carrier import Orders
from jepsen_like.cluster.links import Conditions, Counters

PACKET_BYTES_MAX = 65536
PACKETS_PER_TURN = 64
IDLE_S = 0.5
QUEUE_S_MAX = 0.5
"""Of a link with a rate: what would wait longer is dropped, as by a router whose buffer is full."""

TCP = 6
RST, SYN, ACK = 0x04, 0x02, 0x10


class Link:
    """One direction between two hosts."""

    __slots__ = ("conditions", "counters", "free_at_s", "newest", "reset_until_s", "rng", "sequence")

    def __init__(self, rng: random.Random) -> None:
        self.conditions = Conditions()
        self.counters = Counters()
        self.rng = rng
        self.free_at_s = self.reset_until_s = 0.0
        self.sequence = self.newest = 0


class Waiting(NamedTuple):
    """A packet on its way; ordered by when it is due."""

    due_s: float
    number: int
    came_s: float
    sequence: int
    link: Link
    descriptor: int
    packet: bytes


class Switch:
    """All hosts and the links between them. Runs on one thread until the run ends."""

    def __init__(self, line: int, seed: str, hosts: list[tuple[str, int, str, str]]) -> None:
        self._seed = seed
        self._names: dict[bytes, str] = {}
        self._descriptors: dict[bytes, int] = {}
        self._admin: set[bytes] = set()
        for name, descriptor, address, admin in hosts:
            for text in (address, admin):
                self._names[socket.inet_aton(text)] = name
                self._descriptors[socket.inet_aton(text)] = descriptor
            self._admin.add(socket.inet_aton(admin))
        self._tuns = {descriptor for _, descriptor, _, _ in hosts}
        self._links: dict[tuple[str, str], Link] = {}
        self._by_address: dict[bytes, Link] = {}
        self._waiting: list[Waiting] = []
        self._number = 0
        self._were_reset: set[bytes] = set()
        handlers: dict[str, Callable[..., Any]] = {
            "links": self._set_links,
            "tally": self._tally,
            "reset": self._reset,
            "were_reset": self._count_reset,
        }
        self._orders = Orders(line, handlers)

    def run(self) -> None:
        """Forwards until the run ends."""
        poll = select.epoll()
        line = self._orders.line.fileno()
        for descriptor in (*self._tuns, line):
            poll.register(descriptor, select.EPOLLIN)
        while True:
            self.send_due()
            wait_s = max(0.0, min(IDLE_S, self._waiting[0].due_s - time.monotonic())) if self._waiting else IDLE_S
            for descriptor, _ in poll.poll(wait_s):
                if descriptor == line:
                    if not self._orders.on_readable():
                        return
                else:
                    self.take(descriptor)

    def take(self, descriptor: int) -> None:
        """Forwards what a host has sent, up to a bound."""
        for _ in range(PACKETS_PER_TURN):
            try:
                packet = os.read(descriptor, PACKET_BYTES_MAX)
            except BlockingIOError:
                return
            if packet[0] >> 4 != 4:
                continue
            target = self._descriptors.get(packet[16:20])
            if target is None:
                continue
            if packet[16:20] in self._admin:
                _write(target, packet)
            else:
                self._forward(packet, target)

    def _forward(self, packet: bytes, target: int) -> None:
        ends = packet[12:20]
        link = self._by_address.get(ends)
        if link is None:
            link = self._by_address[ends] = self._link(self._names.get(ends[:4], ""), self._names[ends[4:]])
        conditions, counters = link.conditions, link.counters
        if link.reset_until_s and self._answer_with_reset(link, packet, target):
            return
        if conditions.plain:
            counters.passed += 1
            counters.passed_bytes += len(packet)
            link.sequence += 1
            link.newest = link.sequence
            _write(target, packet)
            return
        if conditions.cut:
            counters.cut += 1
            return
        draw = link.rng.random
        if conditions.loss and draw() < conditions.loss:
            counters.lost += 1
            return
        if conditions.corrupt and draw() < conditions.corrupt:
            counters.corrupted += 1
            packet = _flipped(packet, link.rng)
        self._send_later(link, packet, target)
        if conditions.duplicate and draw() < conditions.duplicate:
            counters.duplicated += 1
            self._send_later(link, packet, target)

    def _send_later(self, link: Link, packet: bytes, target: int) -> None:
        conditions = link.conditions
        now_s = time.monotonic()
        due_s = now_s
        link.sequence += 1
        if conditions.delay_ms or conditions.jitter_ms:
            delay_ms = conditions.delay_ms + (link.rng.random() * 2 - 1) * conditions.jitter_ms
            if not (conditions.reorder and link.rng.random() < conditions.reorder):
                due_s += max(0.0, delay_ms) / 1000
        if conditions.rate_bytes_s:
            link.free_at_s = max(link.free_at_s, now_s) + len(packet) / conditions.rate_bytes_s
            if link.free_at_s > now_s + QUEUE_S_MAX:
                link.free_at_s -= len(packet) / conditions.rate_bytes_s
                link.counters.lost += 1
                return
            link.counters.limited += 1
            due_s = max(due_s, link.free_at_s)
        self._number += 1
        heapq.heappush(self._waiting, Waiting(due_s, self._number, now_s, link.sequence, link, target, packet))

    def send_due(self) -> None:
        """Sends what has waited long enough."""
        now_s = time.monotonic()
        while self._waiting and self._waiting[0].due_s <= now_s:
            one = heapq.heappop(self._waiting)
            counters = one.link.counters
            if one.link.conditions.cut:
                counters.cut += 1
                continue
            counters.passed += 1
            counters.passed_bytes += len(one.packet)
            if one.due_s > one.came_s:
                counters.delayed += 1
                counters.delay_ms_total += (now_s - one.came_s) * 1000
            if one.sequence < one.link.newest:
                counters.overtaken += 1
            one.link.newest = max(one.sequence, one.link.newest)
            _write(one.descriptor, one.packet)

    def _answer_with_reset(self, link: Link, packet: bytes, target: int) -> bool:
        if time.monotonic() > link.reset_until_s:
            link.reset_until_s = 0.0
            return False
        start = (packet[0] & 15) * 4
        if packet[9] != TCP or packet[start + 13] & (SYN | RST) or not packet[start + 13] & ACK:
            return False
        flow = packet[12:20] + packet[start : start + 4]
        link.counters.resets += flow not in self._were_reset
        # One connection, whichever end spoke first.
        self._were_reset.add(min(flow, flow[4:8] + flow[:4] + flow[10:12] + flow[8:10]))
        (sequence, acknowledged) = struct.unpack_from("!II", packet, start + 4)
        _write(target, _reset_packet(packet[12:16], packet[16:20], packet[start : start + 4], sequence))
        back = packet[start + 2 : start + 4] + packet[start : start + 2]
        _write(self._descriptors[packet[12:16]], _reset_packet(packet[16:20], packet[12:16], back, acknowledged))
        return True

    def _link(self, source: str, target: str) -> Link:
        found = self._links.get((source, target))
        if found is None:
            found = self._links[source, target] = Link(random.Random(f"{self._seed} {source}>{target}"))
        return found

    def _set_links(self, links: list[tuple[str, str, dict[str, Any]]]) -> None:
        for source, target, conditions in links:
            self._link(source, target).conditions = Conditions(**conditions)

    def _tally(self) -> list[tuple[str, str, dict[str, float]]]:
        return [(*hosts, asdict(link.counters)) for hosts, link in self._links.items()]

    def _reset(self, links: list[tuple[str, str]], for_s: float) -> None:
        self._were_reset.clear()
        until_s = time.monotonic() + for_s
        for a, b in links:
            self._link(a, b).reset_until_s = self._link(b, a).reset_until_s = until_s

    def _count_reset(self) -> int:
        return len(self._were_reset)


def _write(descriptor: int, packet: bytes) -> None:
    try:
        os.write(descriptor, packet)
    except OSError:
        # The device's queue is full, or the host is gone: a network drops what it cannot deliver.
        return


def _flipped(packet: bytes, rng: random.Random) -> bytes:
    """With one bit changed behind the header of the IP packet, where TCP's checksum covers it."""
    changed = bytearray(packet)
    start = (packet[0] & 15) * 4
    changed[rng.randrange(start, len(packet))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _reset_packet(source: bytes, target: bytes, ports: bytes, sequence: int) -> bytes:
    """A TCP reset in an IP packet."""
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40, 0, 0, 64, TCP, 0, source, target)
    ip = ip[:10] + _checksum(ip) + ip[12:]
    tcp = ports + struct.pack("!IIBBHHH", sequence, 0, 5 << 4, RST, 0, 0, 0)
    pseudo = source + target + struct.pack("!BBH", 0, TCP, len(tcp))
    return ip + tcp[:16] + _checksum(pseudo + tcp) + tcp[18:]


def _checksum(data: bytes) -> bytes:
    """Of the internet (RFC 1071), of an even number of bytes."""
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!H", ~total & 0xFFFF)


if __name__ == "__main__":
    Switch(int(sys.argv[1]), sys.argv[2], [tuple(row) for row in json.loads(sys.argv[3])]).run()
