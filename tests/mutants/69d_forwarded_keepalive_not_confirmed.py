from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.server.leases",
    old="        self._as_leader(renew_next, refuse)\n",
    new="        renew_next()\n",
    rule="design §4 rule 12: also one that another member passed on",
    level=Level.SERVER,
)
