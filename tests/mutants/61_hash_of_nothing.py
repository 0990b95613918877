from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.mvcc.hash",
    old="            crc = crc32c(body, crc32c(table_key, crc))\n",
    new="            pass\n",
    rule="members whose stores differ have different hashes",
    level=Level.SERVER,
)
