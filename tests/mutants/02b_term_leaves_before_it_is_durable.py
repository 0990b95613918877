from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.raft.core",
    old=(
        "        if self.durable_write >= self.hard_state_write and not self.hard_state_changed:\n            self.messages.append(message)\n"
    ),
    new=("        if True:\n            self.messages.append(message)\n"),
    rule="design §4 rule 4: the term is synced before a message that depends on it leaves",
    level=Level.CORE,
)
