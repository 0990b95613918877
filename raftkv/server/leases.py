"""Leases in time: keepalives, what is left, and expiry; the replicated part stands in `state/lease.py`.

Rules (design §4 rule 12): time is the monotonic clock; a new leader re-arms every lease; keepalives and expiries need a
leader confirmed after they began; a revoke found by a leader carries its term and is void in another. A member that does
not lead passes keepalives on. Loop only.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from raftkv.errors import NoLeaderError, RaftKVError, TimeoutError
from raftkv.failpoints import FAILPOINTS, hit
from raftkv.pb import peer
from raftkv.server.api import LeaseTTL
from raftkv.server.peers import Peers
from raftkv.server.pipeline import Pipeline
from raftkv.server.proposals import Proposals
from raftkv.state.lease import Lessor
from raftkv.state.requests import LeaseExpiry

EXPIRY_INTERVAL_S = 0.5
"""How often the leader looks for leases that ran out, as etcd does."""

EXPIRIES_MAX = 500
"""Leases revoked in one look: 1000 a second, as etcd does."""

KeepAliveDone = Callable[[int, Exception | None], None]
TTLDone = Callable[[LeaseTTL | None, Exception | None], None]


class Leases:
    """The asyncio half of leases.

    Invariants: 1. a renewal is applied only after a read index round that began after it arrived; 2. an expiry is
    proposed only while this member leads, after a round that began after the deadline passed.
    """

    def __init__(
        self,
        lessor: Lessor,
        pipeline: Pipeline,
        proposals: Proposals,
        *,
        now_s: Callable[[], float],
        election_s: float,
        timeout_s: float,
        peers: Peers,
    ) -> None:
        self.lessor = lessor
        self._pipeline = pipeline
        self._proposals = proposals
        self._now_s = now_s
        self._election_s = election_s
        self._timeout_s = timeout_s
        self._peers = peers
        self._next_look_s = 0.0
        self._looking = False
        self._last_tick_s = now_s()
        self._held: dict[int, list[tuple[Callable[[int], None], Callable[[Exception], None]]]] = {}
        """Keepalives of leases that are being revoked: see `_renewed`."""
        self.expired_total = 0
        self.renewed_total = 0

    # Leadership.

    def become_leader(self) -> None:
        """Every lease gets its full time, and an election timeout for clients to find the new leader."""
        self.lessor.promote(self._now_s(), self._election_s)
        self._looking = False

    def become_follower(self) -> None:
        """Deadlines mean nothing here any more."""
        self.lessor.demote()
        self._looking = False

    # Requests.

    def keep_alive(self, lease_id: int, done: KeepAliveDone) -> None:
        """done(ttl_s, None), 0 when there is no such lease."""
        if self._pipeline.is_leader():
            refuse = partial(done, 0)
            self._with_leader(lambda: self._renewed(lease_id, lambda ttl_s: done(ttl_s, None), refuse), refuse)
            return

        def on_reply(body: bytes | None, error: Exception | None) -> None:
            if body is None:
                done(0, error)
            else:
                done(peer.LeaseRenewReply.FromString(body).ttls[0], None)

        self._ask_leader("/raftkv.Peer/LeaseRenew", peer.LeaseRenewRequest(ids=[lease_id]).SerializeToString(), on_reply)

    def time_to_live(self, lease_id: int, keys: bool, done: TTLDone) -> None:
        """What is left of a lease, by the leader's clock."""
        if self._pipeline.is_leader():

            def look_up() -> None:
                if FAILPOINTS:
                    hit("beforeLookupWhenLeaseTimeToLive")
                done(self._ttl(lease_id, keys), None)

            self._with_leader(look_up, lambda error: done(None, error))
            return

        def on_reply(body: bytes | None, error: Exception | None) -> None:
            if body is None:
                done(None, error)
            else:
                reply = peer.LeaseTtlReply.FromString(body)
                done(LeaseTTL(reply.ttl, reply.granted_ttl, tuple(reply.keys)), None)

        self._ask_leader("/raftkv.Peer/LeaseTtl", peer.LeaseTtlRequest(id=lease_id, keys=keys).SerializeToString(), on_reply)

    def on_peer_renew(self, body: bytes, done: Callable[[bytes, Exception | None], None]) -> None:
        """A keepalive another member passed on."""
        if FAILPOINTS:
            hit("beforeServeHTTPLeaseRenew")
        ids = list(peer.LeaseRenewRequest.FromString(body).ids)
        ttls: list[int] = []
        refuse = partial(done, b"")

        def renew_next() -> None:
            if len(ttls) == len(ids):
                done(peer.LeaseRenewReply(ttls=ttls).SerializeToString(), None)
            else:
                self._renewed(ids[len(ttls)], renewed, refuse)

        def renewed(ttl_s: int) -> None:
            ttls.append(ttl_s)
            renew_next()

        self._as_leader(renew_next, refuse)

    def on_peer_ttl(self, body: bytes, done: Callable[[bytes, Exception | None], None]) -> None:
        """A time-to-live another member passed on."""
        request = peer.LeaseTtlRequest.FromString(body)

        def answer() -> None:
            if FAILPOINTS:
                hit("beforeLookupWhenForwardLeaseTimeToLive")
            ttl = self._ttl(request.id, request.keys)
            done(peer.LeaseTtlReply(ttl=ttl.ttl_s, granted_ttl=ttl.granted_ttl_s, keys=ttl.keys).SerializeToString(), None)

        self._as_leader(answer, lambda error: done(b"", error))

    def _as_leader(self, act: Callable[[], None], refuse: Callable[[Exception], None]) -> None:
        if self._pipeline.is_leader():
            self._with_leader(act, refuse)
        else:
            refuse(NoLeaderError())

    def _with_leader(self, act: Callable[[], None], refuse: Callable[[Exception], None]) -> None:
        """Acts once this member is confirmed to lead after now."""
        term = self._pipeline.node.term

        def serve(error: Exception | None) -> None:
            if error is not None:
                refuse(error)
            elif not self._pipeline.is_leader() or self._pipeline.node.term != term:
                refuse(NoLeaderError())
            else:
                act()

        try:
            self._pipeline.reads.submit(serve)
        except RaftKVError as error:
            refused = error
            self._pipeline.serve_local(lambda _: refuse(refused))

    def _ask_leader(self, path: str, body: bytes, done: Callable[[bytes | None, Exception | None], None]) -> None:
        def on_reply(reply: bytes | None, error: Exception | None) -> None:
            if reply is not None:
                done(reply, None)
            elif self._now_s() >= deadline_s:
                done(None, TimeoutError())
            else:
                done(None, NoLeaderError())

        deadline_s = self._now_s() + self._timeout_s

        leader_id = self._pipeline.node.leader_id
        if self._peers.reaches(leader_id):
            self._peers.ask(leader_id, path, body, on_reply, deadline_s)
        else:
            # Not at once: an answer never comes from inside the call that asked for it.
            self._pipeline.serve_local(lambda error: done(None, error or NoLeaderError()))

    def _renewed(self, lease_id: int, answer: Callable[[int], None], refuse: Callable[[Exception], None]) -> None:
        """Renews a lease. One that is being revoked is neither there for its client nor gone for others: its keepalive waits
        until the revoke is applied or given up, so that nobody who was told "gone" finds its keys by a later read.
        """
        if self.lessor.is_expiring(lease_id):
            self._held.setdefault(lease_id, []).append((answer, refuse))
        else:
            answer(self._renew(lease_id))

    def _revoked(self, lease_id: int, _result: object, _error: Exception | None) -> None:
        """The revoke was applied, or will not be. One that was not is found again."""
        self._settle(lease_id)

    def _settle(self, lease_id: int) -> None:
        """Answers the keepalives that waited for the end of a lease."""
        for answer, refuse in self._held.pop(lease_id, ()):
            if not self._pipeline.is_leader():
                refuse(NoLeaderError())
            elif self.lessor.is_expiring(lease_id):
                refuse(TimeoutError())
            else:
                answer(self._renew(lease_id))

    def _renew(self, lease_id: int) -> int:
        ttl_s = self.lessor.renew(lease_id, self._now_s())
        if ttl_s:
            self.renewed_total += 1
        return ttl_s

    def _ttl(self, lease_id: int, keys: bool) -> LeaseTTL:
        left_s = self.lessor.remaining_s(lease_id, self._now_s())
        if left_s < 0:
            return LeaseTTL(-1, 0, ())
        return LeaseTTL(left_s, self.lessor.ttl_s(lease_id), self.lessor.keys(lease_id) if keys else ())

    # Expiry.

    def tick(self) -> None:
        """Called each heartbeat interval."""
        now_s = self._now_s()
        if now_s - self._last_tick_s > self._election_s / 2:
            # The loop stood still: keepalives that came meanwhile are served before anything expires.
            self._next_look_s = now_s + self._election_s / 2
        self._last_tick_s = now_s
        if not self._pipeline.is_leader() or self._looking or now_s < self._next_look_s:
            return
        self._next_look_s = now_s + EXPIRY_INTERVAL_S
        found = self.lessor.expired(now_s, EXPIRIES_MAX)
        if found:
            self._looking = True
            term = self._pipeline.node.term
            self._with_leader(lambda: self._expire(found), lambda _: self._look_failed(found, term))

    def _look_failed(self, found: list[int], term: int) -> None:
        """Not confirmed: the leases stand, and their keepalives are served. A later leadership has looked for itself."""
        if self._pipeline.node.term == term:
            self._looking = False
            self.lessor.release(found)
        for lease_id in found:
            self._settle(lease_id)

    def _expire(self, found: list[int]) -> None:
        self._looking = False
        term = self._pipeline.node.term
        for lease_id in found:
            self.expired_total += 1
            self._proposals.submit_own(LeaseExpiry(term, lease_id), partial(self._revoked, lease_id))
