from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.raft.step",
    old="    if kind in _FROM_LEADER and (core.config.check_quorum or core.config.pre_vote):\n",
    new="    if False:\n",
    rule="with pre-vote a leader left behind in an older term learns of the newer one by an answer (etcd #8243)",
    level=Level.CORE,
)
