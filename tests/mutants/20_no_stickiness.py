from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.raft.step",
    old=("            core.config.check_quorum\n            and core.leader_id != 0\n"),
    new=("            False\n            and core.leader_id != 0\n"),
    rule="thesis §4.2.3: a member that hears its leader helps nobody to depose it",
    level=Level.CORE,
)
