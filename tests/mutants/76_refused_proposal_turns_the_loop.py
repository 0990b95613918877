from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.server.pipeline",
    old="and self.node.leader_id != 0 and not self._refused\n",
    new="and self.node.leader_id != 0\n",
    rule="what consensus refuses is tried again when something happened",
    level=Level.SERVER,
)
