from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.server.pipeline",
    old=("        if not self._running:\n            self.wake()\n"),
    new="        pass\n",
    rule="a durable write is taken up at once",
    level=Level.UNIT,
)
