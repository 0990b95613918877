from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.server.peers",
    old=("            call.send(body)\n        channel.flush()\n"),
    new=("            call.send(body)\n            call.send(body)\n        channel.flush()\n"),
    rule="design §4 rule 13: a proposal is sent once",
    level=Level.SERVER,
)
