from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.raft.log",
    old="return term > self.last_term or (term == self.last_term and index >= self.last_index)",
    new="return term >= self.last_term",
    rule="thesis §3.6.1: the voter's log is not longer than the candidate's",
    level=Level.CORE,
)
