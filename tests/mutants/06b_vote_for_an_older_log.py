from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.raft.log",
    old="return term > self.last_term or (term == self.last_term and index >= self.last_index)",
    new="return index >= self.last_index",
    rule="thesis §3.6.1: the later last term wins",
    level=Level.CORE,
)
