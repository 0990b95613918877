from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.raft.core",
    old="        if index <= self.log.commit or index < self.term_start_index:\n",
    new="        if index <= self.log.commit:\n",
    rule="thesis §3.6.2: only entries of the own term are committed by counting",
    level=Level.CORE,
)
