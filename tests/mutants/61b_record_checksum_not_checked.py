from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.mvcc.record",
    old='    if crc32c(record, crc32c(table_key)) != int.from_bytes(stored[-_CHECKSUM_BYTES:], "big") or not record:\n',
    new="    if not record:\n",
    rule="design §4 rule 6: every read checks the record's checksum",
    level=Level.UNIT,
    tests=("tests/mvcc",),
)
