"""KV over the wire: what a client sees of the service, whatever stands behind it."""

from __future__ import annotations

from raftkv.pb import rpc

KV = "/etcdserverpb.KV/"


def test_put_answers_revision_and_previous_value(client, prefix):
    """A put makes exactly one revision; prev_kv is absent for a new key."""
    first = client.put(prefix + b"k", b"1", prev_kv=True)
    second = client.put(prefix + b"k", b"2", prev_kv=True)
    assert not first.HasField("prev_kv")
    assert second.header.revision == first.header.revision + 1
    assert second.prev_kv.value == b"1" and second.prev_kv.version == 1
    assert first.header.cluster_id and first.header.member_id and first.header.raft_term


def test_range_header_has_the_current_revision_even_for_old_reads(client, prefix):
    old = client.put(prefix + b"k", b"1").header.revision
    new = client.put(prefix + b"k", b"2").header.revision
    answer = client.range(prefix + b"k", revision=old)
    assert answer.kvs[0].value == b"1" and answer.header.revision == new


def test_range_counts_all_and_says_more(client, prefix):
    for name in (b"a", b"b", b"c"):
        client.put(prefix + name, name)
    answer = client.range(prefix, range_end=prefix + b"\xff", limit=2)
    assert [one.value for one in answer.kvs] == [b"a", b"b"] and answer.count == 3 and answer.more


def test_delete_of_nothing_makes_no_revision(client, prefix):
    before = client.revision()
    answer = client.delete(prefix + b"none")
    assert (answer.deleted, answer.header.revision) == (0, before)


def test_delete_range_returns_previous_values_in_key_order(client, prefix):
    for name in (b"b", b"a"):
        client.put(prefix + name, name)
    answer = client.delete(prefix, range_end=prefix + b"\xff", prev_kv=True)
    assert answer.deleted == 2 and [one.value for one in answer.prev_kvs] == [b"a", b"b"]


def test_txn_takes_the_branch_its_compares_choose(client, prefix):
    key = prefix + b"k"
    absent = rpc.Compare(key=key, target=rpc.Compare.VERSION, result=rpc.Compare.EQUAL, version=0)
    put = rpc.RequestOp(request_put=rpc.PutRequest(key=key, value=b"1"))
    get = rpc.RequestOp(request_range=rpc.RangeRequest(key=key))
    first = client.txn(compare=[absent], success=[put], failure=[get])
    second = client.txn(compare=[absent], success=[put], failure=[get])
    assert first.succeeded and first.responses[0].response_put.header.revision == first.header.revision
    assert not second.succeeded and second.responses[0].response_range.kvs[0].value == b"1"


def test_requests_are_refused_with_etcds_codes_and_texts(client, prefix):
    """Clients compare the exact texts."""
    key = prefix + b"k"
    future = client.revision() + 1000
    for method, request, response, code, text in (
        ("Put", rpc.PutRequest(), rpc.PutResponse, "INVALID_ARGUMENT", "key is not provided"),
        ("Range", rpc.RangeRequest(), rpc.RangeResponse, "INVALID_ARGUMENT", "key is not provided"),
        ("DeleteRange", rpc.DeleteRangeRequest(), rpc.DeleteRangeResponse, "INVALID_ARGUMENT", "key is not provided"),
        ("Put", rpc.PutRequest(key=key, ignore_value=True), rpc.PutResponse, "INVALID_ARGUMENT", "key not found"),
        ("Put", rpc.PutRequest(key=key, value=b"v", ignore_value=True), rpc.PutResponse, "INVALID_ARGUMENT", "value is provided"),
        ("Put", rpc.PutRequest(key=key, lease=9, ignore_lease=True), rpc.PutResponse, "INVALID_ARGUMENT", "lease is provided"),
        ("Put", rpc.PutRequest(key=key, lease=-9), rpc.PutResponse, "NOT_FOUND", "requested lease not found"),
        (
            "Range",
            rpc.RangeRequest(key=key, revision=future),
            rpc.RangeResponse,
            "OUT_OF_RANGE",
            "mvcc: required revision is a future revision",
        ),
        ("Txn", rpc.TxnRequest(success=[rpc.RequestOp()]), rpc.TxnResponse, "INVALID_ARGUMENT", "key not found"),
    ):
        assert client.refused(KV + method, request, response) == (code, f"etcdserver: {text}"), request


def test_compact_forbids_older_reads(client, prefix):
    old = client.put(prefix + b"k", b"1").header.revision
    now = client.put(prefix + b"k", b"2").header.revision
    client.compact(now)
    refused = ("OUT_OF_RANGE", "etcdserver: mvcc: required revision has been compacted")
    assert client.refused(KV + "Range", rpc.RangeRequest(key=prefix + b"k", revision=old), rpc.RangeResponse) == refused
    assert client.refused(KV + "Compact", rpc.CompactionRequest(revision=old), rpc.CompactionResponse) == refused
    assert client.range(prefix + b"k", revision=now).kvs[0].value == b"2"


def test_request_over_the_limits_is_refused(client, prefix):
    """Two limits: what may enter the log, and what gRPC takes at all."""
    assert client.refused(KV + "Put", rpc.PutRequest(key=prefix, value=bytes(1_572_900)), rpc.PutResponse) == (
        "INVALID_ARGUMENT",
        "etcdserver: request is too large",
    )
    code, text = client.refused(KV + "Put", bytes(2_097_153), rpc.PutResponse)
    assert (code, text) == ("RESOURCE_EXHAUSTED", "grpc: received message larger than max (2097153 vs. 2097152)")


def test_malformed_request_is_internal(client):
    code, text = client.refused(KV + "Put", b"\xff\xff\xff", rpc.PutResponse)
    assert code == "INTERNAL" and "grpc: error unmarshalling request" in text


def test_unknown_method_and_service_are_unimplemented(client):
    assert client.refused(KV + "Nothing", b"", rpc.PutResponse) == (
        "UNIMPLEMENTED",
        "unknown method Nothing for service etcdserverpb.KV",
    )
    assert client.refused("/no.Such/Thing", b"", rpc.PutResponse) == ("UNIMPLEMENTED", "unknown service no.Such")


def test_unary_with_hasleader_passes_with_a_leader(client, prefix):
    request = rpc.PutRequest(key=prefix + b"k")
    assert client.call(KV + "Put", request, rpc.PutResponse, hasleader="true", client_api_version="3.7.0").header.revision


def test_range_stream_is_the_range_in_chunks(client, prefix, head):
    puts = [rpc.RequestOp(request_put=rpc.PutRequest(key=prefix + b"%03d" % number, value=b"v")) for number in range(100)]
    client.txn(success=puts)
    stream = client.stream(KV + "RangeStream", rpc.RangeStreamResponse)
    stream.send(rpc.RangeRequest(key=prefix, range_end=prefix + b"\xff"))
    stream.half_close()
    found = []
    while not found or not found[-1].HasField("header"):
        found.append(stream.receive().range_response)
    assert stream.ended() == ("OK", "")
    assert [one.key[-3:] for chunk in found for one in chunk.kvs] == [b"%03d" % number for number in range(100)]
    assert found[-1].count == 100 and not found[-1].more and len(found) > 1
