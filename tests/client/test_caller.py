"""One logical call over several servers: failover, waits, deadline, token."""

from __future__ import annotations

import pytest

from raftkv import errors
from raftkv.client import AsyncClient, Credentials
from raftkv.client.caller import AUTHENTICATE
from raftkv.pb import rpc
from raftkv.transport.client import RpcError
from raftkv.transport.grpc_wire import Code
from tests.client.scripted import ScriptedCluster

PUT_OK = rpc.PutResponse(header=rpc.ResponseHeader(cluster_id=1, revision=7)).SerializeToString()
RANGE_OK = rpc.RangeResponse(header=rpc.ResponseHeader(cluster_id=1, revision=7)).SerializeToString()
TOKEN = rpc.AuthenticateResponse(token="secret").SerializeToString()
LOST = RpcError(Code.UNAVAILABLE, "connection lost")
STALE = RpcError(Code.UNAUTHENTICATED, errors.InvalidAuthTokenError.text)


def test_write_that_was_not_sent_goes_to_the_next_endpoint_at_once():
    """A refused connection did nothing; the first round costs no wait."""
    cluster = ScriptedCluster(a=[], b=[], c=[PUT_OK])
    result = cluster.run(cluster.client().put("k", "v"))
    assert result.header.revision == 7
    assert cluster.endpoints_asked == ["a", "b", "c"]
    assert cluster.elapsed_s() == 0


def test_client_stays_with_the_endpoint_that_answered():
    """Only a failure moves the turn on."""
    cluster = ScriptedCluster(a=[], b=[PUT_OK, PUT_OK])
    client = cluster.client()

    async def body() -> None:
        await client.put("k", "v")
        await client.put("k", "v")

    cluster.run(body())
    assert cluster.endpoints_asked == ["a", "b", "b"]


def test_write_that_was_sent_and_lost_is_not_repeated():
    """It may have happened: a second copy could undo what came between."""
    cluster = ScriptedCluster(a=[LOST], b=[PUT_OK])
    with pytest.raises(errors.IndeterminateError, match="connection lost"):
        cluster.run(cluster.client().put("k", "v"))
    assert cluster.endpoints_asked == ["a"]


def test_read_that_was_lost_is_repeated_elsewhere():
    """Reading twice harms nobody."""
    cluster = ScriptedCluster(a=[LOST], b=[RANGE_OK])
    assert cluster.run(cluster.client().get("k")) is None
    assert cluster.endpoints_asked == ["a", "b"]


def test_read_only_txn_is_repeated_and_a_writing_one_is_not():
    """What counts is whether a branch writes, not the call's name."""
    ok = rpc.TxnResponse(header=rpc.ResponseHeader(cluster_id=1), succeeded=True).SerializeToString()
    from raftkv.client import get, put

    cluster = ScriptedCluster(a=[LOST], b=[ok])
    assert cluster.run(cluster.client().txn().then(get("k")).commit()).succeeded
    cluster = ScriptedCluster(a=[LOST], b=[ok])
    with pytest.raises(errors.IndeterminateError):
        cluster.run(cluster.client().txn().then(get("k")).else_(put("k", "v")).commit())


def test_call_without_any_time_sends_nothing():
    """Go's expired context: `--command-timeout=0` must not write and then say that it did not."""
    cluster = ScriptedCluster(a=[PUT_OK])
    with pytest.raises(errors.UnavailableError, match="context deadline exceeded"):
        cluster.run(cluster.client(timeout_s=0.0).put("k", "v"))
    assert not cluster.asked


def test_rounds_of_failures_wait_longer_and_longer_until_the_deadline():
    """The deadline covers all attempts; nothing was sent, so the error says that nothing happened."""
    cluster = ScriptedCluster(a=[], b=[])
    with pytest.raises(errors.UnavailableError, match="context deadline exceeded") as caught:
        cluster.run(cluster.client(timeout_s=1.0).put("k", "v"))
    assert cluster.elapsed_s() == pytest.approx(1.0)
    assert len(cluster.asked) == 12  # waits of 25, 50, 100, 200, 400 ms between six rounds, and the rest of a second
    assert "connection refused" in caught.value.__notes__[0]


def test_silent_server_ends_a_write_at_the_deadline_as_indeterminate():
    """The request was sent; that no answer came says nothing."""
    cluster = ScriptedCluster(a=[60.0], b=[PUT_OK])
    with pytest.raises(errors.DeadlineExceededError, match="^context deadline exceeded"):
        cluster.run(cluster.client(timeout_s=2.0).put("k", "v"))
    assert cluster.elapsed_s() == pytest.approx(2.0)
    assert cluster.endpoints_asked == ["a"]


def test_refusal_is_raised_at_once_by_its_class():
    """No retry can help."""
    cluster = ScriptedCluster(a=[RpcError(Code.NOT_FOUND, errors.LeaseNotFoundError.text)], b=[PUT_OK])
    with pytest.raises(errors.LeaseNotFoundError):
        cluster.run(cluster.client().put("k", "v", lease=5))
    assert cluster.endpoints_asked == ["a"]


def test_call_for_one_endpoint_never_goes_to_another():
    """A member's status is that member's."""
    cluster = ScriptedCluster(a=[rpc.StatusResponse(version="x").SerializeToString()], b=[])
    client = cluster.client(timeout_s=0.2)
    with pytest.raises(errors.UnavailableError):
        cluster.run(client.maintenance.status(client.endpoints[1]))
    assert set(cluster.endpoints_asked) == {"b"}


def test_calls_carry_what_the_client_requires():
    """`hasleader` makes a partitioned member refuse at once."""
    cluster = ScriptedCluster(a=[RANGE_OK])
    cluster.run(cluster.client().get("k"))
    assert cluster.asked[0][2] == (("hasleader", "true"),)
    cluster = ScriptedCluster(a=[RANGE_OK])
    cluster.run(cluster.client(require_leader=False, token="t").get("k"))
    assert cluster.asked[0][2] == (("token", "t"),)


def test_token_is_bought_once_and_again_when_it_is_refused():
    """A refused token proves that nothing was proposed, so even a write is sent again, once."""
    cluster = ScriptedCluster(a=[TOKEN, PUT_OK, STALE, TOKEN, PUT_OK, STALE, TOKEN, STALE])
    client = cluster.client(credentials=Credentials("u", "p"))

    async def body() -> None:
        await client.put("k", "v")
        await client.put("k", "v")
        with pytest.raises(errors.InvalidAuthTokenError):
            await client.put("k", "v")

    cluster.run(body())
    paths = [path == AUTHENTICATE.path for _, path, _ in cluster.asked]
    assert paths == [True, False, False, True, False, False, True, False]
    assert ("token", "secret") in cluster.asked[1][2]


def test_credentials_are_not_used_where_authentication_is_off():
    """etcdctl --user works against such a cluster, too."""
    cluster = ScriptedCluster(a=[RpcError(Code.FAILED_PRECONDITION, errors.AuthNotEnabledError.text), PUT_OK])
    assert cluster.run(cluster.client(credentials=Credentials("u", "p")).put("k", "v")).header.revision == 7


def test_client_without_endpoints_is_refused():
    """There is nobody to talk to."""
    with pytest.raises(errors.RequestError, match="no available endpoints"):
        AsyncClient([])


def test_closed_client_closes_its_links_and_calls_nobody():
    """aclose is idempotent, and final."""
    cluster = ScriptedCluster(a=[PUT_OK, PUT_OK])
    client = cluster.client()

    async def body() -> None:
        async with client:
            await client.put("k", "v")
        await client.aclose()
        with pytest.raises(errors.RequestError, match="closed"):
            await client.put("k", "v")

    cluster.run(body())
    assert cluster.closed == ["a"]
