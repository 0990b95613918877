from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.server.leases",
    old=("            self._with_leader(lambda: done(self._renew(lease_id), None), lambda error: done(0, error))\n            return\n"),
    new=("            done(self._renew(lease_id), None)\n            return\n"),
    rule="design §4 rule 12: a keepalive is answered by a leader confirmed after it arrived",
    level=Level.SERVER,
)
