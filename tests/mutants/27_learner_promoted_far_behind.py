from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.server.members",
    old="        if learner is None or learner.match < leader.match * READY_SHARE:\n",
    new="        if learner is None:\n",
    rule="a learner is promoted when it has nearly all of the leader's log (etcd 3.4.24)",
    level=Level.SERVER,
)
