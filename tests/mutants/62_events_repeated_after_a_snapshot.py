from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.mvcc.watch_hub",
    old="                        watcher.next_revision = old_revision + 1\n",
    new="                        watcher.next_revision = old_revision\n",
    rule="an event comes once",
    level=Level.SERVER,
)
