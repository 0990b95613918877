from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.server.leases",
    old="            self.lessor.release(found)\n",
    new="            pass\n",
    rule="design §4 rule 12: a look that was not confirmed leaves the leases as they were",
    level=Level.UNIT,
)
