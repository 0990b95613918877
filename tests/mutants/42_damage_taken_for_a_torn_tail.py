from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.storage.recovery",
    old="            proven = _was_durable(blob, offset, chain.sequence + 1)\n",
    new="            proven = False\n",
    rule="design §4 rule 3: damage before the tail is refused, not cut off",
    level=Level.SERVER,
)
