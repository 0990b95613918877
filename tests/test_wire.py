"""Hand-written encodings against protobuf's own."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from raftkv.pb import rpc
from raftkv.wire import delimited, field_end, read_varint, varint


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.integers(-(2**63), 2**63 - 1).filter(bool))
def test_varint_is_protobufs(value):
    assert b"\x10" + varint(value) == rpc.WatchResponse(watch_id=value).SerializeToString()


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.one_of(st.integers(-(2**63), 2**64 - 1), st.integers(0, 63).map(lambda bits: 1 << bits)))
def test_varint_reads_back_as_an_unsigned_number(number):
    encoded = varint(number)
    assert read_varint(encoded, 0) == (number & 2**64 - 1, len(encoded))


@settings(max_examples=50, derandomize=True, deadline=None)
@given(st.lists(st.integers(0, 40_000), min_size=1, max_size=5))
def test_fields_are_found_where_they_end(sizes):
    fields = b"".join(delimited(b"\x5a", bytes(size)) for size in sizes)
    position = 0
    for size in sizes:
        end = field_end(fields, position)
        assert fields[position:end] == delimited(b"\x5a", bytes(size))
        position = end
    assert position == len(fields)
