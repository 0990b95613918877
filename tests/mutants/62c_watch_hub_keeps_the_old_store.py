from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.server.member",
    old="        self.hub.restored(state.store)\n",
    new="",
    rule="after a snapshot everything reads from the new store",
    level=Level.SERVER,
)
