from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.mvcc.watch_hub",
    old="                        watcher.next_revision = old_revision + 1\n",
    new="                        watcher.next_revision = self._revision + 1 if self._revision - old_revision > 9 else old_revision + 1\n",
    rule="watchers read from the new history what a snapshot skipped",
    level=Level.SERVER,
)
