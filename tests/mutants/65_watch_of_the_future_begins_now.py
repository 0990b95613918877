from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.mvcc.watch_hub",
    old="        next_revision = spec.start_revision if spec.start_revision > 0 else self._store.revision + 1\n",
    new="        next_revision = min(spec.start_revision, self._store.revision + 1) if spec.start_revision > 0 else self._store.revision + 1\n",
    rule="a watch that starts in the future gets nothing older (etcd #20221)",
    level=Level.SERVER,
)
