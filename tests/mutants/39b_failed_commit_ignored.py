from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.server.store_writer",
    old=("                if error is not None:\n                    raise error\n"),
    new="",
    rule="design §4 rule 2: a failed commit ends the member",
    level=Level.SERVER,
)
