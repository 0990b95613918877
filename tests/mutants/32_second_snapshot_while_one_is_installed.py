from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.server.snapshots",
    old="        if self._intake is not None or self._complete is not None or self._installing is not None:\n",
    new="        if self._intake is not None:\n",
    rule="one snapshot is taken in at a time (etcd #18055)",
    level=Level.SERVER,
)
