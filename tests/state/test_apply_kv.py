"""Put and delete through the log: etcd's answers, errors and revisions (spec/etcd-behaviour.md §1.2)."""

from __future__ import annotations

import pytest

from raftkv.errors import CorruptionError, KeyNotFoundError, LeaseNotFoundError
from raftkv.pb import rpc
from raftkv.state import requests
from tests.state.machine import Driver, entry_data


def test_put_on_fresh_store_makes_revision_two(member: Driver) -> None:
    """A fresh store is at revision 1; its first write makes 2."""
    assert member.store.revision == 1
    assert member.put(b"a").header.revision == 2


def test_put_again_raises_version_and_keeps_create_revision(member: Driver) -> None:
    member.put(b"a")
    member.put(b"a", b"w")
    (item,) = member.range(b"a").kvs
    assert (item.create_revision, item.mod_revision, item.version, item.value) == (2, 3, 2, b"w")


def test_put_after_delete_restarts_version(member: Driver) -> None:
    member.put(b"a")
    member.delete(b"a")
    member.put(b"a")
    (item,) = member.range(b"a").kvs
    assert (item.create_revision, item.mod_revision, item.version) == (4, 4, 1)


def test_put_empty_value_is_stored(member: Driver) -> None:
    member.put(b"a", b"")
    assert member.range(b"a").count == 1


@pytest.mark.parametrize("lease", [5, -5])
def test_put_unknown_lease_fails_without_revision(member: Driver, lease: int) -> None:
    with pytest.raises(LeaseNotFoundError):
        member.put(b"a", lease=lease)
    assert member.store.revision == 1
    assert member.keys() == []


def test_put_prev_kv_is_the_old_record(member: Driver) -> None:
    member.put(b"a", b"1")
    before = member.range(b"a").kvs[0]
    assert member.put(b"a", b"2", prev_kv=True).prev_kv == before


def test_put_prev_kv_of_new_key_is_absent(member: Driver) -> None:
    assert not member.put(b"a", prev_kv=True).HasField("prev_kv")


@pytest.mark.parametrize("option", ["ignore_value", "ignore_lease"])
def test_put_ignore_option_on_missing_key_fails_without_revision(member: Driver, option: str) -> None:
    with pytest.raises(KeyNotFoundError):
        member.put(b"a", b"", **{option: True})
    assert member.store.revision == 1


def test_put_ignore_value_keeps_value_and_bumps_version(member: Driver) -> None:
    member.grant(4)
    member.put(b"a", b"old")
    member.put(b"a", b"", lease=4, ignore_value=True)
    (item,) = member.range(b"a").kvs
    assert (item.value, item.lease, item.version, item.mod_revision) == (b"old", 4, 2, 3)


def test_put_ignore_lease_keeps_lease(member: Driver) -> None:
    member.grant(4)
    member.put(b"a", lease=4)
    member.put(b"a", b"new", ignore_lease=True)
    (item,) = member.range(b"a").kvs
    assert (item.value, item.lease) == (b"new", 4)
    assert member.state.lessor.keys(4) == (b"a",)


def test_delete_nothing_makes_no_revision(member: Driver) -> None:
    member.put(b"a")
    response = member.delete(b"b")
    assert (response.deleted, response.header.revision) == (0, 2)


def test_delete_range_counts_and_makes_one_revision(member: Driver) -> None:
    for key in (b"a", b"b", b"c"):
        member.put(key)
    response = member.delete(b"a", b"c")
    assert (response.deleted, response.header.revision) == (2, 5)
    assert member.keys() == [b"c"]


def test_delete_prev_kvs_come_in_key_order(member: Driver) -> None:
    for key in (b"b", b"a", b"c"):
        member.put(key, b"v" + key)
    response = member.delete(b"\0", b"\0", prev_kv=True)
    assert [(item.key, item.value, item.version) for item in response.prev_kvs] == [(b"a", b"va", 1), (b"b", b"vb", 1), (b"c", b"vc", 1)]


@pytest.mark.parametrize(("key", "range_end"), [(b"c", b"a"), (b"b", b"b")])
def test_delete_key_at_or_above_range_end_deletes_nothing(member: Driver, key: bytes, range_end: bytes) -> None:
    member.put(b"b")
    assert member.delete(key, range_end).deleted == 0


def test_empty_entry_changes_nothing(member: Driver) -> None:
    """The first entry of a leader's term."""
    assert member.state.apply(1, 1, b"") == (1, b"", None)
    assert member.state.applied_index == 1


def test_entry_at_or_below_applied_index_is_a_bug(member: Driver) -> None:
    """Exactly-once is the driver's duty; applying twice must not pass unseen."""
    member.put(b"a")
    with pytest.raises(AssertionError):
        member.state.apply(1, 1, entry_data(rpc.PutRequest(key=b"a")))


def test_decoded_request_is_used_instead_of_the_bytes(member: Driver) -> None:
    """The proposing member decodes a put once."""
    data = requests.encode(requests.RequestKind.PUT, 1, b"not read")
    member.state.apply(1, 1, data, rpc.PutRequest(key=b"a", value=b"v"))
    assert member.range(b"a").kvs[0].value == b"v"


def test_damaged_entry_raises_for_the_driver(member: Driver) -> None:
    with pytest.raises(CorruptionError):
        member.state.apply(1, 1, entry_data(rpc.PutRequest(key=b"a"))[:-1])
