from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.server.log_writer",
    old=("        if not self.idle or self._replacing:\n            self._reports.append(Durable(0"),
    new=("        if self._replacing:\n            self._reports.append(Durable(0"),
    rule="design §4 rule 4: held messages leave after every write up to their own",
    level=Level.SERVER,
)
