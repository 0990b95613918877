from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.raft.quorum",
    old=("    if conf.voters_outgoing:\n        values"),
    new=("    if False:\n        values"),
    rule="thesis §4.3: both majorities of a joint configuration commit",
    level=Level.CORE,
)
