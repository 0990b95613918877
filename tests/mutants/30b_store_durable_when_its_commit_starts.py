from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.server.store_writer",
    old=("        self._busy = True\n        self._last_s = now_s\n"),
    new=(
        "        self._busy = True\n"
        "        self._last_s = now_s\n"
        "        self.durable_index = max(self.durable_index, applied)\n"
        "        self._release()\n"
    ),
    rule="design §4 rule 7: the store is durable where its last returned commit stands",
    level=Level.SERVER,
)
