from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.server.applier",
    old="        machine.note_applied(self.applied, self.term)\n",
    new="        machine._meta.save_applied(max(self.applied - 1, 1), self.term)\n",
    rule="design §4 rule 5: each commit carries the applied index of exactly its changes",
    level=Level.SERVER,
)
