from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.storage.wal",
    old="                data += bytes(extent)\n",
    new="                data = data[: self._filled - self._offset] + bytes(end - self._filled + extent)\n",
    rule="design §4 rule 3: zeros are written ahead of the records, never over one",
    level=Level.SERVER,
)
