from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.server.log_writer",
    old="wal.append(writes, sync=True)",
    new="wal.append(writes, sync=False)",
    rule="design §4 rule 1: no acknowledgement before fdatasync returned",
    level=Level.SERVER,
)
