from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.raft.heartbeat",
    old=("            core.emit(TraceKind.TRANSFER_ABORTED, peer=core.transferee)\n            core.transferee = 0\n"),
    new="            core.emit(TraceKind.TRANSFER_ABORTED, peer=core.transferee)\n",
    rule="thesis §3.10: a hand-over that takes too long is given up, and proposals are taken again",
    level=Level.CORE,
)
