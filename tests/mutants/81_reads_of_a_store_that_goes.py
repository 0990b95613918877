from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.server.snapshots",
    old="        core.pipeline.suspend()\n",
    new="",
    rule="nothing reads a store while it is replaced",
    level=Level.UNIT,
)
