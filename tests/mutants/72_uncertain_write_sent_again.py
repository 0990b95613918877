from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.client.outcome",
    old=("    if mutates:\n        return Verdict(errors.IndeterminateError(error.message))\n"),
    new="",
    rule="a write that may have happened is not repeated",
    level=Level.SERVER,
)
