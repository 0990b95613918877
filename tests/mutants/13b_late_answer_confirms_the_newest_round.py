from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.raft.read_index",
    old=("            self._answered[member_id] = number\n\n    def take_confirmed"),
    new=("            self._answered[member_id] = self._number\n\n    def take_confirmed"),
    rule="design §4 rule 11: an answer confirms the round it was given for",
    level=Level.CORE,
)
