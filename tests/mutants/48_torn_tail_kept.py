from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.storage.recovery",
    old="        file.truncate(end.offset)\n",
    new="",
    rule="design §4 rule 3: a torn tail is cut off",
    level=Level.SERVER,
)
