from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.server.snapshots",
    old="            wal.mark_snapshot(meta, hard_state=ready.hard_state, installed=True)\n",
    new="            pass\n",
    rule="design §4 rule 8: the log records the snapshot before it is renamed over the store",
    level=Level.SERVER,
)
