from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.embedded",
    old=("        keepalive_s=PING_S,\n        keepalive_timeout_s=PONG_TIMEOUT_S,\n"),
    new="",
    rule="a connection into nothing is given up",
    level=Level.UNIT,
)
