"""Members, their ids and what a configuration entry does to the list (spec/etcd-behaviour.md §1.1 Ids, §1.5)."""

from __future__ import annotations

import hashlib

import msgpack
import pytest

from raftkv.errors import (
    CorruptionError,
    MemberExistError,
    MemberNotFoundError,
    MemberNotLearnerError,
    PeerURLExistError,
    RaftKVError,
)
from raftkv.state import membership
from raftkv.state.membership import ChangeKind, Member, MemberChange, Membership
from raftkv.state.requests import ClusterVersion, Publication
from tests.state.machine import Driver

THREE = (("a", "http://10.0.0.1:2380"), ("b", "http://10.0.0.2:2380"), ("c", "http://10.0.0.3:2380"))


def change(kind: ChangeKind, number: int, url: str = "", learner: bool = False) -> MemberChange:
    return MemberChange(kind, Member(number, "", (url,) if url else (), is_learner=learner))


def apply(member: Driver, one: MemberChange) -> Exception | None:
    return member.state.apply_member_change(member.term, member.state.applied_index + 1, one)[2]


@pytest.fixture
def three(member: Driver) -> Driver:
    for one in membership.initial_changes(membership.initial_members(THREE, "tkn")):
        assert apply(member, one) is None
    return member


def test_ids_are_those_etcd_computes() -> None:
    """Observed on etcd 3.4.23 with this URL and the default token."""
    number = membership.member_id(["http://127.0.0.1:21501"], "etcd-cluster")
    assert number == 2054479223316367161
    assert membership.cluster_id([number]) == 6543781515009840581


def test_member_id_does_not_depend_on_url_order() -> None:
    assert membership.member_id(["http://b", "http://a"], "t") == membership.member_id(["http://a", "http://b"], "t")


def test_member_id_of_a_later_addition_has_the_time_in_place_of_the_token() -> None:
    expected = int.from_bytes(hashlib.sha1(b"http://a1700000000").digest()[:8], "big")
    assert membership.member_id(["http://a"], "t", 1700000000) == expected


def test_initial_members_gather_the_urls_of_a_name_and_are_in_id_order() -> None:
    members = membership.initial_members((*THREE, ("a", "http://10.0.0.1:2379")), "t")
    assert [member.id for member in members] == sorted(member.id for member in members)
    assert {member.name: member.peer_urls for member in members}["a"] == ("http://10.0.0.1:2379", "http://10.0.0.1:2380")


def test_bootstrap_changes_make_the_cluster(three: Driver) -> None:
    members = membership.initial_members(THREE, "tkn")
    state = three.state.members
    assert state.all() == tuple(member._replace(name="") for member in members)
    assert state.cluster_id == membership.cluster_id(member.id for member in members)


def test_later_addition_keeps_the_cluster_id(three: Driver) -> None:
    before = three.state.members.cluster_id
    assert apply(three, change(ChangeKind.ADD, 99, "http://10.0.0.9:2380")) is None
    assert three.state.members.cluster_id == before
    assert Membership(three.tables).cluster_id == before


def test_publish_sets_name_urls_and_started(three: Driver) -> None:
    first = three.state.members.all()[0]
    assert not first.started
    assert three.apply(Publication(first.id, "a", ("http://10.0.0.1:2379",))) == (1, b"", None)
    assert three.state.members.get(first.id) == first._replace(name="a", client_urls=("http://10.0.0.1:2379",), started=True)


def test_publish_of_an_unknown_member_is_refused(three: Driver) -> None:
    assert isinstance(three.apply(Publication(1, "x", ()))[2], MemberNotFoundError)


def test_removed_member_never_comes_back(three: Driver) -> None:
    gone = three.state.members.all()[0]
    assert apply(three, change(ChangeKind.REMOVE, gone.id)) is None
    assert three.state.members.is_removed(gone.id)
    for again in (change(ChangeKind.REMOVE, gone.id), change(ChangeKind.ADD, gone.id, "http://new"), change(ChangeKind.PROMOTE, gone.id)):
        assert isinstance(apply(three, again), MemberNotFoundError)
    assert len(Membership(three.tables).all()) == 2
    assert Membership(three.tables).is_removed(gone.id)


def test_removed_members_urls_are_free_again(three: Driver) -> None:
    gone = three.state.members.all()[0]
    apply(three, change(ChangeKind.REMOVE, gone.id))
    assert apply(three, change(ChangeKind.ADD, 99, gone.peer_urls[0])) is None


def test_update_replaces_peer_urls_and_keeps_the_rest(three: Driver) -> None:
    first = three.state.members.all()[0]
    three.apply(Publication(first.id, "a", ("http://c",)))
    assert apply(three, change(ChangeKind.UPDATE, first.id, "http://moved:1")) is None
    assert three.state.members.get(first.id) == Member(first.id, "a", ("http://moved:1",), ("http://c",), False, True)


def test_update_may_keep_the_own_url(three: Driver) -> None:
    first = three.state.members.all()[0]
    assert apply(three, change(ChangeKind.UPDATE, first.id, first.peer_urls[0])) is None


def test_update_leaves_a_learner_a_learner(three: Driver) -> None:
    """etcd 3.5.31: an update of the URLs must not promote, whatever it says of the member."""
    apply(three, change(ChangeKind.ADD, 99, "http://l", learner=True))
    assert apply(three, change(ChangeKind.UPDATE, 99, "http://moved", learner=False)) is None
    member = three.state.members.get(99)
    assert member is not None and member.is_learner and member.peer_urls == ("http://moved",)


def test_promotion_makes_a_learner_a_voter(three: Driver) -> None:
    apply(three, change(ChangeKind.ADD, 99, "http://l", learner=True))
    assert apply(three, change(ChangeKind.PROMOTE, 99)) is None
    member = three.state.members.get(99)
    assert member is not None and not member.is_learner


@pytest.mark.parametrize(
    ("kind", "known", "url", "error"),
    [
        (ChangeKind.ADD, True, "http://new", MemberExistError),
        (ChangeKind.ADD, False, "taken", PeerURLExistError),
        (ChangeKind.UPDATE, True, "taken", PeerURLExistError),
        (ChangeKind.UPDATE, False, "http://new", MemberNotFoundError),
        (ChangeKind.REMOVE, False, "", MemberNotFoundError),
        (ChangeKind.PROMOTE, False, "", MemberNotFoundError),
        (ChangeKind.PROMOTE, True, "", MemberNotLearnerError),
    ],
)
def test_change_that_does_not_fit_changes_nothing(three: Driver, kind: ChangeKind, known: bool, url: str, error: type[RaftKVError]) -> None:
    first, second, _ = three.state.members.all()
    before = three.state.members.all()
    found = apply(three, change(kind, first.id if known else 4, second.peer_urls[0] if url == "taken" else url))
    assert isinstance(found, error)
    assert three.state.members.all() == before == Membership(three.tables).all()


@pytest.mark.parametrize("kind", list(ChangeKind))
def test_change_round_trip_is_equal(kind: ChangeKind) -> None:
    one = MemberChange(kind, Member((1 << 64) - 1, "n", ("http://a", "http://b"), (), True), 1 << 63)
    assert membership.decode_change(one.encode()) == one


@pytest.mark.parametrize("context", [b"", b"\x90", msgpack.packb((2, 1, 1, "", (), False, 0)), msgpack.packb((1, 9, 1, "", (), False, 0))])
def test_change_this_build_cannot_read_stops_the_member(context: bytes) -> None:
    with pytest.raises(CorruptionError):
        membership.decode_change(context)


def test_conf_state_and_cluster_version_come_back_after_a_restart(three: Driver) -> None:
    assert three.state.conf_state() is None and three.state.cluster_version == ""
    conf_state = ((1, 2), (3,), (), (4,), True)
    three.state.save_conf_state(conf_state)
    three.apply(ClusterVersion("3.7.0"))
    again = Driver(three.tables, three.store).state
    assert (again.conf_state(), again.cluster_version) == (conf_state, "3.7.0")
    assert (again.applied_index, again.applied_term) == (4, 1)
