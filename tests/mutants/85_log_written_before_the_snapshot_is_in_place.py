from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.server.log_writer",
    old="        if not self.idle or not self._reports or self.failed or self._replacing:\n",
    new="        if not self.idle or not self._reports or self.failed:\n",
    rule="between the mark and the reset of the log nothing is written",
    level=Level.UNIT,
)
