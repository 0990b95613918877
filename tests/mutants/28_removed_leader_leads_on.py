from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.raft.proposals",
    old=("    progress = core.tracker.progress\n    best = "),
    new=("    return\n    progress = core.tracker.progress\n    best = "),
    rule="thesis §4.2.2: a leader that was removed steps down",
    level=Level.CORE,
)
