from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.server.hello",
    old="    if started and hello.last_index <= BOOTSTRAP_INDEX:\n",
    new="    if False:\n",
    rule="design §4 rule 15: a wiped member does not vote",
    level=Level.SERVER,
)
