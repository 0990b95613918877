"""The watch stream protocol, rule by rule. Silence is proved by what comes next, never by waiting."""

from __future__ import annotations

import pytest

from raftkv.pb import kv, rpc
from tests.rpc.client import Client

PUT, DELETE = kv.Event.PUT, kv.Event.DELETE


def test_create_is_answered_without_events_and_with_the_current_revision(client, prefix):
    start = client.put(prefix + b"k", b"1").header.revision
    with client.watch() as watch:
        created = watch.create(key=prefix + b"k", start_revision=start)
        assert created.created and not created.canceled and created.watch_id == 0 and not created.events
        assert created.header.revision == client.revision() and created.header.member_id
        assert watch.events(1)[0].kv.value == b"1"


def test_server_picks_ids_in_order_and_never_again(client, prefix):
    """Ids of one stream: 0, 1, 2 …; a cancelled one is not reused, one the client took is skipped."""
    with client.watch() as watch:
        assert watch.create(key=prefix, watch_id=2).watch_id == 2
        assert [watch.create(key=prefix).watch_id for _ in range(3)] == [0, 1, 3]
        watch.cancel(3)
        assert watch.next().canceled
        assert watch.create(key=prefix).watch_id == 4
    with client.watch() as other:
        assert other.create(key=prefix).watch_id == 0


def test_id_of_the_clients_choice_is_used_as_it_is(client, prefix):
    with client.watch() as watch:
        assert watch.create(key=prefix + b"k", watch_id=77).watch_id == 77
        assert watch.create(key=prefix + b"k", watch_id=-5).watch_id == -5
        client.put(prefix + b"k")
        assert {watch.next().watch_id, watch.next().watch_id} == {77, -5}


def test_duplicate_id_is_refused_in_band_and_the_stream_lives(client, prefix):
    with client.watch() as watch:
        watch.create(key=prefix + b"k", watch_id=7)
        refused = watch.create(key=prefix + b"k", watch_id=7)
        assert (refused.watch_id, refused.created, refused.canceled) == (-1, True, True)
        assert refused.cancel_reason == "mvcc: duplicate watch ID provided on the WatchStream"
        client.put(prefix + b"k", b"still watched")
        assert watch.next().watch_id == 7


@pytest.mark.parametrize("end", [b"", b"a"], ids=["equal", "below"])
def test_empty_range_is_refused_in_band(client, prefix, end):
    with client.watch() as watch:
        refused = watch.create(key=prefix + b"b", range_end=prefix + (end or b"b"))
        assert (refused.watch_id, refused.created, refused.canceled) == (-1, True, True)
        assert refused.cancel_reason == "mvcc: watcher range is empty"
        assert watch.create(key=prefix).watch_id == 0


def test_refused_create_uses_up_no_id(client, prefix):
    with client.watch() as watch:
        watch.create(key=prefix + b"b", range_end=prefix + b"a")
        assert watch.create(key=prefix).watch_id == 0


def test_history_then_live_without_gap_or_duplicate(client, prefix):
    start = client.put(prefix + b"k", b"0").header.revision
    for number in range(1, 20):
        client.put(prefix + b"k", b"%d" % number)
    with client.watch() as watch:
        watch.create(key=prefix + b"k", start_revision=start)
        for number in range(20, 40):
            client.put(prefix + b"k", b"%d" % number)
        events = watch.events(40)
        assert [int(one.kv.value) for one in events] == list(range(40))
        assert [one.kv.mod_revision for one in events] == list(range(start, start + 40))


def test_start_in_the_future_is_silent_until_then(client, prefix):
    with client.watch() as watch:
        now = client.revision()
        assert watch.create(key=prefix + b"k", start_revision=now + 3).created
        for number in range(1, 4):
            client.put(prefix + b"k", b"%d" % number)
        assert watch.events(1)[0].kv.value == b"3"


def test_negative_start_is_refused_in_band_as_compacted(client, prefix, head):
    with client.watch() as watch:
        refused = watch.create(key=prefix, start_revision=-1)
        assert (refused.watch_id, refused.created, refused.canceled) == (-1, True, True)
        assert refused.cancel_reason == "etcdserver: mvcc: required revision has been compacted"


def test_start_below_the_compaction_is_created_then_cancelled(client, prefix):
    """The cancellation carries the compact revision, no reason, and a header without revision."""
    old = client.put(prefix + b"k", b"1").header.revision
    now = client.put(prefix + b"k", b"2").header.revision
    client.compact(now)
    with client.watch() as watch:
        created = watch.create(key=prefix + b"k", start_revision=old)
        assert created.created and not created.canceled and created.watch_id == 0
        cancelled = watch.next()
        assert cancelled.canceled and not cancelled.created and cancelled.watch_id == 0
        assert cancelled.compact_revision == now and cancelled.cancel_reason == "" and cancelled.header.revision == 0
        assert cancelled.header.member_id


def test_start_at_the_compaction_is_served(client, prefix):
    client.put(prefix + b"k", b"1")
    now = client.put(prefix + b"k", b"2").header.revision
    client.compact(now)
    with client.watch() as watch:
        watch.create(key=prefix + b"k", start_revision=now)
        assert watch.events(1)[0].kv.value == b"2"


def test_id_lost_to_a_compaction_stays_taken_until_it_is_cancelled(client, prefix):
    old = client.put(prefix + b"k", b"1").header.revision
    client.compact(client.put(prefix + b"k", b"2").header.revision)
    with client.watch() as watch:
        watch.create(key=prefix + b"k", start_revision=old, watch_id=5)
        assert watch.next().compact_revision
        assert watch.create(key=prefix + b"k", watch_id=5).cancel_reason == "mvcc: duplicate watch ID provided on the WatchStream"
        watch.cancel(5)
        cancelled = watch.next()
        assert (cancelled.watch_id, cancelled.canceled, cancelled.compact_revision) == (5, True, 0)
        assert watch.create(key=prefix + b"k", watch_id=5).watch_id == 5


def test_cancel_is_confirmed_and_nothing_follows_for_the_id(client, prefix):
    with client.watch() as watch:
        watch.create(key=prefix + b"k")
        watch.create(key=prefix + b"k")
        watch.cancel(0)
        cancelled = watch.next()
        assert (cancelled.watch_id, cancelled.canceled, cancelled.cancel_reason) == (0, True, "")
        assert cancelled.header.revision
        client.put(prefix + b"k", b"1")
        client.put(prefix + b"k", b"2")
        assert [(one.watch_id, one.events[0].kv.value) for one in (watch.next(), watch.next())] == [(1, b"1"), (1, b"2")]


def test_cancel_of_an_unknown_id_and_an_empty_request_are_ignored(client, prefix):
    with client.watch() as watch:
        watch.cancel(99)
        watch.stream.send(rpc.WatchRequest())
        assert watch.create(key=prefix).created


def test_progress_request_answers_for_the_stream(client, prefix):
    """watch_id -1, no events, and never before an event at or below its revision."""
    with client.watch() as watch:
        watch.create(key=prefix + b"k")
        revision = client.put(prefix + b"k", b"1").header.revision
        assert watch.events(1)
        watch.request_progress()
        progress = watch.next()
        assert (progress.watch_id, len(progress.events), progress.created, progress.canceled) == (-1, 0, False, False)
        assert progress.header.revision >= revision


def test_progress_request_without_watchers_is_dropped(client, prefix, head):
    with client.watch() as watch:
        watch.request_progress()
        assert watch.create(key=prefix).created


def test_half_close_keeps_the_stream_alive(client, prefix):
    with client.watch() as watch:
        watch.create(key=prefix + b"k")
        watch.stream.half_close()
        client.put(prefix + b"k", b"1")
        assert watch.events(1)[0].kv.value == b"1"
        client.put(prefix + b"k", b"2")
        assert watch.events(1)[0].kv.value == b"2"


def test_delete_event_has_key_and_revision_only(client, prefix):
    with client.watch() as watch:
        watch.create(key=prefix + b"k", prev_kv=True)
        client.put(prefix + b"k", b"1")
        revision = client.delete(prefix + b"k").header.revision
        created, deleted = watch.events(2)
        assert created.type == PUT and not created.HasField("prev_kv")
        assert deleted.type == DELETE and deleted.kv == kv.KeyValue(key=prefix + b"k", mod_revision=revision)
        assert deleted.prev_kv.value == b"1"


def test_filters_drop_what_they_name(client, prefix):
    with client.watch() as watch:
        watch.create(key=prefix + b"k", filters=[rpc.WatchCreateRequest.NOPUT])
        watch.create(key=prefix + b"k", filters=[rpc.WatchCreateRequest.NODELETE])
        watch.create(key=prefix + b"k", filters=[rpc.WatchCreateRequest.NOPUT, rpc.WatchCreateRequest.NODELETE])
        client.put(prefix + b"k")
        client.delete(prefix + b"k")
        seen = [watch.next(), watch.next()]
        assert {(one.watch_id, one.events[0].type) for one in seen} == {(1, PUT), (0, DELETE)}


def test_one_revision_is_one_response(client, prefix):
    """All events of a transaction for one watcher arrive together, in the order of its operations."""
    puts = [rpc.RequestOp(request_put=rpc.PutRequest(key=prefix + name)) for name in (b"b", b"a", b"c")]
    with client.watch() as watch:
        watch.create(key=prefix, range_end=prefix + b"\xff")
        revision = client.txn(success=puts).header.revision
        response = watch.next()
        assert [one.kv.key[-1:] for one in response.events] == [b"b", b"a", b"c"]
        assert {one.kv.mod_revision for one in response.events} == {revision} and response.header.revision >= revision


def test_range_end_zero_is_to_the_end_and_an_empty_key_is_zero(client, prefix):
    with client.watch() as watch:
        watch.create(key=prefix, range_end=b"\0")
        watch.create(range_end=b"\0")
        watch.create()
        client.put(prefix + b"k", b"1")
        assert {watch.next().watch_id, watch.next().watch_id} == {0, 1}
        watch.cancel(0)
        assert watch.next().canceled
        client.put(b"\0", b"2")
        assert {watch.next().watch_id, watch.next().watch_id} == {1, 2}
        client.delete(b"\0")


@pytest.mark.slow
def test_large_response_is_fragmented_when_asked_for(client, prefix):
    """Every piece but the last says so, none reaches the limit, and nothing is lost; without asking it is one message. One revision
    can be that large because the previous values come along."""
    puts = [rpc.RequestOp(request_put=rpc.PutRequest(key=prefix + b"%02d" % number, value=bytes(40_000))) for number in range(35)]
    client.txn(success=puts)
    start = client.txn(success=puts).header.revision
    asked = {"key": prefix, "range_end": prefix + b"\xff", "start_revision": start, "prev_kv": True}
    with client.watch() as watch:
        watch.create(**asked, fragment=True)
        pieces = [watch.next()]
        while pieces[-1].fragment:
            pieces.append(watch.next())
        assert len(pieces) == 2 and all(one.ByteSize() < 2_097_152 for one in pieces)
        assert [one.kv.key[-2:] for piece in pieces for one in piece.events] == [b"%02d" % number for number in range(35)]
    with client.watch() as watch:
        watch.create(**asked)
        whole = watch.next()
        assert len(whole.events) == 35 and not whole.fragment
    client.delete(prefix, range_end=prefix + b"\xff")


def test_malformed_request_ends_the_stream(client, head):
    with client.watch() as watch:
        watch.stream.send(b"\xff\xff")
        code, text = watch.stream.ended()
        assert code == "INTERNAL" and text.startswith("grpc: failed to unmarshal the received message")


def test_stream_with_hasleader_ends_when_the_leader_is_lost(client, prefix, memory):
    careless = client.watch()
    careless.create(key=prefix)
    with client.watch(hasleader="true") as watch, careless:
        watch.create(key=prefix)
        memory.on_loop(lambda: setattr(memory.member, "leader_id", 0))
        try:
            assert watch.stream.ended() == ("UNAVAILABLE", "etcdserver: no leader")
            with client.watch(hasleader="true") as late:
                assert late.stream.ended() == ("UNAVAILABLE", "etcdserver: no leader")
        finally:
            memory.on_loop(lambda: setattr(memory.member, "leader_id", memory.member.member_id))
        client.put(prefix, b"1")
        assert careless.events(1)


def test_cancelled_stream_leaves_no_watcher_behind(client, prefix, memory):
    before = memory.on_loop(lambda: len(memory.member.watch_streams))
    with client.watch() as watch:
        watch.create(key=prefix)
        assert memory.on_loop(lambda: len(memory.member.watch_streams)) == before + 1
    for _ in range(1000):
        client.revision()
        if memory.on_loop(lambda: len(memory.member.watch_streams)) <= before:
            break
    else:
        raise AssertionError("the stream is still known")


def test_watcher_that_stops_reading_misses_nothing_when_it_reads_again(endpoint, client, prefix):
    """Its windows fill, the hub leaves it behind, and it catches up from the store. Nothing is dropped or doubled."""
    with Client(endpoint.address) as slow, slow.watch() as watch:
        watch.create(key=prefix + b"k")
        for number in range(300):
            client.put(prefix + b"k", b"%d " % number + bytes(10_000))
        assert [int(one.kv.value.split()[0]) for one in watch.events(300)] == list(range(300))
        client.put(prefix + b"k", b"live")
        assert watch.events(1)[0].kv.value == b"live"
    client.delete(prefix + b"k")
