from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.state.txn",
    old="            if operation.revision < store.compact_revision:\n",
    new="            if operation.revision < store.compaction.finished_revision:\n",
    rule="apply depends on the log alone, not on how much this member has deleted (etcd #18667)",
    level=Level.SERVER,
)
