from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.state.lease",
    old="            lease.deadline_s = now_s + lease.armed_s() + extend_s\n",
    new="            lease.deadline_s = min(lease.deadline_s, now_s)\n",
    rule="design §4 rule 12: on becoming leader every lease is re-armed",
    level=Level.SERVER,
)
