from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.server.snapshots",
    old="        meta = _meta_of(view)\n",
    new=("        meta = message.snapshot\n        assert meta is not None\n"),
    rule="design §4 rule 8: a snapshot's index is that of its state",
    level=Level.SERVER,
)
