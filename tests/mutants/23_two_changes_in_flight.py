from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.raft.proposals",
    old="    if core.pending_change_index > core.log.applied:\n",
    new="    if False:\n",
    rule="design §4 rule 16: no change while one is unapplied",
    level=Level.CORE,
)
