"""The client beside the load: its bare watch stream, its look at members without leader, and what is looked at when clients have gone."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from jepsen_like.checker import watch
from jepsen_like.checker.verdict import Findings
from jepsen_like.history import OK, History, Operation
from jepsen_like.recorder import Recorder
from jepsen_like.sim import runs
from jepsen_like.sim.bystander import LEADERLESS_SLACK_S, LEADERLESS_TIMEOUTS, Leaderless
from jepsen_like.sim.client import SimulatedClient
from jepsen_like.sim.cluster import simulate
from jepsen_like.sim.judge import watchers_of
from jepsen_like.sim.rules import InvariantError, contents
from jepsen_like.sim.rules.announced import Announced
from jepsen_like.sim.watch_stream import RawStream, Wish
from jepsen_like.sim.world import MemorySink
from raftkv.mvcc.kv import Event
from raftkv.mvcc.record import encode_put, seal
from raftkv.mvcc.revision import main_of
from raftkv.storage.backend import Table
from raftkv.transport.channel import RpcError

CHANGES = ((b"a", 2, 0), (b"b", 2, 1), (b"a", 3, 0))


class _Watched:
    """A stream to the first member with what it recorded."""

    def __init__(self, cluster):
        self.history = History()
        self.findings = Findings()
        recorder = Recorder(MemorySink(self.history), lambda: round(cluster.loop.now_s * 1e9))
        self.stream = RawStream(cluster.members[0], recorder, itertools.count().__next__, self.findings)

    @property
    def kinds(self):
        """Anomalies of the stream's own rules and of the watch checker."""
        return [one.kind for verdict in (self.findings.verdict(1), watch.check(self.history, closed=False)) for one in verdict.anomalies]


async def _started(cluster, count=1):
    cluster.start()
    await cluster.serving()
    client = SimulatedClient(cluster.members[0])
    for number in range(count):
        await client.put(b"y/%d" % (number % 2), b"%d" % number)
    return client


def test_stream_of_several_watchers_keeps_them_apart():
    """One from the first revision, one from now and one from the future; the first, of id 0, is cancelled between two requests."""

    async def scenario(cluster):
        client = await _started(cluster, 3)
        watched = _Watched(cluster)
        await watched.stream.open(needs_leader=True)
        past, now, future = (watched.stream.create(Wish("y/", "y0", since, prev_kv=True)) for since in (1, 0, 6))
        await cluster.until(lambda: past.seen == 4, 5, "history is shown")
        assert (past.watch_id, now.watch_id, future.watch_id) == (0, 1, 2)
        watched.stream.cancel(past, Wish("y/1"))
        for value in (b"5", b"6"):
            await client.put(b"y/0", value)
        await cluster.until(lambda: now.seen == 6 and future.seen == 6, 5, "what is new is shown")
        assert past.is_over and past.seen == 4 and not watched.kinds
        assert [len(one.events) for one in watched.history.responses if one.watch == future.number] == [0, 1]
        watched.stream.close(whole=True)
        client.close()

    simulate(3, scenario, count=1)


@pytest.mark.parametrize("gone", [True, False])
def test_watchers_left_are_those_of_connections_whose_end_has_come(gone):
    """An end that waits for a slow link is no fault of the member's; a watcher whose client stays is still found then."""

    async def scenario(cluster):
        client = await _started(cluster)
        watched = _Watched(cluster)
        await watched.stream.open(needs_leader=False)
        watched.stream.create(Wish("y/0"))
        await cluster.until(lambda: watchers_of(cluster.members[0]) == 1, 5, "it is created")
        network = cluster.loop.network
        link = network.link("client", "m0")
        link.shape(network.delay_s, rate_bytes_s=1_000)
        with pytest.raises(RpcError):
            await client.put(b"y/0", b"." * 20_000, 1.0)
        watched.stream.ask_progress()
        await asyncio.sleep(0.1)
        link.shape(network.delay_s)
        if gone:
            watched.stream.close(whole=True)
            client.close()
        began_s = cluster.loop.now_s
        await runs.until_unwatched(cluster)
        assert watchers_of(cluster.members[0]) == (not gone)
        assert 18 < cluster.loop.now_s - began_s < 20.5

    simulate(3, scenario, count=1)


def test_watcher_that_nobody_ends_is_left_after_a_second():
    """Nothing is on its way: what the member still has then it keeps."""

    async def scenario(cluster):
        await _started(cluster)
        watched = _Watched(cluster)
        await watched.stream.open(needs_leader=False)
        watched.stream.create(Wish("y/0"))
        await cluster.until(lambda: watchers_of(cluster.members[0]) == 1, 5, "it is created")
        began_s = cluster.loop.now_s
        await runs.until_unwatched(cluster)
        assert watchers_of(cluster.members[0]) == 1
        assert cluster.loop.now_s - began_s < 1.1

    simulate(3, scenario, count=1)


def test_cancellation_without_an_answer_is_found():
    """The answer to a later request has come, that to the cancellation has not."""

    async def scenario(cluster):
        client = await _started(cluster)
        watched = _Watched(cluster)
        await watched.stream.open(needs_leader=False)
        first = watched.stream.create(Wish("y/0"))
        await cluster.until(lambda: first.watch_id == 0, 5, "it is created")
        watch_id, first.watch_id = first.watch_id, 7  # The server has no such watcher, and says nothing to that.
        watched.stream.cancel(first, Wish("y/1"))
        first.watch_id = watch_id
        await cluster.until(lambda: len(watched.history.responses) == 2, 5, "the next is created")
        assert watched.kinds == ["watch-stream"]
        watched.stream.close(whole=True)
        client.close()

    simulate(3, scenario, count=1)


def test_reader_that_stops_reading_is_shown_everything_later():
    """Two megabytes wait for it meanwhile, in more than one piece."""

    async def scenario(cluster):
        client = await _started(cluster)
        watched = _Watched(cluster)
        await watched.stream.open(needs_leader=False)
        slow = watched.stream.create(Wish("y/", "y0", 1, prev_kv=True, fragment=True))
        await cluster.until(lambda: slow.seen == 2, 5, "history is shown")
        watched.stream.read(go_on=False)
        for number in range(4):
            await client.put(b"y/0", b"%d" % number * 600_000)
        await cluster.until(lambda: cluster.members[0].running.core.hub.statistics().slow, 5, "the server has put it aside")
        assert slow.seen == 2
        watched.stream.read(go_on=True)
        await cluster.until(lambda: slow.seen == 6, 20, "the rest is shown")
        assert not watched.kinds
        watched.stream.close(whole=True)
        client.close()

    simulate(3, scenario, count=1)


def test_member_without_leader_is_overdue_after_its_timeouts_and_not_before():
    """Its streams that asked for a leader have ended by then."""

    async def scenario(cluster):
        cluster.start()
        await cluster.serving()
        lone = next(member for member in cluster.members if member is not cluster.leader())
        watched = _Watched(cluster)
        watched.stream = RawStream(lone, Recorder(MemorySink(watched.history), int), itertools.count().__next__, watched.findings)
        await watched.stream.open(needs_leader=True)
        watched.stream.create(Wish("y/0"))
        looked = Leaderless(lone, 1.0)
        assert not looked.is_overdue(cluster.loop.now_s) and looked.since_s is None
        for other in cluster.members:
            if other is not lone:
                cluster.loop.network.cut(other.host, lone.host)
        await cluster.until(lambda: looked.is_overdue(cluster.loop.now_s) or looked.since_s, 10, "it has no leader")
        assert not watched.stream.is_over
        await cluster.until(lambda: looked.is_overdue(cluster.loop.now_s), 10, "it is overdue")
        assert looked.lasted_s(cluster.loop.now_s) > LEADERLESS_TIMEOUTS + LEADERLESS_SLACK_S
        assert watched.stream.is_over

    simulate(3, scenario)


def test_comparison_of_equal_stores_finds_nothing_and_of_another_record_finds_it():
    """One member's table says something else of one change than the others'."""

    async def scenario(cluster):
        client = await _started(cluster, 6)
        stores = [member.running.core.store for member in cluster.members]
        await cluster.until(lambda: {store.revision for store in stores} == {7}, 5, "all have applied the same")
        findings = Findings()
        contents.compare(cluster.members, [], findings)
        assert not findings.verdict(1).anomalies
        tables = stores[1]._tables
        changed = next(key for key, _value in tables.scan(Table.KEY, b"", None) if main_of(key) == 4)
        tables.put(Table.KEY, changed, seal(changed, encode_put(b"y/0", b"another", 2, 4, 2, 0)))
        contents.compare(cluster.members, [], findings)
        assert {one.kind for one in findings.verdict(1).anomalies} == {"members-differ"}
        client.close()

    simulate(5, scenario)


def test_key_older_than_its_acknowledged_write_is_found():
    """A delete that was answered is followed by no put, and there the key is."""

    async def scenario(cluster):
        client = await _started(cluster, 2)
        gone = Operation(1, "delete", "y/0", "", 1, 0, 1, OK, 3)
        kept = Operation(1, "put", "y/1", "1", (), 0, 1, OK, 3)
        findings = Findings()
        contents.compare(cluster.members, [kept], findings)
        assert not findings.verdict(1).anomalies
        contents.compare(cluster.members, [kept, gone], findings)
        assert [one.kind for one in findings.verdict(1).anomalies] == ["stale-contents"]
        client.close()

    simulate(5, scenario, count=1)


def test_member_that_announces_changes_in_another_order_is_found():
    """Twice the same is well, also in pieces; another order of one revision is not."""
    one, other, next_one = (Event(key, revision, sub, b"%s %d" % (key, revision), False, True) for key, revision, sub in CHANGES)
    announced = Announced()
    announced.announce("m0", [one, other, next_one])
    announced.announce("m1", [one, other])
    announced.announce("m1", [next_one])
    with pytest.raises(InvariantError, match="m2 announces other changes of revision 2"):
        announced.announce("m2", [other, one, next_one])
