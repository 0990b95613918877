"""Log entries keep their bytes, and damage is noticed."""

from __future__ import annotations

import struct

import pytest
from crc32c import crc32c
from hypothesis import given, settings
from hypothesis import strategies as st

from raftkv.errors import CorruptionError
from raftkv.pb import rpc
from raftkv.state import requests
from raftkv.state.requests import ClusterVersion, LeaseExpiry, Publication, RequestKind
from tests.state.machine import KINDS

OWN = [LeaseExpiry(7, -3), Publication(1 << 63, "näme", ("http://a:1", "http://b:2")), ClusterVersion("3.7.0")]


@pytest.mark.parametrize("message", list(KINDS), ids=lambda message: message.__name__)
def test_client_request_round_trip_keeps_kind_id_and_flags(message: type) -> None:
    """A client's bytes come back decoded, under their own kind."""
    data = requests.encode(KINDS[message], (1 << 64) - 1, b"", flags=0xFFFF)
    assert requests.decode(data) == (KINDS[message], 0xFFFF, (1 << 64) - 1, message())


@pytest.mark.parametrize("request_", OWN, ids=lambda request: type(request).__name__)
def test_own_request_round_trip_is_equal(request_: requests.OwnRequest) -> None:
    assert requests.decode(requests.encode_own(request_, 9)).body == request_


def test_request_bytes_stand_in_the_entry_as_they_arrived() -> None:
    """Unknown fields of a newer client survive: the bytes are the client's, not ours."""
    raw = rpc.PutRequest(key=b"k", value=b"v").SerializeToString() + b"\xf8\x7f\x01"
    assert requests.encode(RequestKind.PUT, 1, raw)[requests.HEADER_BYTES :] == raw


def test_request_id_of_empty_entry_is_zero() -> None:
    """The entry a new leader commits first carries nothing."""
    assert requests.request_id(b"") == 0


@given(st.integers(0, (1 << 64) - 1), st.binary(max_size=20))
@settings(max_examples=50, derandomize=True)
def test_request_id_is_read_without_decoding(number: int, raw: bytes) -> None:
    assert requests.request_id(requests.encode(RequestKind.PUT, number, raw)) == number


def test_entry_with_any_flipped_bit_is_refused() -> None:
    """A member that applied a damaged entry would differ from the others."""
    data = requests.encode(RequestKind.PUT, 5, rpc.PutRequest(key=b"key", value=b"value").SerializeToString())
    for bit in range(len(data) * 8):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CorruptionError):
            requests.decode(bytes(damaged))


@pytest.mark.parametrize("size", range(1, requests.HEADER_BYTES))
def test_entry_shorter_than_header_is_refused(size: int) -> None:
    with pytest.raises(CorruptionError, match="shorter"):
        requests.decode(b"\1" * size)


def sealed(kind: int, layout: int, raw: bytes) -> bytes:
    head = struct.pack("<BBHQ", kind, layout, 0, 1)
    return head + struct.pack("<I", crc32c(raw, crc32c(head))) + raw


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (sealed(RequestKind.PUT, 2, b""), "format 2"),
        (sealed(200, 1, b""), "unknown kind 200"),
        (sealed(RequestKind.PUT, 1, b"\xff"), "cannot be read"),
        (sealed(RequestKind.LEASE_EXPIRE, 1, b"\xc1"), "cannot be read"),
        (sealed(RequestKind.LEASE_EXPIRE, 1, b"\x90"), "cannot be read"),
    ],
)
def test_entry_this_build_cannot_read_stops_the_member(data: bytes, reason: str) -> None:
    """Skipping what others apply would split the members' states, so it is an error that ends this one."""
    with pytest.raises(CorruptionError, match=reason):
        requests.decode(data)
