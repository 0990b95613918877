from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.raft.proposals",
    old="    _append(core, EntryKind.CONF_CHANGE, [data], len(data))\n",
    new=("    _append(core, EntryKind.CONF_CHANGE, [data], len(data))\n    core.tracker.apply(after, last_index=core.log.last_index)\n"),
    rule="design §4 rule 16: the configuration is what the applied log says, on every member alike",
    level=Level.CORE,
)
