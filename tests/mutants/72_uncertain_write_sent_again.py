from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.client.outcome",
    old=("    if mutates:\n        return Verdict(errors.IndeterminateError(error.message))\n"),
    new="",
    rule="a write that may have happened is not repeated",
    level=Level.UNIT,
    tests=(
        "tests/client/test_outcome.py",
        "tests/client/test_caller.py",
    ),
)
