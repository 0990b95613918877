from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.raft.heartbeat",
    old="    if core.tracker.is_sole_voter(core.member_id):\n",
    new="    if True:\n",
    rule="design §4 rule 11: a quorum confirms the leader after the read arrived",
    level=Level.CORE,
)
