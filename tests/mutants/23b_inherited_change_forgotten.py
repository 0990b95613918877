from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.raft.core",
    old="        self.pending_change_index = log.find_change(log.applied + 1, log.last_index + 1)\n",
    new="        self.pending_change_index = 0\n",
    rule="design §4 rule 16: also not while one that an earlier leader left is unapplied",
    level=Level.CORE,
)
