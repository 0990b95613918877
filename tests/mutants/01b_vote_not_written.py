from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.server.log_writer",
    old="            self._hard_state = ready.hard_state\n",
    new="            self._hard_state = ready.hard_state._replace(vote=0)\n",
    rule="design §4 rule 4: a member votes once in a term, also across a restart",
    level=Level.SERVER,
)
