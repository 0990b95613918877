from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.storage.recovery",
    old="            return Act.TRUNCATE\n",
    new="            return Act.REFUSE\n",
    rule="design §4 rule 3: a torn tail is cut off, and the member starts",
    level=Level.SERVER,
)
