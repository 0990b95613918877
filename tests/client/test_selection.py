"""Which keys a call is about."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raftkv.client import ALL, KeyRange, Prefix, parse_endpoint
from raftkv.client.selection import bounds, prefix_end
from raftkv.errors import RequestError

small_keys = st.lists(st.sampled_from([0, 1, 0x61, 0xFE, 0xFF]), min_size=1, max_size=4).map(bytes)


@settings(max_examples=300, derandomize=True, deadline=None)
@given(small_keys, small_keys)
def test_prefix_range_holds_exactly_the_keys_with_the_prefix(prefix, key):
    """Against the definition of a prefix."""
    start, end = bounds(Prefix(prefix))
    inside = start <= key and (end == b"\0" or key < end)
    assert inside is key.startswith(prefix)


@pytest.mark.parametrize(
    ("selection", "pair"),
    [
        ("k", (b"k", b"")),
        (b"k", (b"k", b"")),
        ("é", ("é".encode(), b"")),
        (Prefix("a"), (b"a", b"b")),
        (Prefix(b"a\xff"), (b"a\xff", b"b")),
        (Prefix(b"\xff\xff"), (b"\xff\xff", b"\0")),
        (ALL, (b"\0", b"\0")),
        (KeyRange("a", "c"), (b"a", b"c")),
        (KeyRange("a"), (b"a", b"\0")),
        (KeyRange("", "c"), (b"\0", b"c")),
    ],
)
def test_selection_gives_the_pair_that_etcd_means(selection, pair):
    """etcd-behaviour.md §1.2, Range."""
    assert bounds(selection) == pair


def test_prefix_end_of_nothing_is_open():
    """Every key begins with the empty prefix."""
    assert prefix_end(b"") == b"\0"


@pytest.mark.parametrize(
    ("text", "host", "port", "tls", "path"),
    [
        ("127.0.0.1:2379", "127.0.0.1", 2379, False, ""),
        ("localhost", "localhost", 2379, False, ""),
        ("http://h:1", "h", 1, False, ""),
        ("https://h:1/", "h", 1, True, ""),
        ("[::1]:5", "::1", 5, False, ""),
        ("unix:///run/x.sock", "", 0, False, "/run/x.sock"),
        ("unixs://localhost:1", "", 0, True, "localhost:1"),
    ],
)
def test_endpoint_is_read_as_etcdctl_reads_it(text, host, port, tls, path):
    """With a scheme or without."""
    endpoint = parse_endpoint(text)
    assert (endpoint.host, endpoint.port, endpoint.tls, endpoint.path) == (host, port, tls, path)


def test_endpoint_without_scheme_is_encrypted_when_tls_is_configured():
    """Certificates given for nothing would be a trap."""
    assert parse_endpoint("h:1", secure=True).tls
    assert not parse_endpoint("http://h:1", secure=True).tls


@pytest.mark.parametrize("text", ["ftp://h:1", "h:port", "http://:1", ""])
def test_endpoint_that_is_none_is_refused(text):
    """With the text in the message."""
    with pytest.raises(RequestError, match="endpoint"):
        parse_endpoint(text)
