from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.mvcc.watch_hub",
    old="            watcher.next_revision = first_revision\n",
    new="            watcher.next_revision = self._revision + 1\n",
    rule="a slow watcher reads later what it missed (etcd #17529)",
    level=Level.SERVER,
)
