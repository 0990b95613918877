from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.mvcc.store",
    old="        self._revision = max(1, newest, self.compaction.revision)\n",
    new="        self._revision = max(1, newest)\n",
    rule="the revision never goes back, also when compaction left nothing of the newest (etcd #17780)",
    level=Level.SERVER,
    tests=("tests/mvcc",),
)
