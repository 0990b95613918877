from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.server.pipeline",
    old="        serving.extend(reads.take_ready(self.applier.applied))\n",
    new="        serving.extend(reads.take_ready(1 << 62))\n",
    rule="design §4 rule 11: the reader waits until applied reaches the index",
    level=Level.SERVER,
)
