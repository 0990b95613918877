from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.server.leases",
    old="            self._with_leader(lambda: self._expire(found), lambda _: self._look_failed(found, term))\n",
    new="            self._expire(found)\n",
    rule="design §4 rule 12: only a leader confirmed since the deadline passed proposes an expiry",
    level=Level.SERVER,
)
