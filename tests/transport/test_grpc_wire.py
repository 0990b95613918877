"""gRPC's bytes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raftkv.transport import grpc_wire
from raftkv.transport.grpc_wire import Code, MessageFault, MessageReader
from tests.transport.pair import message


@given(st.lists(st.binary(max_size=40), max_size=6), st.lists(st.integers(1, 30), min_size=1, max_size=20))
@settings(max_examples=100, derandomize=True, deadline=None)
def test_reader_any_cut_gives_the_same_messages(bodies: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(map(message, bodies))
    reader, found, at, turn = MessageReader(100), [], 0, 0
    while at < len(stream):
        size = cuts[turn % len(cuts)]
        found += reader.feed(stream[at : at + size])
        at, turn = at + size, turn + 1
    assert found == bodies and reader.held_bytes == 0


def test_reader_oversized_message_is_refused_before_it_is_held() -> None:
    """etcd's clients match this text."""
    reader = MessageReader(2_097_152)
    with pytest.raises(MessageFault) as caught:
        reader.feed(b"\0" + (2_097_162).to_bytes(4, "big"))
    assert caught.value.code == Code.RESOURCE_EXHAUSTED
    assert str(caught.value) == "grpc: received message larger than max (2097162 vs. 2097152)"


def test_reader_compressed_message_is_refused() -> None:
    with pytest.raises(MessageFault) as caught:
        MessageReader(100).feed(message(b"x", compressed=1))
    assert caught.value.code == Code.INTERNAL


@pytest.mark.parametrize(
    ("text", "seconds"), [("1H", 3600.0), ("2M", 120.0), ("5S", 5.0), ("7000m", 7.0), ("99999999u", 99.999999), ("1n", 1e-9), ("0S", 0.0)]
)
def test_timeout_parses(text: str, seconds: float) -> None:
    assert grpc_wire.parse_timeout(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "S", "5", "5s", "-1S", "1.5S", "123456789S", " 5S", "٣S", "5SS"])
def test_timeout_malformed_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        grpc_wire.parse_timeout(text)


@given(st.floats(-10, 1e12))
@settings(max_examples=200, derandomize=True, deadline=None)
def test_timeout_written_is_never_shorter(seconds: float) -> None:
    read = grpc_wire.parse_timeout(grpc_wire.format_timeout(seconds))
    assert read >= min(seconds, 99_999_999 * 3600.0) * (1 - 1e-9)
    assert read <= max(seconds * 1.02, 1e-6) or seconds > 99_999_999 * 60


@given(st.text(max_size=40))
@settings(max_examples=100, derandomize=True, deadline=None)
def test_message_round_trip_is_printable_ascii_on_the_wire(text: str) -> None:
    encoded = grpc_wire.encode_message(text)
    assert encoded.isascii() and (not encoded or encoded.isprintable())
    assert grpc_wire.decode_message(encoded) == text


def test_message_of_etcd_is_sent_plain() -> None:
    text = "etcdserver: mvcc: required revision has been compacted (1 vs. 2)"
    assert grpc_wire.encode_message(text) == text
    assert grpc_wire.encode_message("100%\n") == "100%25%0A"
    assert grpc_wire.decode_message("50% off %zz") == "50% off %zz"


def test_metadata_leaves_out_what_is_grpcs_own_and_decodes_binary() -> None:
    fields = [
        (":path", "/"),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
        ("grpc-timeout", "1S"),
        ("hasleader", "true"),
        ("x-two", "a"),
        ("x-two", "b"),
        ("x-bin", "AAE"),
        ("y-bin", "not base64!"),
    ]
    assert grpc_wire.metadata_of(fields) == {"hasleader": "true", "x-two": "a,b", "x-bin": b"\0\1", "y-bin": b"not base64!"}


@pytest.mark.parametrize(
    "pair", [("Upper", "v"), ("te", "v"), ("grpc-x", "v"), ("x-bin", "text"), ("x", b"bytes"), ("x", "a\nb"), ("", "v")]
)
def test_metadata_that_grpc_forbids_is_refused(pair: tuple[str, str | bytes]) -> None:
    with pytest.raises(ValueError):
        grpc_wire.metadata_fields([pair])


@given(st.binary(max_size=20))
@settings(max_examples=50, derandomize=True, deadline=None)
def test_binary_metadata_round_trip(value: bytes) -> None:
    ((name, text),) = grpc_wire.metadata_fields([("k-bin", value)])
    assert grpc_wire.metadata_of([(name, text)]) == {"k-bin": value}
