from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.raft.log",
    old="                write.valid = min(write.valid, first - 1)\n",
    new="                pass\n",
    rule="§3: a report for an entry that was overwritten is ignored (ABA)",
    level=Level.CORE,
)
