from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.rpc.watch",
    old="        elif watch_id in self._watchers:\n",
    new="        elif watch_id and watch_id in self._watchers:\n",
    rule="the watcher with id 0 is one as any other",
    level=Level.SERVER,
)
