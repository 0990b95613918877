from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.server.snapshots",
    old=("            core.pipeline.on_message(message)\n            raise"),
    new="            raise",
    rule="a leader learns how far a follower is",
    level=Level.UNIT,
)
