from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.raft.core",
    old="self.election_timeout_ticks = self.config.election_ticks + self._randrange(self.config.election_ticks)\n",
    new="self.election_timeout_ticks = self.config.election_ticks\n",
    rule="thesis §3.4: election timeouts are drawn anew, or elections split for ever (etcd #10483)",
    level=Level.CORE,
)
