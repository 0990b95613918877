from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.raft.election",
    old="    core.emit(TraceKind.VOTE_REFUSED,",
    new=("    core.election_elapsed = 0\n    core.emit(TraceKind.VOTE_REFUSED,"),
    rule="only a vote that was given holds the own candidacy back, or a member that cannot win keeps all others from standing",
    level=Level.CORE,
    tests=("tests/raft/test_stale_messages.py",),
)
