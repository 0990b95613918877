from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.server.pipeline",
    old="        proposals.drop_batch(len(batch), node.term)\n",
    new=("        if node.role == Role.LEADER or node.term % 3:\n            proposals.drop_batch(len(batch), node.term)\n"),
    rule="design §4 rule 13: a proposal is sent once",
    level=Level.SERVER,
)
