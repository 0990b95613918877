"""What must be true of leases at the members that renew and end them (design §4 rule 12).

1. Who renews a lease leads: since the keepalive came nobody else had been elected already. 2. Who ends a lease that ran
out still leads: a quorum was heard since. 3. What a leader found is void in another's term: the lease lives
on. 4. Who is told that a lease is gone asks a member where it is gone. 5. A process that stood still for an election timeout reads
what came meanwhile before it looks for leases that ran out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from jepsen_like.sim.rules import InvariantError
from raftkv.pb import peer
from raftkv.state.requests import LeaseExpiry, RequestKind

if TYPE_CHECKING:
    from jepsen_like.sim.process import Life
    from raftkv.raft.messages import Message
    from raftkv.server.bootstrap import StateParts
    from raftkv.server.leases import KeepAliveDone
    from raftkv.server.member import MemberCore
    from raftkv.state.apply import Applied, StateMachine


class LeaseRules:
    """Of one cluster, over all lives of its members. `led_s`: when each term was first led."""

    def __init__(self, led_s: Mapping[int, float]) -> None:
        self._led_s = led_s

    def attach(self, host: str, core: MemberCore, life: Life) -> None:
        """Watches a member's process."""
        self._watch_renewals(host, core, life)
        _watch_expiries(host, core)
        _watch_looks(host, core, life)
        _watch_ends(host, core)

    def _led_later(self, term: int, before_s: float) -> int:
        """A term above `term` that somebody led before that moment; 0 when there is none."""
        return next((other for other, since_s in self._led_s.items() if other > term and since_s < before_s), 0)

    def _check_leads(self, host: str, core: MemberCore, came_s: float, life: Life) -> None:
        later = self._led_later(core.node.term, came_s)
        if later and not life.skewed:  # A clock of another rate says nothing of who was first.
            raise InvariantError(f"{host}: renews a lease in term {core.node.term}, and term {later} had its leader when it was asked to")

    def _watch_renewals(self, host: str, core: MemberCore, life: Life) -> None:
        leases, time = core.leases, core.loop.time
        keep_alive, on_peer_renew = leases.keep_alive, leases.on_peer_renew

        def keeping(lease_id: int, done: KeepAliveDone) -> None:
            came_s, leads = time(), core.pipeline.is_leader()

            def answered(ttl_s: int, error: Exception | None) -> None:
                if leads and error is None:
                    if ttl_s:
                        self._check_leads(host, core, came_s, life)
                    else:
                        _check_gone(host, core, lease_id)
                done(ttl_s, error)

            keep_alive(lease_id, answered)

        def renewing(body: bytes, done: Callable[[bytes, Exception | None], None]) -> None:
            came_s = time()

            def answered(reply: bytes, error: Exception | None) -> None:
                if error is None:
                    ttls = peer.LeaseRenewReply.FromString(reply).ttls
                    if any(ttls):
                        self._check_leads(host, core, came_s, life)
                    for lease_id, ttl_s in zip(peer.LeaseRenewRequest.FromString(body).ids, ttls, strict=True):
                        if not ttl_s:
                            _check_gone(host, core, lease_id)
                done(reply, error)

            on_peer_renew(body, answered)

        leases.keep_alive = keeping  # type: ignore[method-assign]
        leases.on_peer_renew = renewing  # type: ignore[method-assign]


def _watch_expiries(host: str, core: MemberCore) -> None:
    leases, pipeline, time = core.leases, core.pipeline, core.loop.time
    expire, take = leases._expire, pipeline.on_message
    heard_s: dict[int, float] = {}

    def hearing(message: Message) -> None:
        heard_s[message.sender] = time()
        take(message)

    def expiring(found: list[int]) -> None:
        conf = core.node.conf_state
        for lease_id in found:
            lease = leases.lessor._leases.get(lease_id)
            if lease is None:
                continue
            since = {core.member_id, *(other for other, at_s in heard_s.items() if at_s >= lease.deadline_s)}
            for voters in (conf.voters, conf.voters_outgoing):
                if len(since.intersection(voters)) < len(voters) // 2 + bool(voters):
                    ended_s = time() - lease.deadline_s
                    raise InvariantError(
                        f"{host}: ends lease {lease_id}, which ran out {ended_s:.3f} s ago, and has heard of no quorum since"
                    )
        expire(found)

    leases._expire = expiring  # type: ignore[method-assign]
    pipeline.on_message = hearing  # type: ignore[method-assign]


def _watch_looks(host: str, core: MemberCore, life: Life) -> None:
    leases, time = core.leases, core.loop.time
    tick, election_s = leases.tick, core.settings.election_timeout_ms / 1000
    last_s = time()

    def ticking() -> None:
        nonlocal last_s
        stood_s, last_s = time() - last_s, time()
        was_looking = leases._looking
        tick()
        if life.unread and stood_s > election_s and leases._looking and not was_looking:
            raise InvariantError(f"{host}: stood still for {stood_s:.3f} s, looks for leases that ran out, and has {life.unread} unread")

    leases.tick = ticking  # type: ignore[method-assign]


def _watch_ends(host: str, core: MemberCore) -> None:
    """Also of every state that comes as a snapshot."""
    use_state = core.use_state

    def using(state: StateParts, index: int) -> None:
        use_state(state, index)
        _watch_handler(host, core.machine)

    core.use_state = using  # type: ignore[method-assign]
    _watch_handler(host, core.machine)


def _watch_handler(host: str, machine: StateMachine) -> None:
    handler = machine._handlers[RequestKind.LEASE_EXPIRE]

    def expire(request: LeaseExpiry) -> Applied:
        was_there = request.lease_id in machine.lessor
        done = handler(request)
        if was_there and request.lease_id not in machine.lessor and request.term != machine.applied_term:
            raise InvariantError(
                f"{host}: lease {request.lease_id} ends at {machine.applied_index} in term {machine.applied_term}, "
                f"as the leader of term {request.term} wanted"
            )
        return done

    machine._handlers[RequestKind.LEASE_EXPIRE] = expire


def _check_gone(host: str, core: MemberCore, lease_id: int) -> None:
    if lease_id in core.machine.lessor:
        raise InvariantError(f"{host}: tells a client that lease {lease_id} is gone, which it holds")
