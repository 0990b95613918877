from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.server.applier",
    old="        machine.note_applied(self.applied, self.term)\n",
    new="",
    rule="design §4 rule 5: each commit carries the applied index",
    level=Level.SERVER,
)
