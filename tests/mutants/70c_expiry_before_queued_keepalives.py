from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.server.leases",
    old="            self._next_look_s = now_s + self._election_s / 2\n",
    new="            pass\n",
    rule="design §4 rule 12: after a stall expiry waits until queued keepalives are served",
    level=Level.SERVER,
)
