from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.raft.replication",
    old="    if core.reads.is_waiting and core.has_committed_in_term:\n",
    new="    if core.reads.is_waiting:\n",
    rule="design §4 rule 11: the leader answers after an entry of its own term is committed",
    level=Level.CORE,
)
