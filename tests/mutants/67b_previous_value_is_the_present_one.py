from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.mvcc.store",
    old="        table_key = self._index.locate(key, revision - 1)\n",
    new="        table_key = self._index.locate(key, revision)\n",
    rule="prev_kv is the key before the event",
    level=Level.SERVER,
)
