from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.mvcc.store",
    old=("        write.open(self._revision + 1)\n        return write\n"),
    new=("        self._revision += 1\n        write.open(self._revision)\n        return write\n"),
    rule="a txn that changes nothing takes no revision",
    level=Level.SERVER,
    tests=(
        "tests/state",
        "tests/mvcc",
    ),
)
