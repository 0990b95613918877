from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.raft.step",
    old="    elif term < core.term:\n",
    new="    elif term < core.term and message.kind != MessageKind.APPEND_REPLY:\n",
    rule="an acknowledgement counts in the term it was given in",
    level=Level.CORE,
    tests=("tests/raft/test_stale_messages.py",),
)
