from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.raft.replication",
    old="    if snapshot.index <= log.commit:\n",
    new="    if False:\n",
    rule="design §4 rule 8: a snapshot at or below the own commit index is refused",
    level=Level.CORE,
)
