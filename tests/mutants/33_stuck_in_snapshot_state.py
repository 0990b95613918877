from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.raft.replication",
    old="    elif progress.state is _PROBE or progress.match + 1 >= core.log.first_index:\n",
    new="    elif progress.state is _PROBE:\n",
    rule="a member that caught up while a snapshot was under way is sent entries (etcd #10308)",
    level=Level.CORE,
)
