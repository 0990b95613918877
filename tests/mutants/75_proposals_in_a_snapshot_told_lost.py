from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.server.proposals",
    old=("        self._sent.clear()\n        self._unsure_id = self._ids.take()\n"),
    new="",
    rule="a write that a snapshot may hold is not said to be lost",
    level=Level.SERVER,
)
