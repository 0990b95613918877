from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.mvcc.watch_hub",
    old=("        for watcher in tuple(self.watchers.values()):\n            self.hub.remove(watcher)\n        self.hub.forget(self)\n"),
    new="        self.hub.forget(self)\n",
    rule="watchers end with their stream",
    level=Level.SERVER,
)
