from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.raft.core",
    old=("        self.tracker.votes.clear()\n        self.reads.clear()\n"),
    new="        self.tracker.votes.clear()\n",
    rule="a read round ends with the leadership that began it: its index may be an old one by the time another quorum answers",
    level=Level.CORE,
)
