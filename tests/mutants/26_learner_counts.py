from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.raft.quorum",
    old="    voters = conf.voters\n",
    new="    voters = (*conf.voters, *conf.learners)\n",
    rule="a learner is in no quorum",
    level=Level.CORE,
)
