from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.mvcc.store",
    old=("        events = self._events\n        self._events = []\n        return events\n"),
    new="        return list(self._events)\n",
    rule="an event comes once (etcd #17247)",
    level=Level.SERVER,
)
