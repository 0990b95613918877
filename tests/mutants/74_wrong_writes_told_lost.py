from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.server.proposals",
    old=("            if request_id > horizon:\n                break\n"),
    new="",
    rule="a write is said to be lost only when a later term's entry shows that it is",
    level=Level.SERVER,
)
