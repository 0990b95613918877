from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.state.apply",
    old="        if request.term != self.applied_term:\n",
    new="        if False:\n",
    rule="design §4 rule 12: a revoke of another term is dropped",
    level=Level.SERVER,
)
