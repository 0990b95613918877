from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.raft.heartbeat",
    old="            known = progress.match if progress.match < commit else commit\n",
    new="            known = commit\n",
    rule="a heartbeat never tells of a commit the member may lack",
    level=Level.CORE,
)
