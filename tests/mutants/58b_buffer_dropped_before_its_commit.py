from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.server.store_writer",
    old=("        self._busy = True\n        self._last_s = now_s\n        backend = self.backend\n"),
    new=(
        "        self._busy = True\n"
        "        self._last_s = now_s\n"
        "        backend = self.backend\n"
        "        tables.committed(batches)\n"
        "        batches = ()\n"
    ),
    rule="design §4 rule 6: a buffer is dropped after the commit that contains it",
    level=Level.SERVER,
)
