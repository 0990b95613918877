from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.mvcc.key_history",
    old=(
        "        removed = [_table_key(packed, entry) for entry in range(taken)]\n"
        "        if taken:\n"
        "            del packed[: taken * _ENTRY_BYTES]\n"
    ),
    new=(
        "        removed = [_table_key(packed, entry) for entry in range(removable - taken, removable)]\n"
        "        if taken:\n"
        "            del packed[(removable - taken) * _ENTRY_BYTES : removable * _ENTRY_BYTES]\n"
    ),
    rule="a compaction cut short by a crash takes nothing back: a key's revisions go oldest first, its tombstone last (etcd #17780)",
    level=Level.SERVER,
)
