"""Leases: what is applied, and the leader's clock (spec/etcd-behaviour.md §1.4, design §4 rule 12)."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from raftkv.errors import CorruptionError, LeaseExistError, LeaseNotFoundError, LeaseTTLTooLargeError, RaftKVError
from raftkv.pb import rpc
from raftkv.state import lease as lease_rules
from raftkv.state.lease import Lessor
from raftkv.state.requests import LeaseExpiry
from tests.state.machine import Driver
from tests.state.naive_kv import DictTables


@pytest.fixture
def lessor() -> Lessor:
    return Lessor(DictTables(), ())


# What is applied.


def test_grant_answers_id_and_ttl_without_revision(member: Driver) -> None:
    response = member.grant(7, 100)
    assert (response.ID, response.TTL, response.error, response.header.revision) == (7, 100, "", 1)


def test_grant_negative_id_is_used(member: Driver) -> None:
    assert member.grant(-7).ID == -7
    member.put(b"a", lease=-7)
    assert Driver(member.tables, member.store).state.lessor.keys(-7) == (b"a",)


@pytest.mark.parametrize(
    ("lease_id", "ttl", "error"),
    [(7, 5, LeaseExistError), (0, 5, LeaseNotFoundError), (8, 9_000_000_001, LeaseTTLTooLargeError)],
)
def test_grant_refuses(member: Driver, lease_id: int, ttl: int, error: type[RaftKVError]) -> None:
    member.grant(7)
    with pytest.raises(error):
        member.grant(lease_id, ttl)
    assert len(member.state.lessor) == 1


@pytest.mark.parametrize(("asked_s", "granted_s"), [(0, 2), (-5, 2), (1, 2), (2, 2), (3, 3), (9_000_000_000, 9_000_000_000)])
def test_ttl_to_propose_is_raised_to_the_minimum(asked_s: int, granted_s: int) -> None:
    """One and a half election timeouts of a second make two seconds."""
    assert lease_rules.granted_ttl_s(asked_s, lease_rules.ttl_s_min(1.0)) == granted_s


def test_ttl_to_propose_above_the_bound_is_refused() -> None:
    with pytest.raises(LeaseTTLTooLargeError):
        lease_rules.granted_ttl_s(9_000_000_001, 2)


@pytest.mark.parametrize("lease_id", [0, 5])
def test_revoke_unknown_lease_fails(member: Driver, lease_id: int) -> None:
    with pytest.raises(LeaseNotFoundError):
        member.revoke(lease_id)


def test_revoke_deletes_keys_in_one_revision_in_key_order(member: Driver) -> None:
    member.grant(5)
    for key in (b"c", b"a", b"b"):
        member.put(key, lease=5)
    member.put(b"free")
    member.store.take_events()
    assert member.revoke(5).header.revision == 6
    events = member.store.take_events()
    assert [(event.key, event.revision, event.is_delete) for event in events] in ([], [(b"a", 6, True), (b"b", 6, True), (b"c", 6, True)])
    assert member.keys() == [b"free"]
    assert 5 not in member.state.lessor


def test_revoke_without_keys_makes_no_revision(member: Driver) -> None:
    member.grant(5)
    assert member.revoke(5).header.revision == 1


@pytest.mark.parametrize("other", [0, 6])
def test_put_with_other_or_no_lease_moves_the_key(member: Driver, other: int) -> None:
    """The old lease's end does not touch the key any more."""
    member.grant(5)
    member.grant(6)
    member.put(b"a", lease=5)
    member.put(b"a", lease=other)
    member.revoke(5)
    assert member.keys() == [b"a"]


def test_delete_takes_the_key_off_its_lease(member: Driver) -> None:
    member.grant(5)
    member.put(b"a", lease=5)
    member.delete(b"a")
    member.put(b"a")
    member.revoke(5)
    assert member.keys() == [b"a"]


def test_expiry_of_the_entrys_term_ends_the_lease(member: Driver) -> None:
    member.grant(5)
    member.put(b"a", lease=5)
    assert member.apply(LeaseExpiry(member.term, 5)) == (3, b"", None)
    assert member.keys() == []


@pytest.mark.parametrize("found_in", [1, 3])
def test_expiry_found_in_another_term_is_dropped(member: Driver, found_in: int) -> None:
    """A deposed leader's finding must not end a lease its successor has re-armed."""
    member.grant(5)
    member.put(b"a", lease=5)
    member.term = 2
    assert member.apply(LeaseExpiry(found_in, 5)) == (2, b"", None)
    assert member.keys() == [b"a"] and 5 in member.state.lessor


def test_expiry_of_a_lease_already_gone_is_not_found(member: Driver) -> None:
    assert isinstance(member.apply(LeaseExpiry(member.term, 5))[2], LeaseNotFoundError)


def test_checkpoint_survives_a_restart(member: Driver) -> None:
    member.grant(5, 600)
    member.do(rpc.LeaseCheckpointRequest(checkpoints=[rpc.LeaseCheckpoint(ID=5, remaining_TTL=100), rpc.LeaseCheckpoint(ID=6)]))
    lessor = Driver(member.tables, member.store).state.lessor
    lessor.promote(0.0, 1.0)
    assert (lessor.remaining_s(5, 0.0), lessor.ttl_s(5)) == (101, 600)


def test_restart_rebuilds_leases_and_their_keys(member: Driver) -> None:
    member.grant(5)
    member.grant(6, 7)
    member.put(b"a", lease=5)
    member.put(b"b", lease=5)
    lessor = Driver(member.tables, member.store).state.lessor
    lessor.check_invariants()
    assert (lessor.keys(5), lessor.keys(6), lessor.ttl_s(6), lessor.ids()) == ((b"a", b"b"), (), 7, [5, 6])


def test_key_on_a_lease_that_is_not_stored_is_corruption() -> None:
    with pytest.raises(CorruptionError, match="0000000000000009"):
        Lessor(DictTables(), [(b"a", 9)])


# The leader's clock.


def test_follower_expires_and_renews_nothing(lessor: Lessor) -> None:
    lessor.grant(1, 5)
    assert lessor.expired(1e9, 10) == []
    assert lessor.renew(1, 0.0) == 0


def test_promotion_rearms_to_the_full_ttl_and_slack(lessor: Lessor) -> None:
    lessor.grant(1, 5)
    lessor.promote(100.0, 1.5)
    assert lessor.expired(106.4, 10) == []
    assert lessor.expired(106.5, 10) == [1]


def test_lease_granted_under_a_leader_starts_when_armed(lessor: Lessor) -> None:
    lessor.promote(0.0, 0.0)
    lessor.grant(1, 5)
    lessor.arm_fresh(10.0)
    assert lessor.remaining_s(1, 10.5) == 4
    assert lessor.expired(14.9, 10) == []
    assert lessor.expired(15.0, 10) == [1]


def test_renewal_moves_the_deadline_to_a_full_ttl_from_now(lessor: Lessor) -> None:
    lessor.grant(1, 5)
    lessor.promote(0.0, 0.0)
    assert lessor.renew(1, 4.0) == 5
    assert lessor.expired(8.9, 10) == []
    assert lessor.expired(9.0, 10) == [1]


def test_renewal_after_the_deadline_counts_until_the_lease_was_found(lessor: Lessor) -> None:
    """Keepalives that waited while the loop stood still are served before anything expires."""
    lessor.grant(1, 5)
    lessor.promote(0.0, 0.0)
    assert lessor.renew(1, 6.0) == 5
    assert lessor.expired(10.9, 10) == []
    assert lessor.expired(11.0, 10) == [1]
    assert lessor.renew(1, 11.0) == 0


def test_lease_being_revoked_has_no_time_left_and_is_not_gone_yet(lessor: Lessor) -> None:
    """Gone is what a later read confirms: until the revoke is applied the lease has its keys, and may even be released."""
    lessor.grant(1, 5)
    lessor.promote(0.0, 0.0)
    assert lessor.expired(5.0, 10) == [1]
    assert lessor.remaining_s(1, 6.5) == 0
    lessor.revoke(1)
    assert lessor.remaining_s(1, 6.5) == -1


def test_released_lease_can_be_renewed_again(lessor: Lessor) -> None:
    lessor.grant(1, 5)
    lessor.promote(0.0, 0.0)
    lessor.release(lessor.expired(5.0, 10))
    assert lessor.renew(1, 5.0) == 5
    assert lessor.expired(9.9, 10) == []


def test_expired_lease_is_handed_out_again_when_its_revoke_was_not_applied(lessor: Lessor) -> None:
    lessor.grant(1, 5)
    lessor.promote(0.0, 0.0)
    assert lessor.expired(5.0, 10) == [1]
    assert lessor.expired(5.0 + lease_rules.EXPIRY_RETRY_S - 0.1, 10) == []
    assert lessor.expired(5.0 + lease_rules.EXPIRY_RETRY_S, 10) == [1]


def test_expired_is_bounded_and_takes_the_oldest_first(lessor: Lessor) -> None:
    for lease_id, ttl in ((1, 9), (2, 5), (3, 7)):
        lessor.grant(lease_id, ttl)
    lessor.promote(0.0, 0.0)
    assert lessor.expired(100.0, 2) == [2, 3]
    assert lessor.expired(100.0, 2) == [1]


def test_demotion_forgets_deadlines_and_findings(lessor: Lessor) -> None:
    lessor.grant(1, 5)
    lessor.promote(0.0, 0.0)
    assert lessor.expired(5.0, 10) == [1]
    lessor.demote()
    assert lessor.expired(1e9, 10) == []
    lessor.promote(50.0, 0.0)
    assert lessor.renew(1, 50.0) == 5


def test_ids_are_in_order_of_expiry(lessor: Lessor) -> None:
    for lease_id, ttl in ((1, 9), (2, 5), (3, 7)):
        lessor.grant(lease_id, ttl)
    lessor.promote(0.0, 0.0)
    assert lessor.ids() == [2, 3, 1]


def test_remaining_of_an_unknown_lease_is_minus_one(lessor: Lessor) -> None:
    assert (lessor.remaining_s(1, 0.0), lessor.ttl_s(1), lessor.keys(1)) == (-1, -1, ())


def test_remaining_never_falls_below_zero(lessor: Lessor) -> None:
    lessor.grant(1, 5)
    lessor.promote(0.0, 0.0)
    assert lessor.remaining_s(1, 77.0) == 0


ids = st.integers(1, 4)
keys = st.sampled_from([b"a", b"b", b"c"])


class LessorModel(RuleBasedStateMachine):
    """The lessor against dictionaries: a lease never expires before its deadline, and always after it."""

    def __init__(self) -> None:
        super().__init__()
        self.tables = DictTables()
        self.lessor = Lessor(self.tables, ())
        self.now_s = 0.0
        self.primary = False
        self.ttls: dict[int, int] = {}
        self.keys: dict[bytes, int] = {}
        self.deadlines: dict[int, float] = {}
        self.retry_s: dict[int, float] = {}

    @rule(lease_id=ids, ttl=st.integers(1, 9))
    def grant(self, lease_id: int, ttl: int) -> None:
        if lease_id in self.ttls:
            with pytest.raises(LeaseExistError):
                self.lessor.grant(lease_id, ttl)
            return
        self.lessor.grant(lease_id, ttl)
        self.lessor.arm_fresh(self.now_s)
        self.ttls[lease_id] = ttl
        self.deadlines[lease_id] = self.now_s + ttl

    @rule(lease_id=ids)
    def revoke(self, lease_id: int) -> None:
        if lease_id not in self.ttls:
            with pytest.raises(LeaseNotFoundError):
                self.lessor.revoke(lease_id)
            return
        mine = sorted(key for key, owner in self.keys.items() if owner == lease_id)
        assert self.lessor.revoke(lease_id) == mine
        for key in mine:
            del self.keys[key]
        del self.ttls[lease_id], self.deadlines[lease_id]
        self.retry_s.pop(lease_id, None)

    @rule(key=keys, lease_id=st.integers(0, 4))
    def put(self, key: bytes, lease_id: int) -> None:
        if lease_id == 0 or lease_id in self.ttls:
            self.lessor.attach(key, lease_id)
            self.keys.pop(key, None)
            if lease_id:
                self.keys[key] = lease_id

    @rule(key=keys)
    def delete(self, key: bytes) -> None:
        self.lessor.detach([key])
        self.keys.pop(key, None)

    @rule(seconds=st.sampled_from([0.5, 1.0, 2.0, 5.0]))
    def wait(self, seconds: float) -> None:
        self.now_s += seconds

    @rule(lease_id=ids)
    def renew(self, lease_id: int) -> None:
        alive = self.primary and lease_id in self.ttls and lease_id not in self.retry_s
        assert self.lessor.renew(lease_id, self.now_s) == (self.ttls[lease_id] if alive else 0)
        if alive:
            self.deadlines[lease_id] = self.now_s + self.ttls[lease_id]

    @rule()
    def look(self) -> None:
        due = {name for name in self.ttls if self.primary and max(self.deadlines[name], self.retry_s.get(name, 0.0)) <= self.now_s}
        assert set(self.lessor.expired(self.now_s, 10)) == due
        for name in due:
            self.retry_s[name] = self.now_s + lease_rules.EXPIRY_RETRY_S

    @rule(primary=st.booleans())
    def change_leader(self, primary: bool) -> None:
        self.primary = primary
        self.retry_s.clear()
        if primary:
            self.lessor.promote(self.now_s, 1.0)
            self.deadlines = {name: self.now_s + ttl + 1.0 for name, ttl in self.ttls.items()}
        else:
            self.lessor.demote()

    @rule()
    def restart(self) -> None:
        self.lessor = Lessor(self.tables, list(self.keys.items()))
        self.primary = False
        self.retry_s.clear()

    @invariant()
    def agrees(self) -> None:
        self.lessor.check_invariants()
        assert self.lessor.attached == self.keys
        assert sorted(self.lessor.ids()) == sorted(self.ttls)


TestLessorModel = LessorModel.TestCase
TestLessorModel.settings = settings(max_examples=25, stateful_step_count=30, derandomize=True)
