"""Leases in time."""

from tests.mutants.mutant import Mutant

MUTANTS = [
    Mutant(
        "no-new-time-from-a-new-leader",
        "raftkv.state.lease",
        "            lease.deadline_s = now_s + lease.armed_s() + extend_s\n",
        "            lease.deadline_s = min(lease.deadline_s, now_s)\n",
        "12: on becoming leader every lease is re-armed",
    ),
    Mutant(
        "no-leader-clock-at-all",
        "raftkv.server.member",
        "            self.leases.become_leader()\n        elif",
        "            pass\n        elif",
        "12: leases end",
    ),
    Mutant(
        "expiry-not-confirmed",
        "raftkv.server.leases",
        "            self._with_leader(lambda: self._expire(found), lambda _: self._look_failed(found, term))\n",
        "            self._expire(found)\n",
        "12: only a leader confirmed since the deadline passed proposes an expiry",
    ),
    Mutant(
        "expiry-of-an-older-term-applied",
        "raftkv.state.apply",
        "        if request.term != self.applied_term:\n",
        "        if False:\n",
        "12: a revoke of another term is dropped",
    ),
    Mutant(
        "keepalive-not-confirmed",
        "raftkv.server.leases",
        "            self._with_leader(lambda: done(self._renew(lease_id), None), lambda error: done(0, error))\n            return\n",
        "            done(self._renew(lease_id), None)\n            return\n",
        "12: a keepalive is answered by a leader confirmed after it arrived",
    ),
    Mutant(
        "forwarded-keepalive-not-confirmed",
        "raftkv.server.leases",
        """        self._as_leader(
            lambda: done(peer.LeaseRenewReply(ttls=[self._renew(i) for i in request.ids]).SerializeToString(), None),
            lambda error: done(b"", error),
        )
""",
        """        done(peer.LeaseRenewReply(ttls=[self._renew(i) for i in request.ids]).SerializeToString(), None)
""",
        "12: also one that another member passed on",
    ),
    Mutant(
        "expiry-before-queued-keepalives",
        "raftkv.server.leases",
        "            self._next_look_s = now_s + self._election_s / 2\n",
        "            pass\n",
        "12: after a stall expiry waits until queued keepalives are served",
    ),
    Mutant(
        "lessor-of-the-old-store",
        "raftkv.server.member",
        "        self.leases.lessor = state.machine.lessor\n",
        "",
        "after a snapshot the leases are those of the new store",
    ),
    Mutant(
        "expiring-lease-never-released",
        "raftkv.server.leases",
        "            self.lessor.release(found)\n",
        "            pass\n",
        "12: a look that was not confirmed leaves the leases as they were",
    ),
]
