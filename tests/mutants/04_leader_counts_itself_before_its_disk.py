from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.raft.proposals",
    old=("    if size_bytes:\n        core.uncommitted_bytes"),
    new=("    core.tracker.progress[core.member_id].match = log.last_index\n    if size_bytes:\n        core.uncommitted_bytes"),
    rule="design §4 rule 1: a quorum is of disks, the leader's own included",
    level=Level.CORE,
)
