"""The packet switch on socket pairs in place of tun devices."""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Iterator

import pytest

from jepsen_like.cluster.switch import RST, Switch

ADDRESSES = {"n1": ("10.93.0.1", "10.93.1.1"), "n2": ("10.93.0.2", "10.93.1.2")}


class Bench:
    """Two hosts and the run's line to the switch."""

    def __init__(self) -> None:
        self.line, theirs = socket.socketpair()
        self.hosts: dict[str, socket.socket] = {}
        self._devices: dict[str, socket.socket] = {}
        rows = []
        for name, addresses in ADDRESSES.items():
            self.hosts[name], device = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
            self.hosts[name].setblocking(False)
            device.setblocking(False)
            self._devices[name] = device
            rows.append((name, device.fileno(), *addresses))
        self.switch = Switch(os.dup(theirs.fileno()), "1", rows)
        theirs.close()

    def order(self, order: str, **fields):
        """The answer to an order."""
        self.line.sendall(json.dumps({"order": order, **fields}).encode() + b"\n")
        self.switch._orders.on_readable()
        return json.loads(self.line.recv(1 << 16))["answer"]

    def send(self, packet: bytes) -> None:
        """n1 sends."""
        self.hosts["n1"].send(packet)
        self.switch.take(self._devices["n1"].fileno())

    def received(self, name: str = "n2") -> list[bytes]:
        """What has come to a host since it was asked last."""
        found = []
        while True:
            try:
                found.append(self.hosts[name].recv(1 << 16))
            except BlockingIOError:
                return found

    def close(self) -> None:
        """All sockets."""
        for one in (self.line, self.switch._orders.line, *self.hosts.values(), *self._devices.values()):
            one.close()


@pytest.fixture
def bench() -> Iterator[Bench]:
    """One for a test."""
    made = Bench()
    yield made
    made.close()


def packet(source: str = "10.93.0.1", target: str = "10.93.0.2", body: bytes = b"x" * 20, flags: int = 0x10) -> bytes:
    """A TCP segment from port 1000 to port 2000, sequence 7, acknowledging 9."""
    tcp = struct.pack("!HHIIBBHHH", 1000, 2000, 7, 9, 5 << 4, flags, 0, 0, 0) + body
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 0, 0, 64, 6, 0, socket.inet_aton(source), socket.inet_aton(target))
    return head + tcp


def counters(bench: Bench) -> dict[str, float]:
    """Of the direction from n1 to n2."""
    return next(counts for source, target, counts in bench.order("tally") if (source, target) == ("n1", "n2"))


def test_open_link_passes_packets_unchanged(bench):
    bench.send(packet())
    assert bench.received() == [packet()]
    assert counters(bench)["passed"] == 1


def test_cut_link_drops_and_the_harness_still_passes(bench):
    """Faults act on one address of a host; the harness reaches the other."""
    bench.order("links", links=[["n1", "n2", {"cut": True}]])
    bench.send(packet())
    bench.send(packet("10.93.1.1", "10.93.1.2"))
    assert bench.received() == [packet("10.93.1.1", "10.93.1.2")]
    assert counters(bench)["cut"] == 1


def test_lossy_link_drops_about_its_share(bench):
    bench.order("links", links=[["n1", "n2", {"loss": 0.3}]])
    for _ in range(200):
        bench.send(packet())
        bench.switch.send_due()
    lost = counters(bench)["lost"]
    assert 40 <= lost <= 80 and len(bench.received()) == 200 - lost


def test_duplicating_link_sends_twice(bench):
    bench.order("links", links=[["n1", "n2", {"duplicate": 1.0}]])
    bench.send(packet())
    bench.switch.send_due()
    assert bench.received() == [packet(), packet()]


def test_corrupting_link_flips_one_bit_behind_the_address(bench):
    bench.order("links", links=[["n1", "n2", {"corrupt": 1.0}]])
    bench.send(packet())
    bench.switch.send_due()
    (got,) = bench.received()
    assert got[:20] == packet()[:20]
    assert sum((a ^ b).bit_count() for a, b in zip(got, packet(), strict=True)) == 1


def test_delayed_packet_waits_and_an_overtaking_one_is_counted(bench):
    bench.order("links", links=[["n1", "n2", {"delay_ms": 60_000.0}]])
    bench.send(packet())
    bench.switch.send_due()
    assert bench.received() == []
    bench.order("links", links=[["n1", "n2", {"duplicate": 0.0001}]])
    bench.send(packet(body=b"later"))
    bench.switch.send_due()
    assert bench.received() == [packet(body=b"later")]


def test_full_queue_of_a_narrow_link_drops_what_would_wait_too_long(bench):
    bench.order("links", links=[["n1", "n2", {"rate_bytes_s": 600.0}]])
    for _ in range(20):
        bench.send(packet())
    counts = counters(bench)
    # Half a second takes 300 bytes: five packets of sixty.
    assert counts["limited"] == 5 and counts["lost"] == 15


def test_reset_answers_the_next_segment_at_both_ends_with_right_checksums(bench):
    """Both ends see a reset that is in their window, and the connection counts once."""
    bench.order("reset", links=[["n1", "n2"]], for_s=60.0)
    bench.send(packet())
    (there,), (back,) = bench.received("n2"), bench.received("n1")
    for got, sequence in ((there, 7), (back, 9)):
        assert got[33] == RST and struct.unpack_from("!I", got, 24) == (sequence,)
        assert _sum(got[:20]) == 0xFFFF
        assert _sum(got[12:20] + struct.pack("!HH", 6, 20) + got[20:]) == 0xFFFF
    bench.send(packet())
    assert bench.order("were_reset") == 1
    bench.send(packet(flags=0x02))
    assert bench.received()[-1] == packet(flags=0x02), "a new handshake passes"


def _sum(data: bytes) -> int:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total
