from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.server.reads",
    old="        self._counter += 1\n",
    new="",
    rule="design §4 rule 11: a round's context is unique for the life of the process",
    level=Level.SERVER,
)
