from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.mvcc.catch_up",
    old=("        if event.revision != revision:\n            if len(events)"),
    new=("        if True:\n            if len(events)"),
    rule="a revision is never split",
    level=Level.UNIT,
    tests=("tests/mvcc",),
)
