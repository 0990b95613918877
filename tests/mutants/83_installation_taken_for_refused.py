from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.server.snapshots",
    old="        self._complete, self._installing = None, meta\n",
    new="        self._installing = meta\n",
    rule="design §4 rule 8: what is being installed is not dropped",
    level=Level.UNIT,
)
