from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.storage.lmdb_backend",
    old=("                sync=sync,\n                metasync=sync,\n"),
    new=("                sync=False,\n                metasync=False,\n"),
    rule="design §4 rule 6: each commit of the store is synced",
    level=Level.UNIT,
    tests=("tests/storage/test_lmdb_sync.py",),
)
