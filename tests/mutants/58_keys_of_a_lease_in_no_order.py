from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.state.lease",
    old="        return sorted(lease.keys)\n",
    new="        return list(lease.keys)\n",
    rule="same log, same bytes: nothing is applied in the order of a set",
    level=Level.UNIT,
    tests=(
        "tests/state/test_determinism.py",
        "tests/state/test_lease.py",
    ),
)
