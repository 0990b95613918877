from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.client.outcome",
    old="    return Verdict(known() if issubclass(known, errors.IndeterminateError) else errors.IndeterminateError(error.message))\n",
    new="    return Verdict(errors.UnavailableError(error.message))\n",
    rule="a write that timed out may have happened",
    level=Level.SERVER,
)
