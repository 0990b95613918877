from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.mvcc.key_history",
    old="        below = _count_up_to(packed, revision - 1)\n",
    new="        below = _count_up_to(packed, revision)\n",
    rule="a watcher may start at the compact revision and sees its deletions (etcd #19179)",
    level=Level.SERVER,
)
