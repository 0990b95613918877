from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.raft.tracker",
    old=("            progress.recent_active = False\n        return has_quorum"),
    new="        return has_quorum",
    rule="a leader that only sends steps down, or a partial partition never gets another one",
    level=Level.CORE,
)
