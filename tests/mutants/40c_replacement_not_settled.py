from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.server.snapshots",
    old="            install.settle()\n",
    new="",
    rule="design §4 rule 8: directory sync after the rename, then the log is reset",
    level=Level.SERVER,
)
