from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.state.membership",
    old="_replace(peer_urls=member.peer_urls))\n",
    new="_replace(peer_urls=member.peer_urls, is_learner=False))\n",
    rule="an update of the URLs leaves a learner a learner (etcd 3.5.31)",
    level=Level.SERVER,
)
