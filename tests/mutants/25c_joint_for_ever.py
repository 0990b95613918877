from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.raft.proposals",
    old="    if core.tracker.conf.auto_leave and",
    new="    if False and",
    rule="thesis §4.3: a joint configuration is left once it is committed",
    level=Level.CORE,
)
