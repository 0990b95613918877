from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.raft.heartbeat",
    old="if core.config.check_quorum and not core.tracker.take_quorum_active(core.member_id):",
    new="if False:",
    rule="thesis §6.2: a leader without quorum steps down",
    level=Level.CORE,
)
