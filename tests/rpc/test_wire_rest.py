"""Cluster, Maintenance, Auth and Health over the wire."""

from __future__ import annotations

import pytest

from raftkv.pb import health, rpc

CLUSTER = "/etcdserverpb.Cluster/"
MAINTENANCE = "/etcdserverpb.Maintenance/"
AUTH = "/etcdserverpb.Auth/"
HEALTH = "/grpc.health.v1.Health/"


@pytest.mark.parametrize("linearizable", [False, True])
def test_member_list_has_ids_and_urls_and_a_header_without_revision(client, linearizable):
    answer = client.call(CLUSTER + "MemberList", rpc.MemberListRequest(linearizable=linearizable), rpc.MemberListResponse)
    assert answer.header.revision == 0 and answer.header.member_id in {one.ID for one in answer.members}
    assert all(one.name and one.peerURLs and one.clientURLs for one in answer.members)
    assert [one.ID for one in answer.members] == sorted(one.ID for one in answer.members)


@pytest.mark.parametrize("urls", [[], ["127.0.0.1:1"], ["http://127.0.0.1:1/path"], ["ftp://127.0.0.1:1"]])
def test_member_add_of_no_peer_url_is_refused(client, urls):
    code, text = client.refused(CLUSTER + "MemberAdd", rpc.MemberAddRequest(peerURLs=urls).SerializeToString(), rpc.MemberAddResponse)
    assert (code, text) == ("INVALID_ARGUMENT", "etcdserver: given member URLs are invalid")


@pytest.mark.parametrize("method", ["MemberRemove", "MemberPromote"])
def test_change_of_an_unknown_member_is_not_found(client, method):
    code, text = client.refused(CLUSTER + method, rpc.MemberRemoveRequest(ID=7).SerializeToString(), rpc.MemberRemoveResponse)
    assert (code, text) == ("NOT_FOUND", "etcdserver: member not found")


def test_the_only_member_is_not_removed(client):
    member, *others = client.call(CLUSTER + "MemberList", rpc.MemberListRequest(), rpc.MemberListResponse).members
    if others:
        pytest.skip("a cluster of several: it would be removed")
    body = rpc.MemberRemoveRequest(ID=member.ID).SerializeToString()
    code, text = client.refused(CLUSTER + "MemberRemove", body, rpc.MemberRemoveResponse)
    assert (code, text) == ("UNKNOWN", "etcdserver: re-configuration failed due to not enough started members")


def test_promotion_of_a_voter_is_refused(client):
    member = client.call(CLUSTER + "MemberList", rpc.MemberListRequest(), rpc.MemberListResponse).members[0]
    body = rpc.MemberPromoteRequest(ID=member.ID).SerializeToString()
    code, text = client.refused(CLUSTER + "MemberPromote", body, rpc.MemberPromoteResponse)
    assert (code, text) == ("FAILED_PRECONDITION", "etcdserver: can only promote a learner member")


def test_status_reports_the_member(client):
    status = client.call(MAINTENANCE + "Status", rpc.StatusRequest(), rpc.StatusResponse)
    assert status.version and status.dbSize > 0 and status.leader == status.header.member_id
    assert 0 < status.raftAppliedIndex <= status.raftIndex and status.raftTerm == status.header.raft_term
    assert list(status.errors) == [] and status.header.revision == client.revision()


def test_status_has_the_newer_fields(client, head):
    status = client.call(MAINTENANCE + "Status", rpc.StatusRequest(), rpc.StatusResponse)
    assert status.version == "3.7.0" and status.storageVersion == "3.7.0" and status.dbSizeQuota == 2 << 30
    assert status.HasField("downgradeInfo") and not status.downgradeInfo.enabled


def test_alarm_shows_in_status_in_protobufs_text_form(client):
    member = client.call(MAINTENANCE + "Status", rpc.StatusRequest(), rpc.StatusResponse).header.member_id

    def alarm(action: int, kind: int) -> list[tuple[int, int]]:
        request = rpc.AlarmRequest(action=action, memberID=member, alarm=kind)
        return [(one.memberID, one.alarm) for one in client.call(MAINTENANCE + "Alarm", request, rpc.AlarmResponse).alarms]

    raised = [(member, rpc.CORRUPT)]
    assert alarm(rpc.AlarmRequest.ACTIVATE, rpc.CORRUPT) == raised
    assert alarm(rpc.AlarmRequest.GET, rpc.NONE) == raised and alarm(rpc.AlarmRequest.GET, rpc.NOSPACE) == []
    status = client.call(MAINTENANCE + "Status", rpc.StatusRequest(), rpc.StatusResponse)
    assert list(status.errors) == [f"memberID:{member} alarm:CORRUPT "]
    assert alarm(rpc.AlarmRequest.DEACTIVATE, rpc.CORRUPT) == raised
    assert alarm(rpc.AlarmRequest.DEACTIVATE, rpc.CORRUPT) == []


def test_hash_kv_is_of_a_revision_and_repeatable(client, prefix):
    revision = client.put(prefix, b"1").header.revision
    client.put(prefix, b"2")

    def hash_kv(at: int) -> rpc.HashKVResponse:
        return client.call(MAINTENANCE + "HashKV", rpc.HashKVRequest(revision=at), rpc.HashKVResponse)

    assert hash_kv(revision).hash == hash_kv(revision).hash != hash_kv(0).hash
    future = client.refused(MAINTENANCE + "HashKV", rpc.HashKVRequest(revision=revision + 9999), rpc.HashKVResponse)
    assert future == ("OUT_OF_RANGE", "etcdserver: mvcc: required revision is a future revision")
    assert client.call(MAINTENANCE + "Hash", rpc.HashRequest(), rpc.HashResponse).header.revision


def test_move_leader_and_defragment_are_answered_without_a_header(client):
    leader = client.call(MAINTENANCE + "Status", rpc.StatusRequest(), rpc.StatusResponse).leader
    moved = client.call(MAINTENANCE + "MoveLeader", rpc.MoveLeaderRequest(targetID=leader), rpc.MoveLeaderResponse)
    assert moved.ByteSize() == 0
    assert client.call(MAINTENANCE + "Defragment", rpc.DefragmentRequest(), rpc.DefragmentResponse).ByteSize() == 0
    refused = client.refused(MAINTENANCE + "MoveLeader", rpc.MoveLeaderRequest(targetID=12345), rpc.MoveLeaderResponse)
    assert refused == ("FAILED_PRECONDITION", "etcdserver: bad leader transferee")


def test_snapshot_and_downgrade_say_that_they_are_not_served(client, memory):
    stream = client.stream(MAINTENANCE + "Snapshot", rpc.SnapshotResponse)
    stream.send(rpc.SnapshotRequest())
    code, text = stream.ended()
    assert code == "UNIMPLEMENTED" and "not supported" in text
    assert client.refused(MAINTENANCE + "Downgrade", rpc.DowngradeRequest(), rpc.DowngradeResponse)[0] == "UNIMPLEMENTED"


def test_auth_is_off_and_says_so(client, head):
    status = client.call(AUTH + "AuthStatus", rpc.AuthStatusRequest(), rpc.AuthStatusResponse)
    assert not status.enabled and status.authRevision == 1 and status.header.revision == client.revision()


def test_authenticate_is_refused_while_auth_is_off(client):
    refused = client.refused(AUTH + "Authenticate", rpc.AuthenticateRequest(name="root", password="x"), rpc.AuthenticateResponse)
    assert refused == ("FAILED_PRECONDITION", "etcdserver: authentication is not enabled")


def test_disabling_auth_that_is_off_changes_nothing(client):
    assert client.call(AUTH + "AuthDisable", rpc.AuthDisableRequest(), rpc.AuthDisableResponse).header.member_id


@pytest.mark.parametrize("method", ["AuthEnable", "UserAdd", "RoleList"])
def test_users_and_roles_say_that_they_are_not_served(client, memory, method):
    code, text = client.refused(AUTH + method, b"", rpc.AuthStatusResponse)
    assert code == "UNIMPLEMENTED" and "not supported" in text


def test_barrier_error_reaches_the_client(client, memory):
    memory.on_loop(lambda: setattr(memory.member, "leader_id", 0))
    try:
        timed_out = ("UNAVAILABLE", "etcdserver: request timed out")
        assert client.refused(AUTH + "AuthStatus", b"", rpc.AuthStatusResponse) == timed_out
        linearizable = rpc.MemberListRequest(linearizable=True)
        assert client.refused(CLUSTER + "MemberList", linearizable, rpc.MemberListResponse) == timed_out
        assert client.call(CLUSTER + "MemberList", rpc.MemberListRequest(), rpc.MemberListResponse).members
        status = client.call(MAINTENANCE + "Status", rpc.StatusRequest(), rpc.StatusResponse)
        assert list(status.errors) == ["etcdserver: no leader"] and status.leader == 0
    finally:
        memory.on_loop(lambda: setattr(memory.member, "leader_id", memory.member.member_id))


def test_health_check_knows_the_empty_name_alone(client):
    serving = client.call(HEALTH + "Check", health.HealthCheckRequest(), health.HealthCheckResponse)
    assert serving.status == health.HealthCheckResponse.SERVING
    unknown = client.refused(HEALTH + "Check", health.HealthCheckRequest(service="kv"), health.HealthCheckResponse)
    assert unknown == ("NOT_FOUND", "unknown service")


def test_health_list_names_every_service(client, head):
    answer = client.call(HEALTH + "List", health.HealthListRequest(), health.HealthListResponse)
    assert {name: one.status for name, one in answer.statuses.items()} == {"": health.HealthCheckResponse.SERVING}


def test_health_watch_streams_changes(client, memory):
    watched = client.stream(HEALTH + "Watch", health.HealthCheckResponse)
    watched.send(health.HealthCheckRequest())
    watched.half_close()
    assert watched.receive().status == health.HealthCheckResponse.SERVING
    for serving, shown in ((False, health.HealthCheckResponse.NOT_SERVING), (True, health.HealthCheckResponse.SERVING)):
        memory.on_loop(lambda serving=serving: memory.services.health.set_serving(serving))
        assert watched.receive().status == shown
    watched.cancel()


def test_health_watch_of_an_unknown_name_says_so_in_band(client):
    watched = client.stream(HEALTH + "Watch", health.HealthCheckResponse)
    watched.send(health.HealthCheckRequest(service="kv"))
    watched.half_close()
    assert watched.receive().status == health.HealthCheckResponse.SERVICE_UNKNOWN
    watched.cancel()
