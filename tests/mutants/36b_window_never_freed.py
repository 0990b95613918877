from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.raft.replication",
    old="        progress.free_to(index)\n",
    new="        pass\n",
    rule="an acknowledgement makes room in the inflight window",
    level=Level.CORE,
)
