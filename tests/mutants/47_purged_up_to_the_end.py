from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.storage.wal",
    old="needed = self._batches.lowest_segment(min(below_index, self._mark.meta.index + 1))",
    new="needed = self._batches.lowest_segment(self._last_index + 1)",
    rule="design §4 rule 7: a segment goes only when nothing in it is wanted",
    level=Level.SERVER,
)
