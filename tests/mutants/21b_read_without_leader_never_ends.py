from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.server.pipeline",
    old="        if reads.waiting or reads.is_unasked:\n",
    new="        if (reads.waiting or reads.is_unasked) and node.leader_id != 0:\n",
    rule="a read without quorum ends with `request timed out`",
    level=Level.SERVER,
)
