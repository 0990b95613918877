"""The endpoints through sockets: HTTP/1.1 by aiohttp's shell and HTTP/2 by our transport, on the gRPC port."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import subprocess
import sys

import h2.connection
import h2.events
import pytest

from raftkv.rpc.http import BODY_BYTES_MAX, Http1Shell
from tests.rpc.fake_call import Bench
from tests.rpc.serving import Running


@pytest.fixture
def connection(endpoint: Running):
    found = http.client.HTTPConnection(endpoint.address, timeout=10)
    yield found
    found.close()


def ask(
    connection: http.client.HTTPConnection, method: str, target: str, body: bytes | None = None
) -> tuple[http.client.HTTPResponse, bytes]:
    connection.request(method, target, body)
    response = connection.getresponse()
    return response, response.read()


def test_health_and_version_are_answered_on_one_connection(connection):
    response, body = ask(connection, "GET", "/health")
    assert response.status == 200 and json.loads(body)["health"] == "true"
    response, body = ask(connection, "GET", "/version")
    assert response.status == 200 and "etcdserver" in json.loads(body)
    assert response.getheader("Content-Type") == "application/json"


def test_content_type_is_left_as_the_endpoint_gave_it(connection, head):
    """aiohttp would add a charset of its own, and a Server header."""
    response, body = ask(connection, "GET", "/metrics")
    assert response.getheader("Content-Type") == "text/plain; version=0.0.4; charset=utf-8"
    assert response.getheader("Content-Length") == str(len(body))
    assert response.getheader("Server") is None and response.getheader("Date")


def test_wrong_method_and_path(connection):
    response, body = ask(connection, "PUT", "/health", b"{}")
    assert (response.status, response.getheader("Allow"), body) == (405, "GET", b"Method Not Allowed\n")
    response, body = ask(connection, "GET", "/nothing?x=1")
    assert (response.status, body) == (404, b"404 page not found\n")


def test_options_are_answered_for_browsers(connection):
    """Before a page may call, its browser asks whether it may."""
    response, body = ask(connection, "OPTIONS", "/health")
    assert (response.status, body, response.getheader("Access-Control-Allow-Origin")) == (200, b"", "*")
    response, _ = ask(connection, "GET", "/health")
    assert (response.status, response.getheader("Access-Control-Allow-Origin")) == (200, "*")


def test_head_is_refused_without_a_body(connection):
    response, body = ask(connection, "HEAD", "/health")
    assert (response.status, body) == (405, b"")


def test_body_over_the_limit_is_refused(connection, head):
    response, _ = ask(connection, "POST", "/v3/kv/put", bytes(BODY_BYTES_MAX + 1))
    assert response.status == 413


def test_body_over_aiohttps_own_limit_is_taken(connection, head):
    """Its default is 1 MiB; a put through the gateway may be larger."""
    response, _ = ask(connection, "POST", "/v3/kv/put", bytes(BODY_BYTES_MAX))
    assert response.status == 404


def test_encoded_path_is_decoded(connection, head):
    assert ask(connection, "GET", "/%68ealth")[0].status == 200


def test_client_that_leaves_early_harms_nobody(endpoint, connection):
    with socket.create_connection(endpoint.address.split(":"), timeout=10) as early:
        early.sendall(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\nGET /he")
    assert ask(connection, "GET", "/health")[0].status == 200


@pytest.mark.parametrize(
    "sent", [b"GET / HTTP/1.1\r\n" + b"\x01" * 7000 + b"\r\n\r\n", b"POST /v3 HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc"]
)
def test_clients_fault_writes_no_error_into_the_log(sent, caplog):
    """Else anybody who reaches the port fills the disk, ten bytes for each of his."""

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        shell = Http1Shell(Bench().services.endpoints, loop, request_timeout_s=5.0)
        listener = await loop.create_server(shell, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*listener.sockets[0].getsockname())
        writer.write(sent)
        if sent.startswith(b"GET"):
            assert (await reader.readline()).split()[1] == b"400"
        else:
            await writer.drain()
        writer.close()
        await writer.wait_closed()
        listener.close()
        await shell.close()

    with caplog.at_level("DEBUG"):
        asyncio.run(scenario())
    assert all(record.levelname == "DEBUG" and len(record.getMessage()) < 200 and not record.exc_info for record in caplog.records)


def test_garbage_is_answered_as_a_bad_request(endpoint, head):
    with socket.create_connection(endpoint.address.split(":"), timeout=10) as odd:
        odd.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n")
        assert odd.recv(100).startswith(b"HTTP/1.0 400")


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (b"GET /hea", b""),
        (b"GET /health HTTP/1.1\r\nHost: x\r\n", b""),
        pytest.param(
            b"POST /v3 HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc",
            b"HTTP/1.1 408",
            marks=pytest.mark.slow,  # aiohttp's shutdown gives an unread body a second
        ),
    ],
    ids=["line", "headers", "body"],
)
def test_request_that_does_not_come_to_its_end_is_cut_off(sent, answer):
    """A slow or silent client must not hold a connection for ever."""

    async def scenario() -> bytes:
        loop = asyncio.get_running_loop()
        shell = Http1Shell(Bench().services.endpoints, loop, request_timeout_s=0.02)
        listener = await loop.create_server(shell, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*listener.sockets[0].getsockname())
        writer.write(sent)
        head = await reader.read(len(answer)) if answer else await reader.read()
        writer.close()
        listener.close()
        await shell.close()
        return head

    assert asyncio.run(asyncio.wait_for(scenario(), 10)) == answer


def http2_get(address: str, target: str) -> tuple[dict[str, str], bytes]:
    with socket.create_connection(address.split(":"), timeout=10) as peer:
        session = h2.connection.H2Connection()
        session.initiate_connection()
        session.send_headers(1, [(":method", "GET"), (":scheme", "http"), (":path", target), (":authority", "x")], end_stream=True)
        peer.sendall(session.data_to_send())
        head: dict[str, str] = {}
        body = b""
        while True:
            data = peer.recv(65536)
            assert data
            for event in session.receive_data(data):
                if isinstance(event, h2.events.ResponseReceived):
                    head = {_text(name): _text(value) for name, value in event.headers}
                elif isinstance(event, h2.events.DataReceived):
                    body += event.data
                    session.acknowledge_received_data(event.flow_controlled_length, 1)
                elif isinstance(event, h2.events.StreamEnded):
                    return head, body
            peer.sendall(session.data_to_send())


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def test_same_endpoints_are_served_over_http2(endpoint, head):
    fields, body = http2_get(endpoint.address, "/health?serializable=true")
    assert fields[":status"] == "200" and json.loads(body)["health"] == "true"
    fields, body = http2_get(endpoint.address, "/nothing")
    assert (fields[":status"], body) == ("404", b"404 page not found\n")


def test_metrics_over_http2_are_whole(endpoint, head):
    """More than one window of the default size."""
    fields, body = http2_get(endpoint.address, "/metrics")
    assert fields[":status"] == "200" and b"etcd_server_has_leader 1" in body


def test_transports_counts_reach_the_metrics(client, endpoint, prefix, head):
    def put_count() -> int:
        text = http2_get(endpoint.address, "/metrics")[1].decode()
        head = 'grpc_server_handled_total{grpc_code="OK",grpc_method="Put",grpc_service="etcdserverpb.KV",grpc_type="unary"} '
        ours = 'grpc_server_handled_total{grpc_type="unary",grpc_service="etcdserverpb.KV",grpc_method="Put",grpc_code="OK"} '
        return int(next(line for line in text.splitlines() if line.startswith((head, ours))).rpartition(" ")[2])

    before = put_count()
    client.put(prefix)
    assert put_count() == before + 1


def test_no_bug_was_met_in_this_run(endpoint, head):
    """Whatever the other tests did to the server, none of it may have ended in an exception of ours."""
    text = http2_get(endpoint.address, "/metrics")[1].decode()
    for boundary in ("service", "transport"):
        assert f'raftkv_internal_errors_total{{boundary="{boundary}"}} 0' in text


def test_aiohttp_is_not_imported_before_it_is_needed():
    """It costs 110 ms and 12 MB at start."""
    script = "import sys, raftkv.rpc.services; sys.exit('aiohttp' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
