from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.server.member",
    old="        self.applier.use_machine(state.machine)\n",
    new=("        self.applier.queue.clear()\n        self.applier.paused = False\n"),
    rule="after a snapshot entries are applied to the new state",
    level=Level.SERVER,
)
