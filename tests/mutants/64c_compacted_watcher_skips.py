from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.mvcc.catch_up",
    old="            elif watcher.next_revision < compact_revision:\n",
    new="            elif False:\n",
    rule="a watcher that compaction overtook is cancelled, never silently skipped (etcd #17529)",
    level=Level.SERVER,
)
