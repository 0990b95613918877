from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.server.snapshots",
    old="        if core.store_writer.busy or self._sending:\n",
    new="        if False:\n",
    rule="a store is closed when nothing uses it",
    level=Level.UNIT,
)
