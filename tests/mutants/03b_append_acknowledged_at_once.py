from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.raft.core",
    old="        self.held.append(new_append_reply(",
    new="        self.messages.append(new_append_reply(",
    rule="design §4 rule 1: a follower acknowledges what is durable",
    level=Level.CORE,
)
