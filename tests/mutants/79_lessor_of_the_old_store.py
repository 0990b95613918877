from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.server.member",
    old="        self.leases.lessor = state.machine.lessor\n",
    new="",
    rule="after a snapshot the leases are those of the new store",
    level=Level.UNIT,
)
