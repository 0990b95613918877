from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.server.leases",
    old="            self._with_leader(lambda: self._renewed(lease_id, lambda ttl_s: done(ttl_s, None), refuse), refuse)\n",
    new="            self._renewed(lease_id, lambda ttl_s: done(ttl_s, None), refuse)\n",
    rule="design §4 rule 12: a keepalive is answered by a leader confirmed after it arrived",
    level=Level.SERVER,
)
