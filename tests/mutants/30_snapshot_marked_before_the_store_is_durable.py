from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.server.duties",
    old="        core.store_writer.when_durable(applied, lambda: self._mark(meta))\n",
    new="        self._mark(meta)\n",
    rule="design §4 rule 7: a snapshot exists when the store is durable there",
    level=Level.SERVER,
)
