from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.mvcc.watch_hub",
    old="                and watcher.state is _SYNCED\n",
    new="",
    rule="a progress notification says that every event up to its revision was sent (etcd #15220)",
    level=Level.UNIT,
    tests=("tests/mvcc",),
)
