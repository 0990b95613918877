from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.raft.log",
    old="        self.commit_to(commit if commit < last_new else last_new)\n",
    new="        self.commit_to(min(commit, self.last_index))\n",
    rule="thesis fig. 3.1: commit is at most the last new entry",
    level=Level.CORE,
)
