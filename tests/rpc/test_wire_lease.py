"""Leases over the wire."""

from __future__ import annotations

from raftkv.pb import rpc

LEASE = "/etcdserverpb.Lease/"
KEEP_ALIVE = LEASE + "LeaseKeepAlive"


def ttl_of(client, lease_id: int, keys: bool = False) -> rpc.LeaseTimeToLiveResponse:
    return client.call(LEASE + "LeaseTimeToLive", rpc.LeaseTimeToLiveRequest(ID=lease_id, keys=keys), rpc.LeaseTimeToLiveResponse)


def revoke(client, lease_id: int) -> rpc.LeaseRevokeResponse:
    return client.call(LEASE + "LeaseRevoke", rpc.LeaseRevokeRequest(ID=lease_id), rpc.LeaseRevokeResponse)


def keep_alive(client, **metadata: str):
    return client.stream(KEEP_ALIVE, rpc.LeaseKeepAliveResponse, **metadata)


def ask(stream, *lease_ids: int) -> None:
    stream.send(*(rpc.LeaseKeepAliveRequest(ID=lease_id) for lease_id in lease_ids))


def test_grant_picks_an_id_or_takes_the_clients(client):
    picked = client.grant(60)
    assert picked.ID > 0 and picked.TTL == 60 and picked.error == "" and picked.header.revision
    assert client.grant(60, 4711).ID == 4711
    refused = client.refused(LEASE + "LeaseGrant", rpc.LeaseGrantRequest(ID=4711, TTL=60), rpc.LeaseGrantResponse)
    assert refused == ("FAILED_PRECONDITION", "etcdserver: lease already exists")
    revoke(client, 4711)
    revoke(client, picked.ID)


def test_grant_raises_a_ttl_that_is_too_short_and_refuses_one_that_is_too_long(client):
    short = client.grant(-3)
    assert short.TTL >= 2
    revoke(client, short.ID)
    refused = client.refused(LEASE + "LeaseGrant", rpc.LeaseGrantRequest(TTL=9_000_000_001), rpc.LeaseGrantResponse)
    assert refused == ("OUT_OF_RANGE", "etcdserver: too large lease TTL")


def test_revoke_deletes_the_keys_in_one_revision(client, prefix):
    lease = client.grant(60).ID
    for name in (b"b", b"a"):
        client.put(prefix + name, lease=lease)
    before = client.revision()
    assert revoke(client, lease).header.revision == before + 1
    assert client.range(prefix, range_end=prefix + b"\xff").count == 0
    refused = client.refused(LEASE + "LeaseRevoke", rpc.LeaseRevokeRequest(ID=lease), rpc.LeaseRevokeResponse)
    assert refused == ("NOT_FOUND", "etcdserver: requested lease not found")


def test_time_to_live_of_an_unknown_lease_is_a_success_with_minus_one(client):
    answer = ttl_of(client, 99_999, keys=True)
    assert (answer.ID, answer.TTL, answer.grantedTTL, list(answer.keys)) == (99_999, -1, 0, [])
    assert answer.header.revision


def test_time_to_live_lists_keys_when_asked(client, prefix):
    lease = client.grant(100).ID
    client.put(prefix + b"k", lease=lease)
    known = ttl_of(client, lease)
    assert known.grantedTTL == 100 and 98 <= known.TTL <= 100 and not known.keys
    assert list(ttl_of(client, lease, keys=True).keys) == [prefix + b"k"]
    revoke(client, lease)


def test_leases_are_listed(client):
    granted = {client.grant(ttl).ID for ttl in (100, 50)}
    answer = client.call(LEASE + "LeaseLeases", rpc.LeaseLeasesRequest(), rpc.LeaseLeasesResponse)
    assert granted <= {one.ID for one in answer.leases} and answer.header.revision
    for lease in granted:
        revoke(client, lease)


def test_keep_alive_answers_in_the_order_of_its_requests(client):
    first, second = client.grant(60).ID, client.grant(30).ID
    stream = keep_alive(client)
    ask(stream, first, second, first, second)
    answers = [stream.receive() for _ in range(4)]
    assert [(one.ID, one.TTL) for one in answers] == [(first, 60), (second, 30)] * 2
    assert all(one.header.revision and one.header.member_id for one in answers)
    stream.cancel()


def test_keep_alive_of_an_unknown_lease_is_ttl_zero_on_an_open_stream(client):
    lease = client.grant(60).ID
    stream = keep_alive(client)
    ask(stream, 99_999, lease)
    assert (stream.receive().TTL, stream.receive().TTL) == (0, 60)
    stream.cancel()


def test_keep_alive_ends_well_after_half_close_and_its_answers(client):
    lease = client.grant(60).ID
    stream = keep_alive(client)
    ask(stream, lease, 99_999, lease)
    stream.half_close()
    assert [stream.receive().TTL for _ in range(3)] == [60, 0, 60]
    assert stream.ended() == ("OK", "")


def test_keep_alive_half_closed_at_once_ends_well(client):
    stream = keep_alive(client)
    stream.half_close()
    assert stream.ended() == ("OK", "")


def test_keep_alive_without_leader_ends_unavailable(client, memory):
    no_leader = ("UNAVAILABLE", "etcdserver: no leader")
    memory.on_loop(lambda: setattr(memory.member, "leader_id", 0))
    try:
        stream = keep_alive(client)
        ask(stream, 1)
        assert stream.ended() == no_leader
        assert client.refused(LEASE + "LeaseTimeToLive", rpc.LeaseTimeToLiveRequest(ID=1), rpc.LeaseTimeToLiveResponse) == no_leader
    finally:
        memory.on_loop(lambda: setattr(memory.member, "leader_id", memory.member.member_id))


def test_malformed_keep_alive_ends_the_stream(client):
    stream = keep_alive(client)
    stream.send(b"\xff\xff")
    assert stream.ended()[0] == "INTERNAL"
