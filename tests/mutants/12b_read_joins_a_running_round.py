from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.server.reads",
    old=("        if self._round is not None or not self.waiting:\n            return None\n"),
    new=(
        "        if self._round is not None:\n"
        "            self._round.reads += self.waiting\n"
        "            self.waiting = []\n"
        "        if self._round is not None or not self.waiting:\n"
        "            return None\n"
    ),
    rule="design §4 rule 11: a read joins only a round that starts after it arrived",
    level=Level.SERVER,
)
