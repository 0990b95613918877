from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.raft.core",
    old="        self.held.append(Message(MessageKind.APPEND_REPLY,",
    new="        self.messages.append(Message(MessageKind.APPEND_REPLY,",
    rule="design §4 rule 1: a follower acknowledges what is durable",
    level=Level.CORE,
)
