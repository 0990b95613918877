from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.server.duties",
    old="        core.raft_storage.compact(keep_from)\n",
    new=("        keep_from = core.raft_storage.last_index()\n        core.raft_storage.compact(keep_from)\n"),
    rule="design §4 rule 7: the log is cut below the snapshot",
    level=Level.SERVER,
)
