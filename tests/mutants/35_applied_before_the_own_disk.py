from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.raft.log",
    old=(
        "        if self.applying >= last or self._snapshot is not None:\n"
        "            return ()\n"
        "        entries = tuple(self._storage.entries(self.applying + 1, last + 1, size_bytes_max))\n"
    ),
    new=(
        "        if self._snapshot is not None or self.applying >= self.commit:\n"
        "            return ()\n"
        "        entries, _ = self.slice(self.applying + 1, self.commit + 1, size_bytes_max)\n"
    ),
    rule="design §4 rule 5: an entry is applied only when it is durable in the own log",
    level=Level.CORE,
)
