from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.server.leases",
    old=(
        "        self._as_leader(\n"
        "            lambda: done(peer.LeaseRenewReply(ttls=[self._renew(i) for i in request.ids]).SerializeToString(), None),\n"
        '            lambda error: done(b"", error),\n'
        "        )\n"
    ),
    new="        done(peer.LeaseRenewReply(ttls=[self._renew(i) for i in request.ids]).SerializeToString(), None)\n",
    rule="design §4 rule 12: also one that another member passed on",
    level=Level.SERVER,
)
