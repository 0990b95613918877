from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.raft.step",
    old="    replication.poke(core, progress)\n",
    new="",
    rule="what was lost on the way is found out by heartbeats",
    level=Level.CORE,
)
