from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.raft.step",
    old="    elif kind == MessageKind.PRE_VOTE:\n",
    new="    elif False:\n",
    rule="a pre-candidate that is behind in term learns of the newer one (etcd #8243)",
    level=Level.CORE,
    tests=("tests/raft/test_stale_messages.py",),
)
