from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.raft.heartbeat",
    old="    core.reads.start(member_id=core.member_id, commit=core.log.commit)\n",
    new="    core.reads.start(member_id=core.member_id, commit=core.log.applied)\n",
    rule="design §4 rule 11: the index is the commit index at the round's start",
    level=Level.CORE,
)
