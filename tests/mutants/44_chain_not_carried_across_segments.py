from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.storage.wal",
    old="segment, head, self._sequence + 1, self._crc, self._settings)\n",
    new="segment, head, self._sequence + 1, 0, self._settings)\n",
    rule="design §4 rule 3: records are chained, also from one segment to the next",
    level=Level.SERVER,
)
