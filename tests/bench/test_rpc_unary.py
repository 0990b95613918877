"""What the service layer adds to a put and to a watch event. Prints; asserts no time."""

from __future__ import annotations

import timeit
from typing import Any

import pytest

from raftkv.metrics import Metrics
from raftkv.pb import rpc
from raftkv.rpc.services import ClientServices, ServiceSettings
from tests.rpc.fake_call import FakeCall, Turns
from tests.rpc.memory_member import MemoryMember

RUNS = 20_000


class CheapMember(MemoryMember):
    """Answers a put at once, with a header that was made before."""

    def __init__(self, turns: Turns) -> None:
        super().__init__(turns.call_soon)
        made = super().header(5)
        self.header = lambda revision: made

    def put(self, raw: bytes, request: Any, done: Any) -> None:
        done((5, b""), None)


class Sink(FakeCall):
    """Forgets what it is told."""

    def reply(self, body: bytes, lead: bytes = b"") -> None: ...

    def send(self, body: bytes) -> None: ...


def best_us(work: Any) -> float:
    return min(timeit.repeat(work, number=RUNS, repeat=5)) / RUNS * 1e6


@pytest.mark.bench
@pytest.mark.slow
def test_cost_of_the_service_layer(capsys):
    """A put: admit, decode, serve, answer; the decoding alone beside it. A watch event: header, splice, send."""
    turns = Turns()
    metrics = Metrics(version="0", etcd_version="3.7.0")
    services = ClientServices(CheapMember(turns), metrics, ServiceSettings(), turns)  # type: ignore[arg-type]
    raw = rpc.PutRequest(key=b"k" * 16, value=b"v" * 256).SerializeToString()
    put, call = services.routes["/etcdserverpb.KV/Put"].handler, Sink({"user-agent": "x"})
    handler = services.routes["/etcdserverpb.Watch/Watch"].handler(Sink())
    handler.on_message(rpc.WatchRequest(create_request=rpc.WatchCreateRequest(key=b"k")).SerializeToString())
    event = [b"\x5a" + bytes(100)]
    with capsys.disabled():
        print(f"\nput {best_us(lambda: put(call, raw)):.2f} µs", end=", ")
        print(f"of which decoding {best_us(lambda: rpc.PutRequest.FromString(raw)):.2f} µs", end=", ")
        print(f"watch event {best_us(lambda: handler.on_events(0, 5, event)):.2f} µs", end=", ")
        print(f"observation {best_us(lambda: metrics.wal_fsync.observe(0.003)):.2f} µs", end=", ")
        print(f"scrape {min(timeit.repeat(metrics.render, number=5, repeat=3)) / 5 * 1e3:.2f} ms")
