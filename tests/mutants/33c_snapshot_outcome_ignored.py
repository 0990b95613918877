from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.raft.replication",
    old=("        progress.pending_snapshot = 0\n    progress.become_probe()\n"),
    new=("        return\n    progress.become_probe()\n"),
    rule="after a snapshot that failed another one is sent",
    level=Level.CORE,
)
