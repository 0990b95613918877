"""Who is asked before a run, and what is said of those who do not answer."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from types import SimpleNamespace

from jepsen_like import readiness
from raftkv.client.results import Header, RangeResult
from raftkv.errors import NoLeaderError, RaftKVError, UserEmptyError


class Member:
    """Answers reads with these errors in turn, and well from then on. It is its own client."""

    def __init__(self, name: str, *errors: RaftKVError, cluster: int = 0xC1, ids: Sequence[int] = ()) -> None:
        self.endpoints = [SimpleNamespace(text=f"{name}:2379")]
        self._cluster = cluster
        self._ids = itertools.cycle(ids or (hash(name),))
        self._errors = list(errors)

    async def __aenter__(self) -> Member:
        return self

    async def __aexit__(self, *_of_block: object) -> None:
        pass

    async def range(self, _key: bytes) -> RangeResult:
        if self._errors:
            raise self._errors.pop(0)
        return RangeResult(Header(self._cluster, next(self._ids)), [])


class Place:
    """A world on a clock that only sleeping moves."""

    def __init__(self, **members: Member) -> None:
        self._members = members
        self._now_s = 0.0
        self.members = list(members)

    def client(self, member: str) -> Member:
        return self._members[member]

    def now_s(self) -> float:
        return self._now_s

    async def sleep(self, seconds: float) -> None:
        self._now_s += seconds


def test_member_that_answers_after_an_election_is_no_trouble():
    assert asyncio.run(readiness.troubles(Place(n1=Member("a"), n2=Member("b", *[NoLeaderError()] * 20)))) == []


def test_store_that_wants_a_password_is_told_at_once_in_its_own_words():
    """Nothing was broken, and nothing of the store can be seen: it must not be blamed, and waiting does not help."""
    place = Place(n1=Member("a"), n2=Member("b", *[UserEmptyError()] * 20))
    assert asyncio.run(readiness.troubles(place)) == ["b:2379 (n2) refuses to be read: UserEmptyError: etcdserver: user name is empty"]
    assert place.now_s() == 0.0


def test_every_member_without_an_answer_is_named():
    place = Place(n1=Member("a", *[NoLeaderError()] * 500), n2=Member("b"), n3=Member("c", *[NoLeaderError()] * 500))
    first, second = asyncio.run(readiness.troubles(place))
    assert first.startswith("a:2379 (n1) gave no answer within 10 s: NoLeaderError") and second.startswith("c:2379 (n3) ")


def test_members_of_two_clusters_are_told_apart_before_anything_is_written():
    """A history of two stores is invalid whatever they do."""
    place = Place(n1=Member("a"), n2=Member("b", cluster=0xC2), n3=Member("c"))
    (trouble,) = asyncio.run(readiness.troubles(place))
    assert trouble.startswith("b:2379 (n2) is of cluster c2, a:2379 (n1) of c1: ")


def test_two_names_of_one_member_are_told_apart_from_two_members():
    """What is done to one of them is done to both."""
    place = Place(n1=Member("a", ids=(0xA,)), n2=Member("b", ids=(0xB,)), n3=Member("c", ids=(0xA,)))
    assert asyncio.run(readiness.troubles(place)) == ["c:2379 (n3) and a:2379 (n1) are one member, a: name each once"]


def test_load_balancers_that_lead_to_several_members_are_no_repetition():
    """Two of them may begin with the same member; and one that stands before a member that is named, too."""
    place = Place(n1=Member("a", ids=(0xA, 0xB)), n2=Member("b", ids=(0xA, 0xA, 0xB)), n3=Member("c", ids=(0xA,)))
    assert asyncio.run(readiness.troubles(place)) == []


def test_store_that_sends_no_member_ids_is_not_held_to_them():
    assert asyncio.run(readiness.troubles(Place(n1=Member("a", ids=(0,)), n2=Member("b", ids=(0,))))) == []
