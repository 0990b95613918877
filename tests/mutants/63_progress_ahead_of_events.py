from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.mvcc.watch_hub",
    old="        if stream.behind or any(",
    new="        if any(",
    rule="a progress response says that every event up to its revision was sent (etcd #15220)",
    level=Level.SERVER,
)
