"""Bytes that are no HTTP, or hardly: the connection is answered and closed, and the next one is served."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.resource_api.plane import ADMIN_TOKEN
from tests.resource_api.refusals.server import TIMEOUT_S, Server, running_server

TOKEN = f"Authorization: Bearer {ADMIN_TOKEN}\r\nHost: localhost\r\n"
MAPS = "/api/v1/namespaces/default/configmaps"
NO_REQUEST = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n400 Bad Request"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Gives a request two seconds in all."""
    with running_server("--request-timeout=2s") as server:
        yield server


def exchange(server: Server, *parts: bytes, answers: int = 1, leave: bool = False) -> bytes:
    """So many answers, or everything until the connection ends; nothing for who leaves first."""
    with socket.create_connection((server.host, server.port), timeout=TIMEOUT_S) as connection:
        seen = b""
        with suppress(ConnectionResetError, BrokenPipeError):  # It answered before it had read everything.
            for part in parts:
                connection.sendall(part)
        if leave:
            return b""
        with suppress(ConnectionResetError):
            while len(complete(seen)) < answers and (data := connection.recv(65536)):
                seen += data
    return seen


def complete(seen: bytes) -> list[bytes]:
    """The answers that have come as a whole."""
    found = []
    while (end := seen.find(b"\r\n\r\n")) >= 0:
        head = seen[:end].lower()
        size = int(head.partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
        if len(seen) < end + 4 + size:
            break
        found.append(seen[: end + 4 + size])
        seen = seen[end + 4 + size :]
    return found


def is_served(server: Server) -> bool:
    """Somebody else still is."""
    return server.ask("GET", MAPS)[0] == 200


@pytest.mark.parametrize(
    "request_",
    [
        b"\x00\x01\x02\x03\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"G\xc3\x84T / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nno colon here\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: many\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),
    ],
    ids=["binary", "no_target", "version", "method", "header", "length", "two_lengths", "tls"],
)
def test_what_is_no_request_is_a_400(server: Server, request_: bytes) -> None:
    """As Go's server answers it: nothing of ours is in it, and nothing of what was sent."""
    assert exchange(server, request_) == NO_REQUEST
    assert is_served(server)


def test_headers_past_the_limit_are_refused(server: Server) -> None:
    """One line of a megabyte, and thousands of lines."""
    for head, status in ((f"X-Long: {'x' * 1_000_000}\r\n", b"431"), ("".join(f"X-{n}: {'y' * 100}\r\n" for n in range(20_000)), b"400")):
        answer = exchange(server, f"GET {MAPS} HTTP/1.1\r\n{TOKEN}{head}\r\n".encode())
        assert answer.startswith(b"HTTP/1.1 %b " % status), answer[:300]
    assert is_served(server)


@pytest.mark.parametrize(
    "start",
    [
        f"GET {MAPS} HTTP/1.1\r\n{TOKEN}X-Long: {'x' * 100_000}",
        "GET\r\n\r\n",
        f"POST {MAPS} HTTP/1.1\r\n{TOKEN}Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
    ids=["header", "no_target", "chunk"],
)
def test_client_that_still_sends_is_not_reset(server: Server, start: str) -> None:
    """A reset would take the answer from who has not read it yet: what still comes is taken and forgotten."""
    with socket.create_connection((server.host, server.port), timeout=TIMEOUT_S) as connection:
        connection.sendall(start.encode())
        answer = b""
        while data := connection.recv(65536):
            answer += data
        assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 431 ")), answer[:300]
        assert b"\r\nConnection: close\r\n" in answer
        for _ in range(3):
            connection.sendall(b"y" * 1000)
        # Nothing is reset on its way: after a reset this raises.
        assert connection.recv(1) == b""


def test_body_that_does_not_come_ends_the_request(server: Server) -> None:
    """504 after the request's time, and the connection is over: what follows would be taken for a body."""
    head = f"POST {MAPS} HTTP/1.1\r\n{TOKEN}Content-Length: 100\r\n\r\n".encode()
    answer = exchange(server, head, b'{"metadata"')
    assert answer.startswith(b"HTTP/1.1 504 "), answer
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["reason"] == "Timeout"
    assert is_served(server)


def test_body_cut_off_changes_nothing(server: Server) -> None:
    """A client that goes in the middle of its body has made nothing."""
    exchange(server, f"POST {MAPS} HTTP/1.1\r\n{TOKEN}Content-Length: 100\r\n\r\n".encode(), b'{"metadata":{"name":"cut"}}', leave=True)
    assert server.ask("GET", f"{MAPS}/cut")[0] == 404


def test_chunks_that_are_none_are_refused(server: Server) -> None:
    """A chunk's size is hexadecimal."""
    answer = exchange(server, f"POST {MAPS} HTTP/1.1\r\n{TOKEN}Transfer-Encoding: chunked\r\n\r\nzz\r\n{{}}\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 400 "), answer
    assert b"Server:" not in answer
    assert is_served(server)


def test_body_past_the_limit_is_refused_before_all_of_it_came(server: Server) -> None:
    """413, though the last chunk has not been sent."""
    chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    chunked = exchange(server, f"POST {MAPS} HTTP/1.1\r\n{TOKEN}Transfer-Encoding: chunked\r\n\r\n".encode(), *[chunk] * 3, b"1\r\n \r\n")
    assert chunked.startswith(b"HTTP/1.1 413 "), chunked[:300]
    assert is_served(server)


@pytest.mark.parametrize(
    "target", ["/api/v1/namespaces/%zz/configmaps", "/api/v1/%00", "//api//v1", "/api/v1/../../etc/passwd", "/%ff%fe", "/" + "a/" * 5000]
)
def test_odd_targets_have_an_answer(server: Server, target: str) -> None:
    """Never one of our faults."""
    answer = exchange(server, f"GET {target} HTTP/1.1\r\n{TOKEN}Connection: close\r\n\r\n".encode())
    assert answer[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 404", b"HTTP/1.1 200", b"HTTP/1.1 301"), answer[:300]


def test_requests_behind_each_other_are_answered_in_order(server: Server) -> None:
    """Pipelining: a refusal in the middle ends nothing."""
    one = f"GET {MAPS}/nobody HTTP/1.1\r\n{TOKEN}\r\n"
    two = f"POST {MAPS} HTTP/1.1\r\n{TOKEN}Content-Length: 1\r\n\r\n{{"
    last = f"GET /readyz HTTP/1.1\r\n{TOKEN}Connection: close\r\n\r\n"
    answer = exchange(server, (one + two + last).encode(), answers=3)
    assert [one[9:12] for one in complete(answer)] == [b"404", b"400", b"200"], answer
