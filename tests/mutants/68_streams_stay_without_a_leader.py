from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.rpc.guard",
    old="        if self._missed_count >= NO_LEADER_COUNT_MAX:\n",
    new="        if False:\n",
    rule="a stream that asked for a leader ends when there is none",
    level=Level.SERVER,
)
