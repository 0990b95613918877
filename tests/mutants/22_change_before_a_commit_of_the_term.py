from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.raft.proposals",
    old="    if not core.has_committed_in_term:\n",
    new="    if False:\n",
    rule="Ongaro 2015: no configuration change before a commit of the own term",
    level=Level.CORE,
)
