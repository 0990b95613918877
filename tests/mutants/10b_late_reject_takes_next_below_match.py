from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.raft.tracker",
    old="        self.next = max(min(rejected, hint + 1), self.match + 1)\n",
    new="        self.next = max(min(rejected, hint + 1), 1)\n",
    rule="a reject never moves next to or below match",
    level=Level.CORE,
)
