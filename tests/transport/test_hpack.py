"""HPACK against the `hpack` package and RFC 7541's own examples."""

from __future__ import annotations

import hpack as oracle
import pytest
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH
from hpack.table import HeaderTable
from hypothesis import given, settings
from hypothesis import strategies as st

from raftkv.transport import hpack, huffman
from raftkv.transport.frames import ConnectionFault, ErrorCode

names = st.sampled_from([":path", ":method", "grpc-timeout", "te", "user-agent", "x-a", "x-b", "cookie", "via"])
values = st.one_of(st.sampled_from(["", "POST", "/", "trailers", "5S"]), st.text(st.characters(max_codepoint=255), max_size=60))
field_lists = st.lists(st.tuples(names, values), max_size=12)


def decoder(**changes: int) -> hpack.Decoder:
    return hpack.Decoder(**{"list_bytes_max": 1 << 20, **changes})


def huffman_encode(data: bytes) -> bytes:
    bits = "".join(f"{REQUEST_CODES[byte]:0{REQUEST_CODES_LENGTH[byte]}b}" for byte in data)
    bits += "1" * (-len(bits) % 8)
    return bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits), 8))


def test_static_table_equals_the_oracles() -> None:
    assert [(name.encode(), value.encode()) for name, value in hpack.STATIC] == list(HeaderTable.STATIC_TABLE)


def test_huffman_every_symbol_decodes() -> None:
    everything = bytes(range(256))
    assert huffman.decode(huffman_encode(everything)) == everything


@given(st.binary(max_size=200))
@settings(max_examples=100, derandomize=True, deadline=None)
def test_huffman_round_trip(data: bytes) -> None:
    assert huffman.decode(huffman_encode(data)) == data


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (b"\xff\xff\xff\xff", "the end-of-string symbol itself"),
        (huffman_encode(b"a") + b"\xff", "padding longer than seven bits"),
        (b"\x18", "padding of zeros: 'a' is 00011, then 000"),
    ],
)
def test_huffman_wrong_end_is_refused(wrong: bytes, why: str) -> None:
    """RFC 7541 §5.2: padding is the beginning of the end-of-string code, at most seven bits."""
    with pytest.raises(huffman.HuffmanError):
        huffman.decode(wrong)


@pytest.mark.slow
@given(st.lists(st.tuples(field_lists, st.booleans(), st.none() | st.integers(0, 4096)), max_size=8))
@settings(max_examples=60, derandomize=True, deadline=None)
def test_decoder_reads_what_the_oracle_writes(blocks: list[tuple[list[tuple[str, str]], bool, int | None]]) -> None:
    """One table over many blocks, with and without Huffman, through size updates."""
    theirs, ours = oracle.Encoder(), decoder()
    for fields, use_huffman, size in blocks:
        if size is not None:
            theirs.header_table_size = size
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields]
        assert ours.decode(theirs.encode(raw, huffman=use_huffman)) == fields
        ours.check_invariants()


@pytest.mark.slow
@given(st.lists(st.tuples(field_lists, st.none() | st.integers(0, 5000)), max_size=8))
@settings(max_examples=60, derandomize=True, deadline=None)
def test_encoder_writes_what_the_oracle_reads(blocks: list[tuple[list[tuple[str, str]], int | None]]) -> None:
    ours, theirs = hpack.Encoder(), oracle.Decoder()
    for fields, size in blocks:
        if size is not None:
            ours.resize(size)
        block = ours.encode(fields) + hpack.literal("grpc-timeout", "1S")
        read = theirs.decode(block, raw=True)
        assert [(name.decode("latin-1"), value.decode("latin-1")) for name, value in read] == [*fields, ("grpc-timeout", "1S")]


@given(field_lists)
@settings(max_examples=100, derandomize=True, deadline=None)
def test_stateless_block_reads_the_same_with_any_table(fields: list[tuple[str, str]]) -> None:
    ours = decoder()
    ours.decode(hpack.Encoder().encode([("x-before", "1")]))
    changes = ours.changes
    assert ours.decode(hpack.stateless(fields)) == fields
    assert ours.changes == changes


@given(st.binary(max_size=64))
@settings(max_examples=400, derandomize=True, deadline=None)
def test_decoder_accepts_and_refuses_what_the_oracle_does(block: bytes) -> None:
    """Arbitrary bytes: the same fields, or a fault on both sides."""
    theirs = oracle.Decoder(max_header_list_size=1 << 30)
    theirs.max_allowed_table_size = 4096
    try:
        expected = [(bytes(name).decode("latin-1"), bytes(value).decode("latin-1")) for name, value in theirs.decode(block, raw=True)]
    except oracle.HPACKError:
        expected = None
    ours = decoder()
    try:
        found = ours.decode(block)
    except ConnectionFault as fault:
        assert fault.code is ErrorCode.COMPRESSION_ERROR
        found = None
    ours.check_invariants()
    assert found == expected


def test_encoder_repeats_a_block_as_indexes_only() -> None:
    """What the connection's cache of blocks rests on."""
    encoder = hpack.Encoder()
    fields = [(":method", "POST"), (":path", "/a.B/C"), ("user-agent", "x")]
    assert not hpack.is_indexed_only(encoder.encode(fields))
    again, changes = encoder.encode(fields), encoder.changes
    assert hpack.is_indexed_only(again) and len(again) == 3
    assert encoder.encode(fields) == again and encoder.changes == changes


@pytest.mark.parametrize(
    ("block", "why"),
    [
        (b"\x80", "index 0"),
        (b"\xff\x00", "index 127, far behind the table"),
        (b"\xbe", "the first dynamic index of an empty table"),
        (b"\x7f\x01a", "a literal with a name behind the table"),
        (b"\x00\x05ab", "a string past the block's end"),
        (b"\x00", "a literal without its name"),
        (b"\xff\x80\x80\x80\x80\x80\x01", "an integer that never ends"),
        (b"\x3f\xe2\x1f", "a table size above what we announced"),
        (b"\x82\x20", "a size update behind a field"),
        (b"\x00\x81\xff\x00", "a Huffman string of padding alone, eight bits"),
    ],
)
def test_decoder_malformed_block_is_a_compression_error(block: bytes, why: str) -> None:
    with pytest.raises(ConnectionFault) as caught:
        decoder().decode(block)
    assert caught.value.code is ErrorCode.COMPRESSION_ERROR


def test_decoder_bomb_is_cut_at_the_list_limit_and_keeps_its_table() -> None:
    """A block of one-byte references to one large field: the list stays bounded, the table right."""
    ours = decoder(list_bytes_max=10_000)
    large = "v" * 3000
    bomb = hpack.Encoder().encode([("x-bomb", large)]) + b"\xbe" * 10_000
    fields = ours.decode(bomb)
    assert ours.oversized and len(fields) == 3
    assert ours.decode(b"\xbe") == [("x-bomb", large)] and not ours.oversized


def test_decoder_field_larger_than_the_table_empties_it() -> None:
    """RFC 7541 §4.4: that is no error."""
    ours = decoder(table_bytes_max=100)
    encoder = hpack.Encoder()
    ours.decode(encoder.encode([("x-a", "1")]))
    assert ours.decode(b"\x40\x03x-b\x64" + b"v" * 100) == [("x-b", "v" * 100)]
    ours.check_invariants()
    with pytest.raises(ConnectionFault):
        ours.decode(b"\xbe")


def test_decoder_block_split_anywhere_is_refused_never_misread() -> None:
    """Every proper prefix of a block either ends between fields or is a fault."""
    fields = [(":method", "POST"), ("x-long-name", "v" * 300), ("te", "trailers")]
    block = oracle.Encoder().encode(fields)
    for end in range(len(block)):
        try:
            found = decoder().decode(block[:end])
        except ConnectionFault:
            continue
        assert found == fields[: len(found)]
