from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.state.lease",
    old="        while heap and heap[0][0] <= now_s and len(found) < limit:\n",
    new="        while False:\n",
    rule="design §4 rule 12: a lease that nobody renews is ended",
    level=Level.SERVER,
)
