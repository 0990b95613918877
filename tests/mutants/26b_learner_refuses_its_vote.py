from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.raft.election",
    old="    if may_vote and core.log.is_up_to_date",
    new="    if may_vote and core.tracker.is_voter(core.member_id) and core.log.is_up_to_date",
    rule="thesis §4.2.2: a learner votes when asked, it may be a voter by an entry it has not applied",
    level=Level.CORE,
)
