from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.server.applier",
    old="            self.hub.notify(events, machine.store.revision)\n",
    new="            self.hub.notify(events[:1], machine.store.revision)\n",
    rule="every event reaches every watcher",
    level=Level.SERVER,
)
