"""The benchmark's own arithmetic and checks, and one very short run of it. Nothing here asserts a time."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys

import pytest

from raftkv.pb import rpc
from raftkv.transport.frames import HEAD, HEAD_BYTES
from raftkv.transport.hpack import Decoder
from tests.bench import __main__ as program
from tests.bench import document, scenarios
from tests.bench.campaign import TARGETS, Plan
from tests.bench.counters import Counts, handled, void_because
from tests.bench.load import h2load_seconds
from tests.bench.raw_connection import RawConnection, header_blocks, request_payload
from tests.bench.results import Round, Row, Spread, percentile, ratios, verdict
from tests.bench.systems import ROOT, BenchError, Ports, usage_of
from tests.bench.table import number, table

H2LOAD = """
finished in {time}, 26412.67 req/s, 2.43MB/s
requests: 2000 total, 2000 started, 2000 done, {succeeded} succeeded, 0 failed, 0 errored, 0 timeout
status codes: {ok} 2xx, 0 3xx, 0 4xx, 0 5xx
"""

METRICS = """# TYPE grpc_server_handled_total counter
grpc_server_handled_total{grpc_code="OK",grpc_method="Put",grpc_service="etcdserverpb.KV",grpc_type="unary"} 1.2e+06
grpc_server_handled_total{grpc_method="Put",grpc_service="etcdserverpb.KV",grpc_type="unary",grpc_code="Unavailable"} 3
grpc_server_handled_total{grpc_code="OK",grpc_method="Range",grpc_service="etcdserverpb.KV",grpc_type="unary"} 7
grpc_server_started_total{grpc_method="Put",grpc_service="etcdserverpb.KV",grpc_type="unary"} 9
"""


def row_of(first: list[float], second: list[float], *, more_is_better: bool = True, **wanted: float) -> Row:
    row = Row("r", "u", more_is_better, **wanted)
    for system, values in (("a", first), ("b", second)):
        for value in values:
            row.add(system, Round(value))
    return row


@pytest.mark.parametrize(("time", "seconds"), [("1.23s", 1.23), ("512.50ms", 0.5125), ("700us", 0.0007), ("2.00min", 120.0)])
def test_h2load_output_gives_seconds(time, seconds):
    """h2load prints the unit that suits the number."""
    said = H2LOAD.format(time=time, succeeded=2000, ok=2000)
    assert h2load_seconds(said, 2000) == pytest.approx(seconds)


@pytest.mark.parametrize(("succeeded", "ok"), [(1999, 2000), (2000, 1999), (0, 0)])
def test_h2load_output_with_failed_requests_is_refused(succeeded, ok):
    """A rate over requests that failed is no rate."""
    with pytest.raises(BenchError, match="of 2000 requests"):
        h2load_seconds(H2LOAD.format(time="1s", succeeded=succeeded, ok=ok), 2000)


def test_h2load_output_that_is_not_understood_is_refused():
    """A new version that prints something else must not read as zero."""
    with pytest.raises(BenchError, match="not understood"):
        h2load_seconds("Segmentation fault", 1)


def test_metrics_are_counted_by_method_and_code_in_any_label_order():
    """Go prints labels sorted; nothing promises that."""
    assert handled(METRICS, scenarios.PUT) == (1_200_000, 3)
    assert handled(METRICS, scenarios.RANGE) == (7, 0)
    assert handled(METRICS, "/etcdserverpb.KV/Txn") == (0, 0)


@pytest.mark.parametrize(
    ("after", "writes", "why"),
    [
        (Counts(110, 3, 60), True, ""),
        (Counts(110, 3, 50), False, ""),
        (Counts(110, 4, 60), True, "1 of 10 calls were refused"),
        (Counts(109, 3, 60), True, "served 9 of 10"),
        (Counts(111, 3, 60), True, "served 11 of 10"),
        (Counts(110, 3, 59), True, "rose by 9 for 10 writes"),
        (Counts(110, 3, 51), False, "rose by 1 for 10 reads"),
    ],
)
def test_load_counts_only_when_server_and_store_agree(after, writes, why):
    """Rejected requests never count."""
    said = void_because(Counts(100, 3, 50), after, 10, own_calls=0, writes=writes)
    assert why in said
    assert bool(said) == bool(why)


def test_own_calls_of_the_harness_are_not_the_loads():
    """Reading the revision is a range, too."""
    assert not void_because(Counts(5, 0, 9), Counts(16, 0, 9), 10, own_calls=1, writes=False)


def test_ratio_pairs_the_rounds_and_says_how_many_times_better():
    """Where less is better the ratio is turned round, so that above one is always better."""
    rates = row_of([30, 20, 40], [10, 10, 10])
    assert ratios(rates, "a", "b") == Spread(2, 3, 4)
    times = row_of([1, 2], [3, 3], more_is_better=False)
    assert ratios(times, "a", "b") == Spread(1.5, 2.25, 3)
    assert ratios(row_of([1], []), "a", "b") is None


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (row_of([24], [20], target=1.2), "met"),
        (row_of([23], [20], target=1.2), "missed"),
        (row_of([0.5], [], more_is_better=False, limit=0.7), "met"),
        (row_of([0.7], [0.9], more_is_better=False, limit=0.7), "missed"),
        (row_of([23], [], target=1.2), ""),
        (row_of([23], [1]), ""),
    ],
)
def test_verdict_follows_target_or_limit(row, said):
    """A target is a ratio of both systems, a limit is the first one's alone."""
    assert verdict(row, "a", "b") == said


def test_percentile_is_the_bucket_that_holds_the_share():
    """Buckets count events by their latency."""
    buckets = [0, 50, 49, 0, 1]
    assert [percentile(buckets, share) for share in (0.01, 0.5, 0.51, 0.99, 1.0)] == [1, 1, 2, 2, 4]
    assert percentile([0, 0], 0.5) == 0


@pytest.mark.parametrize(("value", "text"), [(None, "–"), (12345.6, "12\u202f346"), (123.4, "123"), (12.34, "12.3"), (1.234, "1.23")])
def test_numbers_show_what_means_something(value, text):
    """More digits would be noise."""
    assert number(value) == text


def test_table_says_why_the_second_system_has_no_values():
    """A machine without etcd still gets its figures, and the reason for the empty columns."""
    text = table([row_of([5.0], [])], "a", "b", "not available: there is no `etcd` in PATH")
    assert "not available |" in text
    assert "there is no `etcd` in PATH" in text


def test_table_shows_void_rounds_with_their_reason():
    """A load that does not count is neither hidden nor a number."""
    row = row_of([5.0], [])
    row.void("b", "1 of 10 calls were refused")
    text = table([row], "a", "b")
    assert "void |" in text
    assert "1 of 10 calls were refused" in text


def test_every_target_belongs_to_a_scenario():
    """A target under a misspelled name would never be judged."""
    assert set(TARGETS) <= {row.name for rows in scenarios.load_scenarios(lambda name: True).values() for row in rows}


def test_document_holds_table_and_method():
    """The page is written by the program, whole."""
    facts = document.about({"raftkv": "abc", "etcd": "3.4.23"}, "h2load", Plan(), ROOT)
    text = document.document("| the | table |", facts)
    assert "| the | table |" in text
    assert "raftkv abc and etcd 3.4.23" in text


def test_listing_names_every_row(capsys):
    """`--only` is told parts of these names."""
    assert program.main(["--list", "--only", "one.put."]) == 0
    assert capsys.readouterr().out.split() == ["one.put.1x1", "one.put.64x1", "one.put.4x64"]


def test_header_blocks_decode_alike_first_and_later():
    """The later block is four references into the table that the first one filled."""
    first, later = header_blocks(scenarios.PUT, "127.0.0.1:1")
    decoder = Decoder(list_bytes_max=1000)
    fields = decoder.decode(first)
    assert decoder.decode(later) == fields
    assert [name for name, _ in fields] == [":method", ":scheme", ":authority", ":path", "content-type", "te"]


class Recorded(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []

    def write(self, data) -> None:
        self.written.append(bytes(data))

    def abort(self) -> None: ...


def connected() -> tuple[RawConnection, Recorded, list]:
    broken: list = []
    connection, transport = RawConnection(scenarios.PUT, "h:1", broken.append), Recorded()
    connection.connection_made(transport)
    transport.written.clear()
    return connection, transport, broken


def test_requests_wait_for_the_connections_window():
    """What goes over the server's window is a fault of the client's, and the server would end the connection."""
    connection, transport, _ = connected()
    payload = request_payload(b"x" * 16_000)
    for _ in range(5):
        connection.request(payload)
    connection.write_out()
    sent = sum(len(data) for data in transport.written)
    assert 4 * len(payload) < sent < 5 * len(payload)
    connection.data_received(HEAD.pack(4 << 8 | 8, 0, 0) + (1 << 16).to_bytes(4, "big"))
    assert len(transport.written[-1]) == len(payload) + HEAD_BYTES


@pytest.mark.parametrize("cut", range(0, 30, 3))
def test_status_is_read_at_every_cut_of_the_bytes(cut):
    """Answers arrive in any pieces."""
    ended: list = []
    connection, _, broken = connected()
    connection.on_end = lambda stream_id, status: ended.append((stream_id, status))
    block = b"\x40\x0bgrpc-status\x015"
    answer = HEAD.pack(len(block) << 8 | 1, 5, 3) + block
    connection.data_received(answer[:cut])
    connection.data_received(answer[cut:])
    assert ended == [(3, "5")]
    assert not broken


def test_frame_that_is_not_understood_breaks_the_run():
    """A stream that the server resets is no answer."""
    connection, _, broken = connected()
    connection.data_received(HEAD.pack(4 << 8 | 3, 0, 1) + bytes(4))
    assert len(broken) == 1


def test_request_of_one_frame_carries_grpcs_prefix():
    """Longer ones would need more than one frame, which the generator does not do."""
    message = rpc.PutRequest(key=b"k").SerializeToString()
    assert request_payload(message) == b"\0" + len(message).to_bytes(4, "big") + message
    with pytest.raises(ValueError, match="one frame"):
        request_payload(bytes(20_000))


def test_usage_and_ports_come_from_the_kernel():
    """Both are of this machine, so only what must be true of any is asserted."""
    usage = usage_of(os.getpid())
    assert usage.cpu_s > 0
    assert usage.rss_bytes > 1_000_000
    assert 0 < Ports().take() < 65536


@pytest.mark.slow
@pytest.mark.bench
def test_very_short_run_measures_one_row(tmp_path):
    """End to end: starts a member, loads it, checks that every request counted, prints and writes the table."""
    target = tmp_path / "out.json"
    words = ["--quick", "--alone", "--own", "--seconds", "0.05", "--only", "one.put.4x64", "--only", "start.fresh", "--json", str(target)]
    done = subprocess.run([sys.executable, "-m", "tests.bench", *words], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "one.put.4x64" in done.stdout
    rows = json.loads(target.read_text())["rows"]
    assert [row["name"] for row in rows] == ["start.fresh", "one.put.4x64"]
    assert all(row["rounds"]["raftkv"][0]["value"] > 0 for row in rows)
