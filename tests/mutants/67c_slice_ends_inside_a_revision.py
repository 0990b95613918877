from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.mvcc.catch_up",
    old=(
        "        if event.revision != revision:\n"
        "            if len(events) >= budget_count or size_bytes > SLICE_BYTES_MAX:\n"
        "                return events, event.revision - 1\n"
    ),
    new=(
        "        if len(events) >= budget_count or size_bytes > SLICE_BYTES_MAX:\n"
        "            return events, event.revision\n"
        "        if event.revision != revision:\n"
    ),
    rule="a revision is never split",
    level=Level.SERVER,
)
