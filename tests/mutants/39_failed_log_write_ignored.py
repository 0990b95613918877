from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.server.log_writer",
    old=("                if error is not None:\n                    raise error\n                for durable in reports:"),
    new="                for durable in reports:",
    rule="design §4 rule 2: an fsync error ends the member",
    level=Level.SERVER,
)
