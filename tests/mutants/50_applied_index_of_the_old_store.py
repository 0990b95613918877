from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.server.applier",
    old="        self.applied, self.term = machine.applied_index, machine.applied_term\n",
    new=(
        "        machine._meta.save_applied(self.applied, self.term)\n"
        "        self.applied, self.term = machine.applied_index, machine.applied_term\n"
    ),
    rule="design §4 rule 8: the applied index of a snapshot is its own (etcd 3.5.3)",
    level=Level.SERVER,
)
