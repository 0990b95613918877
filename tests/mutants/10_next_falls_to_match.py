from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.raft.tracker",
    old="        self.next = max(self.match, self.pending_snapshot) + 1\n",
    new="        self.next = max(self.match, self.pending_snapshot)\n",
    rule="next stays above match, or the leader probes for ever",
    level=Level.CORE,
)
