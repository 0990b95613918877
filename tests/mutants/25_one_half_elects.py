from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.raft.quorum",
    old="    second = _majority_result(conf.voters_outgoing, votes)\n",
    new="    second = VoteResult.WON\n",
    rule="thesis §4.3: both majorities of a joint configuration elect",
    level=Level.CORE,
)
