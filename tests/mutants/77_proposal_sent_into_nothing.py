from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.server.pipeline",
    old="        if node.role != Role.LEADER and not self._peers.reaches(node.leader_id):\n",
    new="        if False:\n",
    rule="a proposal that would be dropped waits",
    level=Level.SERVER,
)
